#!/bin/sh
# SPDX-License-Identifier: MIT
# After a restart the next instance is made ahead, but not with --no-spare; restarts follow either way.
. "$(dirname "$0")/run-lib.sh"

tool_component can:keep-spare || { echo "skipped: this backend makes nothing in advance" >&2; exit 77; }

# standing_by PARENT: how many of its children are there for restarts: the kernel's templates, the monitor's but the instance
standing_by() {
	children=$(grep -l "^PPid:	$1\$" /proc/[0-9]*/status)
	if [ "$RFORK_BACKEND" = kernel ]; then
		grep -l '^Rfork:	template' $children | wc -l
	else
		echo "$children" | grep -vc "/$(value pid ' restart ')/"
	fi
}

more_than() {
	[ "$(standing_by "$2")" -gt "$1" ]
}

exactly() {
	[ "$(standing_by "$2")" = "$1" ]
}

# restarts_with OPTIONS...
restarts_with() {
	rm -rf s
	start --burst 50 "$@" -- below:3 crash wait
	wait_for ' restart .*gen=3 '
	parent=$runner_pid
	[ "$RFORK_BACKEND" = kernel ] || parent=$(sed 's/.*) . //; s/ .*//' "/proc/$(value pid ' restart ')/stat")
}

stop() {
	kill "$runner_pid"
	finish 0
}

alone=0
[ "$RFORK_BACKEND" != kernel ] || alone=1	# the template
restarts_with
eventually "no next instance" more_than $alone "$parent"
stop
restarts_with --no-spare
sleep 0.3
eventually "there are others" exactly $alone "$parent"
stop
