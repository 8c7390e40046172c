#!/bin/sh
# SPDX-License-Identifier: MIT
# --env-fd: the environment is on no command line, and all instances have it; what is wrong there is said.
. "$(dirname "$0")/run-lib.sh"
printf 'TOKEN=a secret\0EMPTY=\0' >given
start --env-fd 3 --on signal -- env:TOKEN env:EMPTY below:1 crash wait-file:go exit:0 3<given >out
wait_for ' ready .*gen=1'
equal "$(tr '\0' ' ' <"/proc/$runner_pid/cmdline" | grep -c secret)" 0
: >go
finish 0
equal "$(grep -c '^TOKEN=a secret$' out)" 2
equal "$(grep -c '^EMPTY=$' out)" 2
rfork-run --env-fd 3 -- /bin/true 3<&- 2>errors
equal $? 111 "a descriptor that is none"
printf 'TOKEN\0' | rfork-run --env-fd 3 -- /bin/true 3<&0 2>errors
equal $? 100 "no value"
printf 'TOKEN=cut off' | rfork-run --env-fd 3 -- /bin/true 3<&0 2>errors
equal $? 100 "no end"
