# SPDX-License-Identifier: MIT
# For the tests of rfork-run: sourced. Each runs in a folder of its own; state is "s".
component=tool_component
runner_pid=""
others=""

# Nothing is left behind, however the test ends.
trap 'for pid in $runner_pid $others; do kill -9 $pid 2>/dev/null; done' EXIT

fail() {
	echo "$0: $*"
	[ -f s/events ] && cat s/events
	exit 1
}

# start OPTIONS... -- ACTION...: rfork-run in the background
start() {
	options=
	while [ "$1" != -- ]; do
		options="$options $1"
		shift
	done
	shift
	rfork-run --name t --state s --backend "$RFORK_BACKEND" $options -- "$(command -v $component)" "$@" &
	runner_pid=$!
}

# eventually COMPLAINT COMMAND...: it succeeds within ten seconds
eventually() {
	complaint=$1
	shift
	tries=${tries_most:-200}
	until "$@" 2>/dev/null; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || fail "$complaint"
		sleep 0.05
	done
}

# wait_for TEXT [FILE]: an extended regular expression turns up within ten seconds
wait_for() {
	eventually "no '$1' in ${2:-s/events}" grep -qE -- "$1" "${2:-s/events}"
}

# lines NUMBER FILE: it has so many
lines() {
	[ "$(wc -l <"$2")" = "$1" ]
}

# count TEXT: how many records match
count() {
	cat s/events.1 s/events 2>/dev/null | grep -cE -- "$1"
}

# value KEY TEXT: the key's value in the last record that matches
value() {
	grep -E -- "$2" s/events | tail -n 1 | sed -n "s/.* $1=\([^ ]*\).*/\1/p"
}

# finish STATUS: rfork-run ends so
finish() {
	wait "$runner_pid"
	got=$?
	runner_pid=""
	[ "$got" = "$1" ] || fail "rfork-run ended with $got, not $1"
}

equal() {
	[ "$1" = "$2" ] || fail "'$1' is not '$2'${3:+ ($3)}"
}

# runs PID: it is there, and not a zombie that nobody has reaped yet
runs() {
	case $(sed 's/.*) //; s/ .*//' "/proc/$1/stat" 2>/dev/null) in
	'' | Z | X) return 1 ;;
	esac
}

# gone PID: it is no more, within ten seconds
gone() {
	eventually "process $1 lives" not_there "$1"
}

not_there() {
	! kill -0 "$1"
}
