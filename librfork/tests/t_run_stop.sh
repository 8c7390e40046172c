#!/bin/sh
# SPDX-License-Identifier: MIT
# SIGTERM to rfork-run stops the component, with SIGKILL once --stop-ms is over; status 0.
. "$(dirname "$0")/run-lib.sh"
start -- wait
wait_for ' ready '
kill "$runner_pid"
finish 0
equal "$(value reason ' end ')" stop
equal "$(value status ' end ')" signal:SIGTERM
rm -rf s
start --stop-ms 200 --ready notify -- ignore-term notify:READY=1 wait
wait_for ' ready '
kill -INT "$runner_pid"
finish 0
equal "$(value status ' end ')" signal:SIGKILL
gone "$(value pid ' ready ')"
