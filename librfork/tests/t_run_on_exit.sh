#!/bin/sh
# SPDX-License-Identifier: MIT
# With --on exit, a component that ends with status 0 is started again; it counts against the restart intensity.
. "$(dirname "$0")/run-lib.sh"

component="sh"
start --on exit --burst 5 -- -c 'echo $RFORK_GENERATION $RFORK_CAUSE; [ $RFORK_GENERATION -lt 2 ] || exec sleep 1000' >out
wait_for ' ready .*gen=2 '
equal "$(tr '\n' ' ' <out)" "0 none 1 exit 2 exit "
equal "$(count 'restart gen=[12] level=cold backend=[a-z]+ cause=exit status=exit:0 old=[0-9]+ pid=[0-9]+ ')" 2
# An operator's stop is obeyed, also by a component that ends well after it.
kill "$runner_pid"
finish 0
equal "$(value reason ' end ')" stop
component=tool_component

rm -rf s
start --on exit --burst 3 -- exit:0
finish 1
equal "$(count ' restart ')" 3
equal "$(value reason ' end ')" burst

# Other ends are none of its business.
rm -rf s
start --on exit -- exit:3
finish 1
equal "$(value reason ' end ')" exit
rm -rf s
start --on status -- exit:0
finish 0
equal "$(count ' restart ')" 0

# From a checkpoint too, it begins at the start of the program.
rm -rf s
start --on exit --burst 1 -- checkpoint exit:0
finish 1
equal "$(count 'restart gen=1 level=cold .*cause=exit')" 1
