#!/bin/sh
# SPDX-License-Identifier: MIT
# Readiness by READY=1 (a child's too), by a file, by a port; one that does not get ready is restarted.
. "$(dirname "$0")/run-lib.sh"
start --ready file:flag -- wait
wait_for started
[ "$(count ' ready ')" = 0 ] || fail "ready without the file"
: >flag
wait_for ' ready '
kill "$runner_pid"
finish 0
rm -rf s
port=$(tool_component free-port)
start --ready port:$port -- listen:$port wait
wait_for ' ready '
kill "$runner_pid"
finish 0
rm -rf s
component="sh"
start --ready notify -- -c 'tool_component notify:READY=1; exec tool_component wait'
wait_for ' ready '
kill "$runner_pid"
finish 0
rm -rf s
component=tool_component
start --ready notify --ready-ms 100 --burst 2 -- wait
finish 1
equal "$(count 'restart .*cause=heartbeat')" 2
equal "$(count ' ready ')" 0
equal "$(value reason ' end ')" burst
