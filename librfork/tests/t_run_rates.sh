#!/bin/sh
# SPDX-License-Identifier: MIT
# Records that a component can cause as often as it likes: a burst, then few, which say how many were left out. More time ends.
. "$(dirname "$0")/run-lib.sh"

# events TEXT: how many events the records stand for
events() {
	cat s/events.1 s/events 2>/dev/null | grep -E -- "$1" | awk '{
		n++
		for (i = 1; i <= NF; i++) if (sub(/^left_out=/, "", $i)) n += $i
	} END { print n + 0 }'
}

few() {
	[ "$(count "$1")" -lt "$2" ] || fail "$(count "$1") records '$1'"
}

# all NUMBER TEXT: the records stand for so many events
all() {
	[ "$(events "$2")" = "$1" ]
}

many=$(i=0; while [ $i -lt 60 ]; do echo store:x; i=$((i + 1)); done)
start --ready notify --store 1 -- $many notify:READY=1 wait
wait_for ' ready '
few ' store full=1' 30
eventually "not all are told of" all 59 ' store full=1'
kill "$runner_pid"
finish 0
rm -rf s

many=$(i=0; while [ $i -lt 60 ]; do echo checkpoint; i=$((i + 1)); done)
start -- $many exit:0
finish 0
few ' checkpoint ' 40
all 60 ' checkpoint ' || fail "they stand for $(events ' checkpoint ')"
rm -rf s

# A whole day is asked for at each SIGTERM, and one second can be had.
start --ready notify --stop-ms 1000 --extend-max-ms 1000 -- hold-signal:15 notify:READY=1 await-signal:15 \
	notify:EXTEND_TIMEOUT_USEC=86400000000 notify:EXTEND_TIMEOUT_USEC=86400000000 wait
wait_for ' ready '
kill "$runner_pid"
finish 0
few ' extend ' 2
ms=$(value ms ' extend ')
[ "$ms" -le 2000 ] || fail "it was promised $ms ms"
rm -rf s

# It asks for more time again and again: few records, and each of them tells of more.
many=$(i=0; while [ $i -lt 200 ]; do echo notify:EXTEND_TIMEOUT_USEC=2000000 sleep:5; i=$((i + 1)); done)
start --ready notify --stop-ms 1000 -- hold-signal:15 notify:READY=1 await-signal:15 $many exit:0
wait_for ' ready '
kill "$runner_pid"
finish 0
few ' extend ' 12
rm -rf s

# A component that asks for less time than it has loses none: one with an hour says that it needs a millisecond.
start --ready notify --stop-ms 3600000 -- hold-signal:15 notify:READY=1 await-signal:15 notify:EXTEND_TIMEOUT_USEC=1000 notify:STATUS=on \
	sleep:500 exit:0
wait_for ' ready '
kill "$runner_pid"
finish 0
wait_for ' status .*text=on'
wait_for ' end reason=stop status=exit:0'
rm -rf s

# Whoever asks for a stop twice means it. (kill is not part of every shell.)
start --ready notify --stop-ms 600000 -- hold-signal:15 notify:READY=1 await-signal:15 notify:EXTEND_TIMEOUT_USEC=900000000 notify:STATUS=on wait
wait_for ' ready '
tool_component term:$runner_pid wait-file:again term:$runner_pid &
others=$!
wait_for ' status .*text=on'
: >again
wait "$others"
others=""
finish 0
wait_for ' end reason=stop status=signal:SIGKILL'
rm -rf s

# Another that asks too ends only what was added: this is the usual time again.
start --ready notify --stop-ms 1000 -- hold-signal:15 notify:READY=1 await-signal:15 notify:EXTEND_TIMEOUT_USEC=60000000 notify:STATUS=on wait
wait_for ' ready '
kill "$runner_pid"
wait_for ' extend '
sh -c "kill $runner_pid; :"
finish 0
wait_for ' end reason=stop status=signal:SIGKILL'
