#!/bin/sh
# SPDX-License-Identifier: MIT
# --keep starts a program anew when it fails, lets it end when it ends well, and takes it along when it is killed.
. "$(dirname "$0")/run-lib.sh"

rfork-run --keep -- /bin/sh -c 'echo $$ >>pids; [ $(wc -l <pids) -lt 2 ] || exec sleep 1000; kill -SEGV $$' &
runner_pid=$!
eventually "it was not started anew" lines 2 pids
second=$(tail -n 1 pids)
kill -KILL "$second"
eventually "it was not started anew after a kill" lines 3 pids
kill -KILL "$runner_pid"
gone "$(tail -n 1 pids)"
rfork-run --keep -- /bin/sh -c 'exit 0' &
runner_pid=$!
finish 0
