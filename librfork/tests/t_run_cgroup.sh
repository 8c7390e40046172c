#!/bin/sh
# SPDX-License-Identifier: MIT
# A component's control group stays over cold starts, with what is charged to it; limits that are asked for no more are lifted.
. "$(dirname "$0")/run-lib.sh"
root=/sys/fs/cgroup
grep -qw memory $root/cgroup.controllers 2>/dev/null && [ -w $root/cgroup.procs ] ||
	{ echo "no control groups with memory limits here"; exit 77; }
group=$root/rfork-tests-$$/t
file=/dev/shm/rfork-tests-$$
trap 'for pid in $runner_pid; do kill -9 $pid; done; rm -f $file; rmdir $group ${group%/t}' EXIT

# charged: KiB in the group
charged() {
	echo $(($(cat $group/memory.current) / 1024))
}

start --cgroup $group --cgroup-set memory.max=16777216 --cgroup-set pids.max=50 -- wait
wait_for ' ready '
first=$(ls -di $group)
# In the group: what a component leaves on a tmpfs.
sh -c "echo 0 >$group/cgroup.procs && exec dd if=/dev/zero of=$file bs=64k count=128 2>/dev/null" || fail "nothing was written"
kill "$runner_pid"
finish 0
[ -d $group ] || fail "the group has been removed, and its charge with it"
[ "$(charged)" -ge 8192 ] || fail "only $(charged) KiB are charged"
rm -rf s
start --cgroup $group --cgroup-set memory.max=33554432 -- wait
wait_for ' ready '
equal "$(ls -di $group)" "$first" "another group"
equal "$(cat $group/memory.max) $(cat $group/pids.max)" "33554432 max" "its limits"
[ "$(charged)" -ge 8192 ] || fail "only $(charged) KiB are charged after a cold start"
kill "$runner_pid"
finish 0
equal "$(cat $group/cgroup.procs)" "" "processes were left"
