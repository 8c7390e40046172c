#!/bin/sh
# SPDX-License-Identifier: MIT
# --keep starts a program anew when it fails, lets it end when it ends well, and takes it along when it is killed.
. "$(dirname "$0")/run-lib.sh"

rfork-run --keep -- /bin/sh -c 'echo $$ >>pids; [ $(wc -l <pids) -lt 2 ] || exec sleep 1000; kill -SEGV $$' &
runner_pid=$!
eventually "it was not started anew" lines 2 pids
second=$(tail -n 1 pids)
kill -KILL "$second"
eventually "it was not started anew after a kill" lines 3 pids
kill -KILL "$runner_pid"
gone "$(tail -n 1 pids)"
rfork-run --keep -- /bin/sh -c 'exit 0' &
runner_pid=$!
finish 0

# What ends at once every time is started ever more seldom: the eighth time two seconds after the seventh, not one.
rfork-run --keep -- /bin/sh -c 'read -r up _ </proc/uptime; echo ${up%.*}${up#*.} >>starts; kill -SEGV $$' &
runner_pid=$!
tries=600
until lines 8 starts 2>/dev/null; do
	tries=$((tries - 1))
	[ $tries -gt 0 ] || fail "it was not started eight times"
	sleep 0.05
done
kill -TERM "$runner_pid"
finish 0
pause=$(($(sed -n 8p starts) - $(sed -n 7p starts)))
[ $pause -ge 190 ] || fail "the eighth start came after $pause hundredths of a second"
