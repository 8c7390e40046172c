#!/bin/sh
# SPDX-License-Identifier: MIT
# A poisoned image is dropped and a cold restart follows; a program whose image is always bad is given up.
. "$(dirname "$0")/run-lib.sh"
start --probation-ms 60000 --burst 10 --window-ms 600000 -- say:cold env:RFORK_GENERATION env:RFORK_CAUSE checkpoint crash >out
finish 1
equal "$(value reason ' end ')" burst
equal "$(sed -n 4,6p out | tr '\n' ' ')" "cold RFORK_GENERATION=2 RFORK_CAUSE=error "
wait_for 'restart gen=1 level=warm'
wait_for 'poisoned old=[0-9]+ status=signal:SIGSEGV'
wait_for 'restart gen=2 level=cold .*cause=error'
wait_for 'restart gen=3 level=warm'
# Generations go on over the groups, and the burst holds over them (each group may go a little past it).
grep ' restart ' s/events | sed 's/.*gen=\([0-9]*\).*/\1/' | awk '$1 != NR { exit 1 }' || fail "generations with a gap"
[ "$(count ' restart ')" -ge 10 ] && [ "$(count ' restart ')" -lt 20 ] || fail "not about ten restarts"
