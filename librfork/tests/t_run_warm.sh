#!/bin/sh
# SPDX-License-Identifier: MIT
# After a checkpoint made when ready, a warm restart is ready at once; after one made before, it says so again.
. "$(dirname "$0")/run-lib.sh"
start --burst 50 --ready notify -- notify:READY=1 checkpoint below:3 crash wait
wait_for ' ready .*gen=3 '
equal "$(count 'restart .*level=warm')" 3
equal "$(count ' ready ')" 4
equal "$(count ' checkpoint ')" 1
kill "$runner_pid"
finish 0
rm -rf s
start --burst 50 --ready notify -- checkpoint below:3 crash notify:READY=1 wait
wait_for ' ready .*gen=3 '
equal "$(count 'restart .*level=warm')" 3
equal "$(count ' ready ')" 1
kill "$runner_pid"
finish 0
