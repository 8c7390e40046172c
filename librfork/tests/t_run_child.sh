#!/bin/sh
# SPDX-License-Identifier: MIT
# The component gets the environment, directory, limits, output and user that were asked for.
. "$(dirname "$0")/run-lib.sh"
component="sh"
start --env A=1 --env B=x=y --directory / --rlimit nofile=77 --output "$PWD/out" -- \
	-c 'echo "$A $B $(pwd) $(ulimit -n) $RFORK_GENERATION $RFORK_CAUSE"; echo oops >&2'
finish 0
equal "$(head -n 1 out)" "1 x=y / 77 0 none"
equal "$(tail -n 1 out)" oops
rm -rf s out
[ "$(id -u)" = 0 ] && grep -q '^nobody:' /etc/passwd || { echo "no user to change to"; exit 77; }
uid=$(sed -n 's/^nobody:[^:]*:\([0-9]*\):.*/\1/p' /etc/passwd)
start --user nobody --output "$PWD/out" -- -c 'id -u; id -G'
finish 0
equal "$(head -n 1 out)" "$uid"
equal "$(sed -n 2p out)" "$(sed -n 's/^nobody:[^:]*:[^:]*:\([0-9]*\):.*/\1/p' /etc/passwd)"
