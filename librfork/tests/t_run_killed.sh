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

# The last instance may be named in the older file only: the newer one was begun right before the kill.
rm -rf s
mkdir s
sleep 600 &
others=$!
echo "rfork-run/1 2 999999999.000000 ready pid=$others gen=0 downtime_us=0" >s/events.1
printf 'rfork-run/1 3 999999999.1' >s/events
rfork-run --name t --state s --backend "$RFORK_BACKEND" -- true 2>errors
equal $? 111
grep -q "its last instance, $others, still runs" errors || fail "$(cat errors)"
