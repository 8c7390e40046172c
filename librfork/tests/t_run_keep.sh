#!/bin/sh
# SPDX-License-Identifier: MIT
# --keep starts a program anew when it fails, lets it end when it ends well, and takes it along when it is killed.
. "$(dirname "$0")/run-lib.sh"

rfork-run --keep -- /bin/sh -c 'echo $$ >>pids; [ $(wc -l <pids) -lt 2 ] || exec sleep 1000; kill -SEGV $$' &
runner_pid=$!
tries=200
until [ "$(wc -l <pids 2>/dev/null || echo 0)" = 2 ]; do
	tries=$((tries - 1))
	[ $tries -gt 0 ] || fail "it was not started anew"
	sleep 0.05
done
second=$(tail -n 1 pids)
kill -KILL "$second"
tries=200
until [ "$(wc -l <pids)" = 3 ]; do
	tries=$((tries - 1))
	[ $tries -gt 0 ] || fail "it was not started anew after a kill"
	sleep 0.05
done
kill -KILL "$runner_pid"
gone "$(tail -n 1 pids)"
rfork-run --keep -- /bin/sh -c 'exit 0' &
runner_pid=$!
finish 0
