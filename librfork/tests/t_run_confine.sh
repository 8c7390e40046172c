#!/bin/sh
# SPDX-License-Identifier: MIT
# What was not granted is refused by the kernel, in the first instance and in those after it.
. "$(dirname "$0")/run-lib.sh"
[ "$(id -u)" = 0 ] || { echo "only root can take anything away"; exit 77; }
mkdir open closed
: >open/file
: >closed/file
here=$(pwd)
chmod 755 . open closed
# CAP_NET_BIND_SERVICE (10) alone; CAP_SYS_ADMIN (21) not.
start --capabilities 400 --no-new-privileges --burst 5 -- may:10 may:21 privileges below:1 crash wait >out
wait_for ' ready .*gen=1'
wait_for '(.*)' out
tries=100
until [ "$(grep -c 'new privileges' out)" = 2 ] || [ $tries = 0 ]; do tries=$((tries - 1)); sleep 0.05; done
kill "$runner_pid"
finish 0
case $(cat s/events) in
*"missing what="*capabilities*) echo "this kernel has no bounding set of a process's own"; exit 77 ;;
esac
equal "$(sort -u out | tr '\n' ' ')" "capability 10: yes capability 21: no new privileges: no "
rm -rf s
start --read / --write "$here/open" --burst 5 -- open-write:$here/open/file open-write:$here/closed/file \
	open-read:$here/closed/file below:1 crash wait >out
wait_for ' ready .*gen=1'
tries=100
until [ "$(grep -c 'read' out)" = 2 ] || [ $tries = 0 ]; do tries=$((tries - 1)); sleep 0.05; done
kill "$runner_pid"
finish 0
case $(cat s/events) in
*"missing what="*access*) echo "this kernel has no Landlock"; exit 77 ;;
esac
equal "$(grep -c "open/file: granted" out)" 2
equal "$(grep -c "write .*closed/file: Permission denied" out)" 2
equal "$(grep -c "read .*closed/file: granted" out)" 2
