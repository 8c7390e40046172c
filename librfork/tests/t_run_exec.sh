#!/bin/sh
# SPDX-License-Identifier: MIT
# A program that cannot be executed is never ready and never restarted: one record says why, also with --on status.
. "$(dirname "$0")/run-lib.sh"

# refused REASON STATUS: the only records are its start and its end
refused() {
	finish 1
	equal "$(count ' (ready|restart) ')" 0
	equal "$(value reason ' end ')" exec
	equal "$(value status ' end ')" "$2"
	equal "$(value error ' end ' | sed 's/%20/ /g')" "$1"
	rm -rf s
}

# run OPTIONS... -- PROGRAM
run() {
	rfork-run --name t --state s --backend "$RFORK_BACKEND" --on signal,status "$@" 2>errors &
	runner_pid=$!
}

run -- /no/such/program
refused "cannot execute /no/such/program: No such file or directory" exit:127
touch plain
run -- "$PWD/plain"
refused "cannot execute $PWD/plain: Permission denied" exit:126
echo '#!/no/such/shell' >script
chmod 755 script
run -- "$PWD/script"
refused "cannot execute $PWD/script: No such file or directory" exit:127
run --ready notify --directory /no/such/folder -- /bin/true
refused "chdir /no/such/folder: No such file or directory" exit:111
run --output /no/such/folder/file -- /bin/true
refused "output: /no: No such file or directory" exit:111
# The object loses its middle, not the reason.
long=/$(printf '%0300d' 7)
run -- "$long"
finish 1
value error ' end ' | grep -q '^cannot%20execute%20/00.*\.\.\.00.*7:%20[A-Z]' || fail "reason cut off"
rm -rf s

# What ends at once was executed all the same, and is said to have been.
run -- /bin/true
finish 0
equal "$(cut -d ' ' -f 4 s/events | tr '\n' ' ')" "started ready end "
rm -rf s

# A cold restart whose program has gone: the instance before was ready, this one is not.
cp "$(command -v tool_component)" program
run --ready notify -- "$PWD/program" notify:READY=1 wait-file:"$PWD/go" crash
wait_for ' ready '
rm program
touch go
finish 1
equal "$(cut -d ' ' -f 4 s/events | tr '\n' ' ')" "started ready restart end "
equal "$(value reason ' end ')" exec

# A stop of an instance that is still on its way to its program is a stop.
rm -rf s
mkfifo fifo
run --output "$PWD/fifo" -- /bin/true
wait_for ' started '
kill "$runner_pid"
finish 0
equal "$(value reason ' end ')" stop
equal "$(count ' ready ')" 0
