#!/bin/sh
# SPDX-License-Identifier: MIT
# rfork-run says why it cannot write the output, once for each reason, and the component goes on.
. "$(dirname "$0")/run-lib.sh"
mkdir full
mount -t tmpfs -o size=8k,mode=755 tmpfs full 2>/dev/null || { echo "no file system in memory can be mounted"; exit 77; }
trap 'for pid in $runner_pid; do kill -9 $pid; done; umount -l full' EXIT
dd if=/dev/zero of=full/fill bs=4096 count=2 2>/dev/null
start --output full/out --output-rate 100000000 --ready notify -- fill:64 say:more fill:64 notify:READY=1 wait-file:go say:again exit:0 2>errors
wait_for ' ready '
equal "$(cat errors)" "rfork-run: write full/out: No space left on device"
rm full/fill
touch go
finish 0
equal "$(tail -n 1 full/out)" again
