#!/bin/sh
# SPDX-License-Identifier: MIT
# PID 1 of an image for kernels that no glibc of today runs on: runs librfork's tests at both levels of rfork,
# then restarts the machine. Prints what run-tests prints of each level, then
#
#   log: LINE                      the kernel's log of that level
#   conformance: LEVEL end TAINT
#   conformance: error: what PID 1 itself could not do
#
# On the kernel's command line, conformance_limit=SECONDS bounds one program, conformance_jobs=N runs so many
# at a time, conformance_full=1 has them look for races and leaks as often as it takes, and
# conformance_backend=LEVEL leaves the other out.
PATH=/tests:/bin
export PATH

restart() {
	sync
	sleep 1 # for the console: else the kernel's "Restarting system." comes in the middle of the last line
	exec reboot -f
}

error() {
	echo "conformance: error: $*"
	restart
}

# Whether all that a test has left behind ends within ten seconds. What has no command line is the kernel's, or
# dead already. Nothing here may fork: what is forked would be found.
nothing_left() {
	tries=100
	while kill -KILL -- -1 2>/dev/null; left=; do
		for file in /proc/[0-9]*/cmdline; do
			line=
			{ [ $file = /proc/1/cmdline ] || read -r line <$file; } 2>/dev/null
			left=$left${line:+ ${file#/proc/}: $line}
		done
		[ "$left" ] || return 0
		tries=$((tries - 1))
		[ $tries -gt 0 ] || return 1
		sleep 0.1
	done
}

for type in proc sysfs tmpfs; do
	place=/$type
	case $type in sysfs) place=/sys ;; tmpfs) place=/tmp ;; esac
	mount -t $type $type $place || error "$place"
done
ifconfig lo 127.0.0.1 up || error lo
for backend in ${conformance_backend:-user kernel}; do
	setsid sh /tests/run-tests --machine --backend "$backend" --jobs "${conformance_jobs:-1}" --limit "${conformance_limit:-120}" \
		${conformance_full:+--full} </dev/null 2>&1 | cat # a line in one write, which musl's stdio does not do by itself
	nothing_left || error "after the $backend level: processes that do not end: $left"
	dmesg -c | sed 's/^/log: /'
	echo "conformance: $backend end $(cat /proc/sys/kernel/tainted)"
done
restart
