#!/bin/sh
# SPDX-License-Identifier: MIT
# Readiness by READY=1 (a child's too), by a file, by a port; one that does not get ready is restarted.
. "$(dirname "$0")/run-lib.sh"
: >flag
start --ready file:flag -- wait
wait_for started
[ ! -e flag ] || fail "what an earlier runner's component left is still there"
[ "$(count ' ready ')" = 0 ] || fail "ready without the file"
: >flag
wait_for ' ready '
# Killed: what it left does not speak for the next instance.
kill -SEGV "$(value pid ' ready ')"
wait_for ' restart '
eventually "the dead instance's file is still there" [ ! -e flag ]
equal "$(count ' ready ')" 1 "ready by the dead instance's file"
: >flag
wait_for ' ready .*gen=1'
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
start --ready notify -- -c 'tool_component notify:READY=1 barrier; exec tool_component wait'
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
rm -rf s
# Five restarts in a window of 1 ms are no burst; five in a row that do not get ready are.
start --ready notify --ready-ms 50 --burst 5 --window-ms 1 -- wait
finish 1
equal "$(count 'restart .*cause=heartbeat')" 5
equal "$(value reason ' end ')" burst
rm -rf s
# One that gets ready in between begins to count anew: it has longer where the kernel is slow.
start --ready notify --ready-ms $((${RFORK_TESTS_LIMIT:-120} * 5 / 3)) --burst 2 --window-ms 1 -- \
	below:2 wait below:3 notify:READY=1 below:3 restart below:5 wait notify:READY=1 wait
wait_for ' ready .*gen=5'
equal "$(count ' ready ')" 2
kill "$runner_pid"
finish 0
