#!/bin/sh
# SPDX-License-Identifier: MIT
# Without a control group, too, nothing that an instance has started is in the way of the next one, or outlives the end.
. "$(dirname "$0")/run-lib.sh"

# pid_in TEXT FILE: the number behind it
pid_in() {
	sed -n "s/^$1 //p" "$2" | head -n 1
}

# In the instance's process group, and in another one of its session: each restart finds them gone.
component="sh"
start --on signal --burst 10 --output out -- -c 'sleep 1000 & echo same $!; set -m; sleep 1000 & echo other $!; echo $RFORK_GENERATION; wait; wait'
for generation in 0 1 2; do
	wait_for "^$generation\$" out
	wait_for " ready .*gen=$generation "
	kill -KILL "$(value pid " ready .*gen=$generation ")"
done
wait_for '^3$' out
equal "$(grep -c same out)" 4
for pid in $(sed -n 's/^same //p; s/^other //p' out | head -n 6); do
	runs "$pid" && fail "$pid has outlived a restart"
done
kill "$runner_pid"
finish 0
for pid in $(sed -n 's/^same //p; s/^other //p' out); do
	runs "$pid" && fail "$pid has outlived the end"
done

# From a checkpoint the next instance goes on with what the last one has started, as with a control group.
component=tool_component
rm -rf s out
start --burst 5 --output out -- grandchild checkpoint below:1 crash wait
wait_for ' ready .*gen=1 '
runs "$(pid_in grandchild out)" || fail "a restart from a checkpoint has killed what was there before it"
kill "$runner_pid"
case $(cat /proc/sys/kernel/osrelease) in
2.* | 3.[0-3].*) echo "no subreaper in this kernel: a process in a session of its own stays"; kill -KILL "$(pid_in grandchild out)"; exit 77 ;;
esac
finish 0
runs "$(pid_in grandchild out)" && fail "the grandchild has outlived the end"

# In a session of its own, with the port that the next instance needs.
port=$(tool_component free-port)
rm -rf s out
start --burst 5 --output out -- "listen:$port" grandchild below:1 crash say:listening wait
wait_for '^listening$' out
equal "$(count ' restart ')" 1
equal "$(grep -c grandchild out)" 2
runs "$(pid_in grandchild out)" && fail "the first grandchild is still there"
kill "$runner_pid"
finish 0

# The same for another user's component: it is that user who kills.
[ "$(id -u)" = 0 ] && grep -q '^nobody:' /etc/passwd || exit 0
chmod 755 . "$(dirname "$PWD")"
cp "$(command -v tool_component)" component
component=$PWD/component
rm -rf s out
start --user nobody --burst 5 --output out -- "listen:$port" grandchild below:1 crash say:listening wait
wait_for '^listening$' out
equal "$(count ' restart ')" 1
kill "$runner_pid"
finish 0
for pid in $(sed -n 's/^grandchild //p' out); do
	runs "$pid" && fail "$pid has outlived the end"
done
exit 0
