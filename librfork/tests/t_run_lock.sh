#!/bin/sh
# SPDX-License-Identifier: MIT
# One rfork-run at a time has a state folder: a second one gives up with 111.
. "$(dirname "$0")/run-lib.sh"
start -- wait
wait_for ' ready '
first=$runner_pid
rfork-run --state s -- true
equal $? 111
kill -0 "$first" || fail "the first is gone"
equal "$(count ' started ')" 1
kill "$first"
finish 0
