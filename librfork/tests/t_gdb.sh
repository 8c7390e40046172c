#!/bin/sh
# SPDX-License-Identifier: MIT
# gdb attaches to an instance, looks into it and lets it crash; the component is restarted, untraced, and gdb attaches again.
. "$(dirname "$0")/run-lib.sh"
read -r release </proc/sys/kernel/osrelease
case $release in
2.*) echo "skipped: a gdb of today does not run on Linux $release; t_ptrace does what gdb does" && exit 77 ;;
esac
command -v gdb >/dev/null || { echo "skipped: no gdb here; t_ptrace does what gdb does"; exit 77; }
start --burst 50 --ready notify -- checkpoint notify:READY=1 wait
wait_for ' ready '
pid=$(value pid started)
for generation in 1 2; do
	gdb -nx -q -batch -ex 'info registers rip' -ex 'backtrace 1' -ex 'signal SIGSEGV' \
		-p "$pid" >gdb.log 2>&1 </dev/null || fail "$(cat gdb.log)"
	grep -q '^rip ' gdb.log || fail "$(cat gdb.log)"
	grep -q 'terminated with signal SIGSEGV' gdb.log || fail "$(cat gdb.log)"
	wait_for "restart gen=$generation .*status=signal:SIGSEGV old=$pid "
	pid=$(value pid "restart gen=$generation ")
	grep -q '^TracerPid:	0$' "/proc/$pid/status" || fail "process $pid is traced"
done
kill "$runner_pid"
finish 0
