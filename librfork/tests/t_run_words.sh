#!/bin/sh
# SPDX-License-Identifier: MIT
# The last words of an instance are kept with the number of the record of its end: its own, however soon the next one speaks.
. "$(dirname "$0")/run-lib.sh"

# words TEXT: what was kept with the last record that matches; a slot has 512 bytes and begins with NUMBER LENGTH
words() {
	number=$(grep -E -- "$1" s/events | tail -n 1 | cut -d ' ' -f 2)
	for slot in 0 1 2 3 4 5 6 7; do
		dd if=s/words bs=512 skip=$slot count=1 2>/dev/null | tr -d '\0' >slot
		[ "$(head -n 1 slot | cut -d ' ' -f 1)" = "$number" ] && sed 1d slot
	done
}

# rfork-run sleeps while one instance crashes and the next one speaks.
start --output out --ready notify -- env:RFORK_GENERATION notify:READY=1 below:1 wait-file:go below:1 crash touch:second wait
wait_for ' ready '
kill -STOP "$runner_pid"
touch go
eventually "no second instance" [ -e second ]
kill -CONT "$runner_pid"
wait_for ' ready .*gen=1'
wait_for "=1" out
equal "$(words ' restart ')" RFORK_GENERATION=0
equal "$(tr '\n' ' ' <out)" "RFORK_GENERATION=0 RFORK_GENERATION=1 "
kill "$runner_pid"
finish 0
equal "$(words ' end ')" RFORK_GENERATION=1

# Many in a row, each with its own.
rm -rf s out
start --output out --burst 1000 -- env:RFORK_GENERATION below:30 crash exit:0
finish 0
equal "$(words ' restart gen=30 ')" RFORK_GENERATION=29
equal "$(words ' restart gen=27 ')" RFORK_GENERATION=26
equal "$(words ' end ')" RFORK_GENERATION=30
equal "$(wc -c <s/words)" 4096 "bytes in eight slots"

# The end of a long output, also of what the rate has left out; zeros are as good as other bytes.
rm -rf s out
component="sh"
start --output out --output-rate 1 -- -c 'dd if=/dev/zero bs=10000 count=1 2>/dev/null; echo the end'
finish 0
equal "$(words ' end ')" "the end"
equal "$(dd if=s/words bs=512 count=1 2>/dev/null | head -n 1 | cut -d ' ' -f 2)" 480 "bytes are kept"

# A terminal is no file to look into afterwards.
[ -c /dev/ptmx ] || { echo "no pseudo-terminals"; exit 77; }
rm -rf s
tool_terminal tty >seen &
others=$!
eventually "no terminal" test -e tty
start --output tty --output-rate 100000 -- -c 'echo out of paper >&2; exit 3'
finish 1
equal "$(words ' end ')" "out of paper"
