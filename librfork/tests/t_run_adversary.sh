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

# The runner kills the component's process group with the component's rights.
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
