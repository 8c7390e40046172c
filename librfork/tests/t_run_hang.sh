#!/bin/sh
# SPDX-License-Identifier: MIT
# What hangs is looked at and may speak before it is killed, and its downtime begins with its last sign of life.
. "$(dirname "$0")/run-lib.sh"

# hangs OPTIONS... -- ACTION...: until its second instance is ready, which a busy machine must not let hang too
hangs() {
	rm -rf s
	start --heartbeat-ms 1500 --ready notify "$@"
	wait_for ' ready .*gen=1 '
	kill "$runner_pid"
	finish 0
	equal "$(count 'restart gen=1 .*cause=heartbeat')" 1
	equal "$(head -n 1 s/hang | cut -d ' ' -f 1)" "$(value old ' restart gen=1 ')" "the process that hung"
}

# at_least NUMBER NUMBER
at_least() {
	[ "$1" -ge "$2" ] || fail "$1 is less than $2"
}

# Asleep, busy and stopped: the state, the registers and the place in the program.
hangs -- notify:READY=1 below:1 wait beat:50
grep -q '^state=S$' s/hang || fail "not asleep: $(cat s/hang)"
grep -qE '^rip=[0-9a-f]+$' s/hang || fail "no registers: $(cat s/hang)"
grep -qE '^rsp=[0-9a-f]+$' s/hang || fail "no registers: $(cat s/hang)"
grep -qE '^/.*\+0x[0-9a-f]+$' s/hang || fail "no place: $(cat s/hang)"
hangs -- notify:READY=1 below:1 spin beat:50
grep -q '^state=R$' s/hang || fail "not busy: $(cat s/hang)"
grep -qE '^/.*tool_component\+0x[0-9a-f]+$' s/hang || fail "no place: $(cat s/hang)"

# The C library does not use up the callers.
hangs -- notify:READY=1 below:1 deep:20 beat:50
[ "$(grep -c 'tool_component+0x' s/hang)" -ge 6 ] || fail "too few callers of its own: $(cat s/hang)"

# Detection is told apart from recovery, and belongs to the downtime.
at_least "$(value detect_us ' restart gen=1 ')" 1500000
at_least "$(value downtime_us ' ready .*gen=1 ')" "$(value detect_us ' restart gen=1 ')"

# A limit of STOPPING=1 and one of readiness are hangs too.
rm -rf s
start --ready notify --ready-ms 100 --stop-ms 100 -- below:1 wait notify:READY=1 below:2 notify:STOPPING=1 below:2 wait wait
wait_for ' ready .*gen=2 '
kill "$runner_pid"
finish 0
at_least "$(value detect_us 'restart gen=1 ')" 100000
at_least "$(value detect_us 'restart gen=2 ')" 100000
# A crash is none.
rm -rf s
start --ready notify --heartbeat-ms 5000 -- notify:READY=1 below:1 crash wait
wait_for ' ready .*gen=1 '
kill "$runner_pid"
finish 0
equal "$(count detect_us)" 0

# The signal comes first. What it ends has that status, and what ignores it is killed.
hangs --heartbeat-signal SIGABRT -- notify:READY=1 below:1 wait beat:50
equal "$(value status ' restart gen=1 ')" signal:SIGABRT
hangs --heartbeat-signal SIGTERM --stop-ms 100 -- notify:READY=1 below:1 ignore-term below:1 wait beat:50
equal "$(value status ' restart gen=1 ')" signal:SIGKILL

# A handler's words are the last ones, and its exit is still the end of a hang.
component="sh"
hangs --output out --heartbeat-signal SIGABRT --stop-ms 5000 -- -c \
	'trap "echo stuck in the loop; exit 0" ABRT; tool_component notify:READY=1 barrier
	if [ $RFORK_GENERATION = 0 ]; then while :; do :; done; else exec tool_component beat:50; fi'
equal "$(value status ' restart gen=1 ')" exit:0
equal "$(cat out)" "stuck in the loop"
