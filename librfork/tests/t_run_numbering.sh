#!/bin/sh
# SPDX-License-Identifier: MIT
# Numbers go on in the next run, after half a line too, whose own is used up; at 64 KiB the log is begun anew.
. "$(dirname "$0")/run-lib.sh"
start -- exit:0
finish 0
printf 'rfork-run/1 9' >>s/events
start --on status -- exit:1
sleep 0.01
wait "$runner_pid"
equal "$(cut -d ' ' -f 2 s/events | head -n 6 | tr '\n' ' ')" "1 2 3 5 6 7 " "the torn record's number is used up"
rm -rf s
start --burst 100000 -- below:400 restart exit:0
finish 0
[ "$(wc -c <s/events.1)" -le 65536 ] || fail "events.1 is too long"
cat s/events.1 s/events | awk '$2 != NR { exit 1 }' || fail "a gap in the numbers"
equal "$(count ' restart ')" 400
