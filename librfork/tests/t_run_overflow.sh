#!/bin/sh
# SPDX-License-Identifier: MIT
# A disk that stays full loses the oldest of the events that are held: the newest tell how the component is.
. "$(dirname "$0")/run-lib.sh"
restarts=500
mkdir s
mount -t tmpfs -o size=128k,mode=755 tmpfs s 2>/dev/null || { echo "no file system in memory can be mounted"; exit 77; }
trap 'for pid in $runner_pid; do kill -9 $pid; done; umount -l s' EXIT
start --burst 100000 -- wait-file:go below:$restarts crash touch:over wait
wait_for ' ready '
{ head -c $((4096 - $(wc -c <s/events) - 1)) /dev/zero | tr '\0' x; echo; } >>s/events
dd if=/dev/zero of=s/fill bs=1 count=200000 2>/dev/null
: >go
tries=600
until [ -e over ]; do
	tries=$((tries - 1))
	[ $tries -gt 0 ] || fail "not $restarts restarts"
	sleep 0.1
done
grep -q " gen=$restarts " s/events && fail "it was not full"
rm s/fill
wait_for " ready pid=[0-9]* gen=$restarts "
cat s/events.1 s/events 2>/dev/null | grep -v '^x*$' >all
grep -vE '^rfork-run/1 [0-9]+ [0-9]+\.[0-9]{6} [a-z]+ [a-z_]+=.*[a-z0-9:A-Z]$' all && fail "half a line"
cut -d ' ' -f 2 all | sort -c -n -u || fail "a number twice"
[ "$(wc -l <all)" -lt $((2 * restarts)) ] || fail "all were held: that tests nothing"
kill "$runner_pid"
finish 0
