#!/bin/sh
# SPDX-License-Identifier: MIT
# Files that somebody removes or moves while they are written to are made again, within their bounds.
. "$(dirname "$0")/run-lib.sh"
start --burst 50 --output out --output-rate 100000000 -- say:begun below:1 wait fill:300 say:filled below:2 wait wait
wait_for ' ready .*gen=0 '
wait_for begun out
first=$(value pid ' ready ')
rm s/events out
kill -SEGV "$first"
wait_for 'rfork-run/1 3 .* restart .*gen=1 '
wait_for 'rfork-run/1 4 .* ready .*gen=1 '
wait_for filled out
[ "$(wc -c <out)" -le 131072 ] || fail "out is too long"
second=$(value pid ' ready ')
mv s/events moved
mv out out-moved
kill -SEGV "$second"
wait_for 'rfork-run/1 5 .* restart .*gen=2 '
wait_for filled out
[ "$(wc -c <out)" -le 131072 ] || fail "out is too long"
equal "$(wc -l <moved)" 2
[ "$(wc -c <out-moved)" -le 131072 ] || fail "out-moved is too long"
wait_for ' ready .*gen=2 '
kill "$runner_pid"
finish 0
