#!/bin/sh
# SPDX-License-Identifier: MIT
# When rfork-run is killed its component goes too, and the next run starts one copy.
. "$(dirname "$0")/run-lib.sh"
for how in "wait" "checkpoint wait"; do
	rm -rf s
	start --ready notify -- notify:READY=1 $how
	wait_for ' ready '
	old=$(value pid ' ready ')
	kill -9 "$runner_pid"
	wait "$runner_pid" 2>/dev/null
	start --ready notify -- notify:READY=1 wait
	wait_for " started runner=$runner_pid "
	runs "$old" && fail "a second copy: $old lives"
	wait_for "^rfork-run/1 [3-9] .* started runner=$runner_pid "
	kill "$runner_pid"
	finish 0
done
