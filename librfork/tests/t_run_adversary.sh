#!/bin/sh
# SPDX-License-Identifier: MIT
# A component is an adversary: what it sends to the runner, and the process group that it joins, harm only itself.
. "$(dirname "$0")/run-lib.sh"

# A connection whose close(2) waits for 1,000 seconds: the runner does not wait.
for store in "" "--store 2"; do
	start --ready notify $store -- notify:READY=1 linger notify:STATUS=after wait
	wait_for ' status .*text=after'
	kill "$runner_pid"
	finish 0
	rm -rf s
done

# A mark that makes the newline one of an instance that does not exist: the next instance is ready all the same.
forge='[ "$RFORK_GENERATION" != 0 ] || { printf "\\001999\\002\\n" >&5; exit 3; }; exec tool_component ready-fd:5 wait'
component="sh"
start --ready fd:5 --on status -- -c "$forge"
wait_for ' ready .*gen=1'
equal "$(count ' ready ')" 1
kill "$runner_pid"
finish 0
rm -rf s

# A process that is not the component's says READY=1, and is gone before the runner looks: it may be anybody of that user.
# What the component itself says afterwards has been read after that.
component=tool_component
start --ready notify --heartbeat-ms 60000 -- wait-file:go notify:STATUS=mine wait
wait_for ' started '
NOTIFY_SOCKET=$PWD/s/notify tool_component "stranger:$runner_pid"
: >go
wait_for ' status .*text=mine'
equal "$(count 'stranger')" 0
equal "$(count ' ready ')" 0
kill "$runner_pid"
finish 0
rm -rf s go

# Processes that never stop sending: the missed heartbeat is noticed all the same, and so is the stop.
start --ready notify --heartbeat-ms 300 -- notify:READY=1 below:1 flood wait
wait_for ' restart gen=1 .*cause=heartbeat '
kill "$runner_pid"
finish 0
rm -rf s

# The process group that a component joins is not the one that its runner kills.
[ "$(id -u)" = 0 ] && grep -q '^nobody:' /etc/passwd || exit 0
chmod 755 . "$(dirname "$PWD")"
cp "$(command -v tool_component)" component
component=$PWD/component
"$component" group:0 wait &
victim=$!
others=$victim
eventually "no group $victim" kill -0 "-$victim"
start --user nobody --ready notify -- "group:$victim" notify:READY=1 wait
wait_for ' ready '
kill "$runner_pid"
finish 0
runs "$victim" || fail "another group was killed"
