#!/bin/sh
# SPDX-License-Identifier: MIT
# With --early an instance from a checkpoint may begin before what failed has closed its descriptors, and says so; without it,
# or where it cannot be, none does.
. "$(dirname "$0")/run-lib.sh"

# fail_with OPTIONS...: thirty times by exit, which is told early on more kernels than a crash, with descriptors that take long to close
fail_with() {
	rm -rf s
	start --burst 100 "$@" -- checkpoint hold:400 sleep:30 below:30 restart wait
	wait_for ' restart .*gen=30 '
	equal "$(count ' restart .*level=warm')" 30
	kill "$runner_pid"
	finish 0
}

fail_with
equal "$(count early=yes)" 0
fail_with --early
early=$(count early=yes)
if [ "$RFORK_BACKEND" = kernel ] || ! grep -q '^Seccomp:	0' /proc/self/status; then
	equal "$early" 0
else
	[ "$early" -gt 0 ] || fail "never early"
fi
