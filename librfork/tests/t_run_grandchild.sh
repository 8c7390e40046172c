#!/bin/sh
# SPDX-License-Identifier: MIT
# Nothing of a component outlives its end, nor its runner's kill -9: its control group is emptied.
. "$(dirname "$0")/run-lib.sh"
group=/sys/fs/cgroup/koboshi-test-$$/t
mkdir -p "$group" 2>/dev/null && [ -w "$group/cgroup.kill" ] || { echo "no control group with cgroup.kill"; exit 77; }
trap 'for pid in $runner_pid $others; do kill -9 $pid 2>/dev/null; done; rmdir "$group" "${group%/t}" 2>/dev/null' EXIT
start --cgroup "$group" -- grandchild wait >out
wait_for grandchild out
old=$(sed -n 's/grandchild //p' out)
kill "$runner_pid"
finish 0
gone "$old"
[ -z "$(cat "$group/cgroup.procs")" ] || fail "somebody is still in the group"
rm -rf s
start --cgroup "$group" -- grandchild wait >out
wait_for grandchild out
old=$(sed -n 's/grandchild //p' out)
others=$old
kill -9 "$runner_pid"
wait "$runner_pid"
start --cgroup "$group" -- wait
wait_for ' started .*'
gone "$old"
others=""
kill "$runner_pid"
finish 0
rm -rf s
# A restart does not leave the last instance's children behind either.
start --cgroup "$group" --burst 5 -- below:1 grandchild below:1 crash wait >out
wait_for ' ready .*gen=1'
gone "$(sed -n 's/grandchild //p' out)"
kill "$runner_pid"
finish 0
