#!/bin/sh
# SPDX-License-Identifier: MIT
# What an instance stores (FDSTORE=1) the next one has, after the sockets of --listen, and the one after that;
# what it gets and stores again is there once; what it takes out is gone.
. "$(dirname "$0")/run-lib.sh"
port=$(tool_component free-port)
# rfork-run has what is stored when it is ready; a crash in the same moment could come before that.
start --ready notify --listen "tcp:127.0.0.1:$port" --store 2 --burst 9 -- env:LISTEN_FDS env:LISTEN_FDNAMES stored:4 stored:5 say:. \
	below:1 store:one below:1 notify:READY=1 below:1 wait-file:go1 below:1 crash \
	below:2 store-again:one below:2 store:two below:2 notify:READY=1 below:2 wait-file:go2 below:2 crash \
	below:3 store:three unstore:one below:3 notify:READY=1 below:3 wait-file:go3 below:3 crash \
	notify:READY=1 wait >out
for generation in 0 1 2; do
	wait_for " ready .*gen=$generation"
	: >"go$((generation + 1))"
done
wait_for ' ready .*gen=3'
kill "$runner_pid"
finish 0
cat >wanted <<'END'
LISTEN_FDS=1
LISTEN_FDNAMES=(none)
4=
5=
.
LISTEN_FDS=2
LISTEN_FDNAMES=listen:one
4=one
5=
.
LISTEN_FDS=3
LISTEN_FDNAMES=listen:one:two
4=one
5=two
.
LISTEN_FDS=2
LISTEN_FDNAMES=listen:two
4=two
5=
.
END
equal "$(cat out)" "$(cat wanted)"
equal "$(count ' store full=2')" 1
rfork-run --name t --store 17 -- /bin/true 2>errors
equal $? 100
rfork-run --name t --store 16 --listen tcp:80 -- /bin/true 2>errors
equal $? 100
rfork-run --name t --store 1 --ready fd:4 -- /bin/true 2>errors
equal $? 100
