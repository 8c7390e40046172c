#!/bin/sh
# SPDX-License-Identifier: MIT
# s6's readiness: a newline on a descriptor; each instance says it for itself, also one that was never ready.
. "$(dirname "$0")/run-lib.sh"
start --ready fd:5 --on status --burst 9 -- below:1 exit:3 below:2 ready-fd:5 below:2 crash ready-fd:5 wait
wait_for ' ready .*gen=2'
equal "$(count ' ready .*gen=0')" 0
equal "$(count ' ready .*gen=1')" 1
kill "$runner_pid"
finish 0
rm -rf s
# Without the newline it is late.
start --ready fd:5 --ready-ms 50 --burst 2 -- wait
finish 1
equal "$(count ' ready ')" 0
rm -rf s
# Two instances were ready before rfork-run heard of the first.
start --ready fd:5 --burst 9 -- below:1 wait-file:go below:1 crash below:2 ready-fd:5 below:2 crash ready-fd:5 touch:over wait
wait_for ' started '
kill -STOP "$runner_pid"
: >go
# Where the runner has to end what the last instance has left, each restart waits three seconds for it.
tries_most=600
eventually "no second restart" [ -e over ]
kill -CONT "$runner_pid"
wait_for ' ready .*gen=2'
equal "$(count ' ready .*gen=1')" 1 "the first of two that were ready at once"
kill "$runner_pid"
finish 0
