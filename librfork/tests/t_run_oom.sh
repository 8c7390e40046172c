#!/bin/sh
# SPDX-License-Identifier: MIT
# The OOM killer takes rfork-run last; no instance and nothing that it starts has that from rfork-run, or can get it.
. "$(dirname "$0")/run-lib.sh"
if [ -e /proc/self/oom_score_adj ]; then
	file=oom_score_adj last=-999 more=300 protected=-500
else
	file=oom_adj last=-16 more=3 protected=-5
fi

# adjusted PID VALUE: it is that now
adjusted() {
	[ "$(cat "/proc/$1/$file")" = "$2" ]
}

(echo $last >/proc/self/$file) 2>/dev/null || { echo "this user may not protect a process"; exit 77; }
# A cold restart, then one from a checkpoint.
start --burst 50 -- below:1 crash checkpoint below:2 wait-file:go below:2 crash wait
eventually "rfork-run is not among the last" adjusted "$runner_pid" "$last"
wait_for 'ready pid=[0-9]* gen=1'
equal "$(cat "/proc/$(value pid ' ready .*gen=1')/$file")" 0 "after a cold restart"
: >go
wait_for 'restart .*level=warm'
wait_for 'ready pid=[0-9]* gen=2'
equal "$(cat "/proc/$(value pid ' ready .*gen=2')/$file")" 0 "after a warm restart"
kill "$runner_pid"
finish 0

# What rfork-run itself is started with: more than the usual is the component's, protection is not.
for value in $more $protected; do
	rm -rf s
	wanted=$value
	[ "$value" -gt 0 ] || wanted=0
	(echo $value >/proc/self/$file; exec rfork-run --state s --backend "$RFORK_BACKEND" -- /bin/sh -c 'exec sleep 1000') &
	runner_pid=$!
	wait_for ' ready '
	instance=$(value pid ' ready ')
	eventually "started with $value" adjusted "$instance" "$wanted"
	kill "$runner_pid"
	finish 0
done

# An ordinary user's component cannot lower it; what --keep starts has it.
rm -rf s
: >out && chmod 666 out
program='for i in -1 '$last'; do (echo $i >/proc/self/'$file') 2>/dev/null && echo lowered; done; echo tried'
rfork-run --state s --backend "$RFORK_BACKEND" --user nobody --output out -- /bin/sh -c "$program; exec sleep 1000" &
runner_pid=$!
wait_for tried out
equal "$(tr '\n' ' ' <out)" "tried "
kill "$runner_pid"
finish 0
rfork-run --keep -- /bin/sh -c "cat /proc/self/$file >kept; exit 0" &
runner_pid=$!
finish 0
equal "$(cat kept)" "$last" "the supervisor"
