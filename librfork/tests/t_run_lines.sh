#!/bin/sh
# SPDX-License-Identifier: MIT
# What a component says on a terminal cannot be taken for a record, for a message of the kernel's, or for another's line.
. "$(dirname "$0")/run-lib.sh"

export LC_ALL=C
[ -c /dev/ptmx ] || { echo "no pseudo-terminals"; exit 77; }
tool_terminal tty >>seen &
others=$!
eventually "no terminal" test -e tty

# expect TEXT PRINTED: this line, as it comes for what printf is given
expect() {
	rm -rf s
	component="sh"
	start --output tty --output-rate 100000 -- -c "printf '$2'; tool_component say:done wait"
	wait_for '^t: done$' seen
	kill "$runner_pid"
	finish 0
	grep -qxF -- "$1" seen || { cat -v seen; fail "no line '$1'"; }
	# No byte that is a control character, and no line without the name.
	[ "$(tr -d '\012\011\040-\176\200-\377' <seen | wc -c)" = 0 ] || fail "control characters for $2"
	[ "$(grep -cv '^t: ' seen)" = 0 ] || fail "a line without a name for $2"
	: >seen
}

expect 't: koboshi/\1 7 1.000000 given-up component=b *00000000' 'koboshi/1 7 1.000000 given-up component=b *00000000\n'
expect 't: x koboshi-reply/\1 7' 'x koboshi-reply/1 7\n'
expect 't: /etc/koboshi/koboshi.toml [1/3] [12]' '/etc/koboshi/koboshi.toml [1/3] [12]\n'
expect 't: [\    1.234567] Kernel panic' '[    1.234567] Kernel panic\n'
expect 't: Kernel panic' 'a\rKernel panic\r\n'
expect 't: BUG: forged' 'a\nBUG: forged\n'
expect 't: ?[2J?]0;owned??' '\033[2J\033]0;owned\007\000\n'
expect "$(printf 't: ?2J Gr\302?e')" '\2332J Gr\302\233e\n'
expect "$(printf 't: Gr\303\274\303\237e \342\202\254')" 'Gr\303\274\303\237e \342\202\254\n'
expect 't: @sh-\0123abcd' '@sh-0123abcd\n'

# In two parts, with other words in between of which the runner knows nothing; and half a line at the end.
: >seen
rm -rf s
component="sh"
start --output tty --output-rate 100000 -- -c "printf kobo; tool_component wait-file:go; printf 'shi/1 5 '; exec tool_component wait"
wait_for '^t: kobo$' seen
: >go
wait_for '^t: shi/1 5 $' seen
kill "$runner_pid"
finish 0
equal "$(grep -c . seen)" 2

# A line without an end is cut.
: >seen
rm -rf s
component=tool_component
start --output tty --output-rate 100000 -- fill:2 say: say:after wait
wait_for '^t: after$' seen
[ "$(grep -vc '^t: ' seen)" = 0 ] || fail "a part without a name"
[ "$(awk '{ if (length($0) > most) most = length($0) } END { print most }' seen)" -le 1100 ] || fail "a line that is too long"
equal "$(tr -d -c . <seen | wc -c)" 2048
kill "$runner_pid"
finish 0
