#!/bin/sh
# SPDX-License-Identifier: MIT
# After each event the poke socket gets the component's name; nobody there is no error.
. "$(dirname "$0")/run-lib.sh"
tool_component receive:poke >pokes &
others=$!
tries=100
until [ -S poke ] || [ $tries = 0 ]; do tries=$((tries - 1)); sleep 0.05; done
start --poke poke -- below:1 restart exit:0
finish 0
tries=100
until [ "$(grep -cx t pokes)" = 5 ] || [ $tries = 0 ]; do tries=$((tries - 1)); sleep 0.05; done
equal "$(grep -cx t pokes)" 5
equal "$(count .)" 5
start --poke nobody-here -- exit:0
finish 0
