#!/bin/sh
# SPDX-License-Identifier: MIT
# Socket activation: a connection between two instances waits for the next one; a Unix socket is made too.
. "$(dirname "$0")/run-lib.sh"
port=$(tool_component free-port)
start --listen tcp:127.0.0.1:$port --listen unix:sock --burst 5 -- env:LISTEN_FDS below:1 wait-file:go below:1 crash serve >out
wait_for ' ready '
# Nobody accepts yet: the first instance waits, and then crashes.
tool_component connect:$port >answer &
others=$!
: >go
wait "$others"
others=""
equal "$(cat answer)" 1
equal "$(head -n 1 out)" LISTEN_FDS=2
[ -S sock ] || fail "no socket"
kill "$runner_pid"
finish 0
rfork-run --name t --listen tcp:0 -- /bin/true 2>errors
equal $? 100
rfork-run --name t --listen tcp:127.0.0.1:$port --ready fd:3 -- /bin/true 2>errors
equal $? 100
