#!/bin/sh
# SPDX-License-Identifier: MIT
# Half a line, which a full disk or a killed runner has left, is an event for nobody, and no number is used twice.
. "$(dirname "$0")/run-lib.sh"

# Every line of both files is whole, and the numbers grow.
whole() {
	cat s/events.1 s/events 2>/dev/null | grep -av '^x*$' >all
	grep -avE '^rfork-run/1 [0-9]+ [0-9]+\.[0-9]{6} (started|ready|restart|end) [a-z_]+=.*[a-z0-9:A-Z]$' all && fail "half a line: $1"
	grep -aE ' (ready|restart) ' all | grep -avE ' (downtime_us|latency_us)=[0-9]+$' && fail "half a line: $1"
	cut -d ' ' -f 2 all | sort -c -n -u || fail "a number twice: $1"
	tail -c 1 s/events | od -c | grep -q '\\n' || fail "half a line at the end: $1"
}

# again: one more run, which records started, ready and end
again() {
	start --on none -- exit:0
	finish 0
	whole "$1"
}

for torn in 'rfork-run/1 4 12.345678 end reason=bu' 'rfork-run/1 4' 'rfork' 'rfork-run/1 4 12.345678 started runner=4 pid=12'; do
	rm -rf s
	again "the first run"
	printf %s "$torn" >>s/events
	again "after '$torn'"
	equal "$(count ' started ')" 2
	mv s/events s/events.1
	printf %s "$torn" >s/events
	again "after '$torn' alone in its file"
	equal "$(count ' started ')" 3
done
# What is no line at all, as after a power cut, does not hide the last number.
head -c 5000 /dev/zero >>s/events
again "after zeros"

rm -rf s
mkdir s
mount -t tmpfs -o size=64k,mode=755 tmpfs s 2>/dev/null || { echo "no file system in memory can be mounted"; exit 77; }
trap 'for pid in $runner_pid; do kill -9 $pid; done; umount -l s' EXIT

# fill ROOM: nothing can be written but so many bytes at the end of the log
fill() {
	{ head -c $((4096 - $(wc -c <s/events) - $1 - 1)) /dev/zero | tr '\0' x; echo; } >>s/events
	dd if=/dev/zero of=s/fill bs=1 count=200000 2>/dev/null
	equal "$(wc -c <s/events)" $((4096 - $1)) "filled"
}

# pid: that of the instance
pid() {
	grep -aE ' pid=' s/events | tail -n 1 | sed 's/.* pid=\([0-9]*\).*/\1/'
}

for room in 1 13 40 90; do
	rm -rf s/* second
	: >errors
	start --burst 50 -- below:1 wait touch:second wait
	wait_for ' ready '
	fill $room
	kill -SEGV "$(pid)"
	eventually "no restart on a full disk" [ -e second ]
	eventually "it was not tried" grep -qa 'write s/events' errors
	whole "$room bytes of room"
	kill -9 "$runner_pid"
	wait "$runner_pid" 2>/dev/null
	rm s/fill
	again "after a kill, with $room bytes of room"
	equal "$(grep -ac ' started ' s/events)" 2
done 2>>errors

# The end is told too, once there is room.
rm -rf s/*
start --on none -- wait exit:0
wait_for ' ready '
fill 13
last=$(pid)
kill -KILL "$last"
gone "$last"
runs "$runner_pid" || fail "the end is lost"
rm s/fill
finish 1
wait_for ' end reason=exit'
whole "the end"
