#!/bin/sh
# SPDX-License-Identifier: MIT
# What a full disk does not take is written once there is room: no event is lost, none is cut in two.
. "$(dirname "$0")/run-lib.sh"
mkdir s
mount -t tmpfs -o size=64k,mode=755 tmpfs s 2>/dev/null || { echo "no file system in memory can be mounted"; exit 77; }
trap 'for pid in $runner_pid; do kill -9 $pid; done; umount -l s' EXIT
start --burst 50 -- below:1 wait touch:second wait
wait_for ' ready '
dd if=/dev/zero of=s/fill bs=1 count=200000 2>/dev/null
dd if=/dev/zero bs=1 count=100000 2>/dev/null >>s/events  # to the last byte of its own page too
size=$(wc -c <s/events)
kill -SEGV "$(tr '\0' '\n' <s/events | grep -a ' ready ' | sed -n 's/.* pid=\([0-9]*\) .*/\1/p')"
eventually "no restart on a full disk" [ -e second ]
equal "$(wc -c <s/events)" "$size" "it was full"
rm s/fill
wait_for 'ready pid=[0-9]* gen=1'
kill "$runner_pid"
finish 0
equal "$(tr '\0' '\n' <s/events | grep -a rfork-run/1 | cut -d ' ' -f 2 | tr '\n' ' ')" "1 2 3 4 5 "
