#!/bin/sh
# SPDX-License-Identifier: MIT
# SIGUSR1 restarts the component, however often, and kills one that ignores SIGTERM.
. "$(dirname "$0")/run-lib.sh"
start --burst 2 --stop-ms 200 --ready notify -- below:4 notify:READY=1 ignore-term notify:READY=1 wait
for gen in 0 1 2 3 4 5; do
	wait_for " ready .*gen=$gen "
	kill -USR1 "$runner_pid"
	wait_for " restart gen=$((gen + 1)) .*cause=operator"
done
wait_for " ready .*gen=6 "
kill "$runner_pid"
finish 0
