#!/bin/sh
# SPDX-License-Identifier: MIT
# A SIGKILL by the OOM killer is recorded as one, and an operator's is not.
. "$(dirname "$0")/run-lib.sh"
root=/sys/fs/cgroup
grep -qw memory $root/cgroup.controllers 2>/dev/null && [ -w $root/cgroup.procs ] ||
	{ echo "no control groups with memory limits here"; exit 77; }
group=$root/rfork-tests-$$/t
trap 'for pid in $runner_pid; do kill -9 $pid; done; rmdir $group ${group%/t}' EXIT

start --on signal --cgroup $group --cgroup-set memory.max=16777216 --cgroup-set memory.swap.max=0 -- below:1 eat wait
wait_for ' ready .*gen=1'
equal "$(value cause 'restart gen=1')" oom
equal "$(value status 'restart gen=1')" signal:SIGKILL
kill -KILL "$(value pid ' ready .*gen=1')"
wait_for ' ready .*gen=2'
equal "$(value cause 'restart gen=2')" signal
kill "$runner_pid"
finish 0
rm -rf s
start --cgroup $group --cgroup-set memory.max=16777216 --cgroup-set memory.swap.max=0 -- eat
finish 1
equal "$(value cause ' end ')" oom
