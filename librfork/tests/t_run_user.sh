#!/bin/sh
# SPDX-License-Identifier: MIT
# With --user a warm restart works, and the component still goes with its runner.
. "$(dirname "$0")/run-lib.sh"
[ "$(id -u)" = 0 ] && grep -q '^nobody:' /etc/passwd || { echo "no user to change to"; exit 77; }
chmod 755 . "$(dirname "$PWD")"
# where it was built may be closed to others
cp "$(command -v $component)" component
component=$PWD/component
start --user nobody --ready notify -- notify:READY=1 checkpoint below:2 crash wait
wait_for ' ready .*gen=2 '
equal "$(count 'restart .*level=warm')" 2
pid=$(value pid ' ready ')
kill -9 "$runner_pid"
gone "$pid"
