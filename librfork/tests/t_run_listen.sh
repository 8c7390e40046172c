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

# A socket that another one listens on is not taken away from it, nor is a file removed; what is left over goes.
rm -rf s
start --listen unix:sock -- wait
wait_for ' ready '
inode=$(ls -i sock)
rfork-run --name u --state u --listen unix:sock -- /bin/true 2>errors
equal $? 111
grep -q 'sock is in use' errors || fail "$(cat errors)"
equal "$(ls -i sock)" "$inode"
kill -9 "$runner_pid"
wait "$runner_pid" 2>/dev/null
rfork-run --name u --state u --listen unix:sock -- /bin/true || fail "a socket that was left over"
: >file
rfork-run --name u --state u --listen unix:file -- /bin/true 2>errors
equal $? 111
[ -f file ] || fail "a file was removed"
runner_pid=""
