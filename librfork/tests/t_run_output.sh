#!/bin/sh
# SPDX-License-Identifier: MIT
# The component's output is appended to, emptied where it grows too long, and a short one left alone.
. "$(dirname "$0")/run-lib.sh"

# bytes_below COUNT: the output is shorter, within ten seconds
bytes_below() {
	tries=200
	until [ "$(wc -c <out)" -lt "$1" ]; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || fail "out has $(wc -c <out) bytes"
		sleep 0.05
	done
}

echo before >out
start --output out -- say:one wait
wait_for one out
equal "$(head -n 1 out)" before
kill "$runner_pid"
finish 0
rm -rf s
start --output out --on signal -- below:1 fill:300 touch:full below:1 wait say:second wait
tries=200
until [ -e full ]; do
	tries=$((tries - 1))
	[ $tries -gt 0 ] || fail "the output was never filled"
	sleep 0.05
done
bytes_below 1000
# The descriptor is good still, the next instance's too.
kill -KILL "$(value pid ' started ')"
wait_for second out
bytes_below 1000
kill "$runner_pid"
finish 0
