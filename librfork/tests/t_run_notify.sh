#!/bin/sh
# SPDX-License-Identifier: MIT
# sd_notify: the status is recorded, more time is given, an ending component need not beat, MAINPID= may speak.
. "$(dirname "$0")/run-lib.sh"
text="STATUS=90% done, a*b"
component="sh"
# A child that speaks must be there until its message has been read.
start --ready notify -- -c "tool_component 'notify:$text' notify:READY=1 barrier; exec tool_component wait"
wait_for ' status pid=[0-9]+ text=90%25%20done,%20a%2Ab$'
wait_for ' ready '
kill "$runner_pid"
finish 0
rm -rf s
component=tool_component
# Half a second to be ready, but it asks for a minute.
start --ready notify --ready-ms 500 --burst 1 -- notify:EXTEND_TIMEOUT_USEC=60000000 sleep:1500 notify:READY=1 wait
wait_for ' ready '
equal "$(count ' restart ')" 0
kill "$runner_pid"
finish 0
rm -rf s
# It beats no more once it has said that it is stopping.
start --ready notify --heartbeat-ms 300 -- notify:READY=1 notify:STOPPING=1 sleep:1500 say:ended wait >out
wait_for ended out
equal "$(count ' restart ')" 0
kill "$runner_pid"
finish 0
rm -rf s
# One that hangs in its own way out is killed after --stop-ms, with or without a heartbeat.
for option in --no-spare '--heartbeat-ms 10000'; do
	start --ready notify --stop-ms 300 $option -- notify:READY=1 below:1 notify:STOPPING=1 wait
	wait_for ' restart gen=1 .*cause=heartbeat status=signal:SIGKILL '
	wait_for ' ready .*gen=1 '
	kill "$runner_pid"
	finish 0
	rm -rf s
done
# An operator's restart takes longer if the component asks for it.
start --ready notify --stop-ms 1000 -- hold-signal:15 notify:READY=1 below:1 await-signal:15 below:1 notify:EXTEND_TIMEOUT_USEC=60000000 \
	below:1 sleep:2000 below:1 restart wait
wait_for ' ready '
kill -USR1 "$runner_pid"
wait_for ' restart gen=1 .*cause=operator status=exit:'
kill "$runner_pid"
finish 0
rm -rf s
# A stop takes longer if the component asks for it.
start --ready notify --stop-ms 1000 -- hold-signal:15 notify:READY=1 notify:EXTEND_TIMEOUT_USEC=60000000 await-signal:15 \
	notify:EXTEND_TIMEOUT_USEC=60000000 sleep:2000 touch:finished exit:0
wait_for ' ready '
kill "$runner_pid"
wait_for ' extend .*ms=60000'
finish 0
[ -e finished ] || fail "it was not given the time"
