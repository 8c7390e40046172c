#!/bin/sh
# SPDX-License-Identifier: MIT
# A component that misses its heartbeat is killed and restarted; one that keeps it is not.
. "$(dirname "$0")/run-lib.sh"
start --ready notify --heartbeat-ms 300 -- env:WATCHDOG_USEC notify:READY=1 below:2 wait beat:50 >out
wait_for ' ready .*gen=2 '
equal "$(count 'restart gen=[12] .*cause=heartbeat status=signal:SIGKILL')" 2
sleep 1
equal "$(count ' restart ')" 2 "a heartbeat that was kept"
equal "$(head -n 1 out)" WATCHDOG_USEC=300000
kill "$runner_pid"
finish 0
