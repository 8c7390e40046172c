#!/bin/sh
# SPDX-License-Identifier: MIT
# The component's output is appended to, over its restarts; a ring of two files keeps it short; what comes too fast is counted.
. "$(dirname "$0")/run-lib.sh"

echo before >out
start --output out --on signal -- below:1 say:one below:1 wait say:two wait
wait_for one out
equal "$(head -n 1 out)" before
kill -KILL "$(value pid ' started ')"
wait_for two out
equal "$(tr '\n' ' ' <out)" "before one two "
kill "$runner_pid"
finish 0

# The last words before a crash are there, and so are the first ones after it, also where it is never read in time.
rm -rf s out
start --output out --on signal --burst 1000 -- say:word below:50 crash say:end exit:0
finish 0
equal "$(grep -c word out)" 51
equal "$(tail -n 1 out)" end

# Two files, and the newest of it in them.
rm -rf s out
start --output out --output-rate 100000000 -- fill:300 say:last wait
wait_for last out
[ "$(wc -c <out)" -le 131072 ] || fail "out has $(wc -c <out) bytes"
[ "$(wc -c <out.1)" -le 131072 ] || fail "out.1 has $(wc -c <out.1) bytes"
kill "$runner_pid"
finish 0

# What is beyond the rate is left out, and its length is in its place once there is room again.
rm -rf s out out.1
start --output out --output-rate 4096 -- fill:300 wait
wait_for ' ready '
size=$(wc -c <out)
[ "$size" -le 20480 ] || fail "out has $size bytes"
kill "$runner_pid"
finish 0
