#!/bin/sh
# SPDX-License-Identifier: MIT
# With --no-checkpoint the program's checkpoint is refused, and restarts go on from before its exec.
. "$(dirname "$0")/run-lib.sh"

start --burst 50 --no-checkpoint -- no-checkpoint below:3 crash wait
wait_for ' restart .*gen=3 '
equal "$(count ' checkpoint ')" 0
equal "$(count 'restart .*level=warm')" 0
kill "$runner_pid"
finish 0
