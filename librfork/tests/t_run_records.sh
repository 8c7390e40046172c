#!/bin/sh
# SPDX-License-Identifier: MIT
# Each event is one well-formed record, numbered from 1 without a gap.
. "$(dirname "$0")/run-lib.sh"
start --on signal,status --burst 50 --ready notify -- below:3 crash notify:READY=1 below:4 exit:9 exit:0
runner=$runner_pid
finish 0
if grep -vE '^rfork-run/1 [0-9]+ [0-9]+\.[0-9]{6} [a-z]+( [a-z_]+=[^ ]+)+$' s/events; then fail "that is no record"; fi
equal "$(cut -d ' ' -f 2 s/events | tr '\n' ' ')" "1 2 3 4 5 6 7 8 "
equal "$(cut -d ' ' -f 4 s/events | tr '\n' ' ')" "started restart restart restart ready restart ready end "
equal "$(count 'restart gen=[123] level=cold backend=[a-z]+ cause=error status=signal:SIGSEGV old=[0-9]+ pid=[0-9]+ fail_us=[0-9]+ start_us=[0-9]+ latency_us=[0-9]+$')" 3
equal "$(value status 'restart gen=4')" exit:9
equal "$(value cause 'restart gen=4')" status
equal "$(value runner started)" "$runner"
equal "$(value boot started)" "$(cut -c 1-8 /proc/sys/kernel/random/boot_id)"
equal "$(value reason end)" exit
equal "$(value status ' end ')" exit:0
