#!/bin/sh
# SPDX-License-Identifier: MIT
# Root follows no path that the component's user controls: what the user puts in a file's place is refused with a reason, and what
# root does in the user's folder it does as that user. Paths that only root controls are followed as by anybody.
. "$(dirname "$0")/run-lib.sh"
[ "$(id -u)" = 0 ] && grep -q '^nobody:' /etc/passwd || { echo "no user to change to"; exit 77; }
chmod 755 . "$(dirname "$PWD")"
cp "$(command -v $component)" component
component=$PWD/component
here=$(pwd)
mkdir own own/log.d secret
chown nobody own own/log.d
chmod 700 secret
echo roots >secret/file

nobody=$(sed -n 's/^nobody:[^:]*:\([0-9]*\):.*/\1/p' /etc/passwd)

# owned UID FILE
owned() {
	wanted=$1
	# shellcheck disable=SC2046 # into words
	set -- $(ls -ln "$2") "$2"
	equal "$3" "$wanted" "whose file: $*"
}

# refused REASON OPTIONS...: rfork-run does not start, and says why
refused() {
	why=$1
	shift
	timeout 20 rfork-run --name t --state s --backend "$RFORK_BACKEND" --user nobody "$@" -- \
		"$component" say:mine exit:0 >out 2>errors
	got=$?
	equal "$got" 111 "$* with $(cat errors)"
	grep -q "$why" errors || fail "$*: '$(cat errors)' says nothing of '$why'"
	equal "$(cat secret/file)" roots "$*"
}

# accepted OPTIONS...
accepted() {
	timeout 20 rfork-run --name t --state s --backend "$RFORK_BACKEND" --user nobody "$@" -- \
		"$component" say:mine exit:0 >out 2>errors || fail "$*: $(cat errors)"
}

# output: a link to a file of root's, to a new one, a FIFO, a hard link, a link on the way
ln -s "$here/secret/file" own/link
refused "own/link is a symbolic link in a folder that user nobody can write" --output own/link
ln -s "$here/secret/new" own/new
refused "symbolic link" --output "$here/own/new"
[ ! -e secret/new ] || fail "a new file of root's"
mkfifo -m 600 own/fifo
refused "is not a file" --output own/fifo
ln secret/file own/hard
refused "hard link" --output own/hard
ln -s "$here/secret" own/way
refused "symbolic link" --output own/way/log
accepted --output own/log.d/../log
equal "$(cat own/log)" mine
owned "$nobody" own/log

# A file that root has left there is put aside, and one of a third user is not written.
echo former >own/roots
accepted --output own/roots
equal "$(cat own/roots own/roots.1 | tr '\n' ' ')" "mine former "
mkdir shared
chmod 1777 shared
ln -s "$here/secret/file" shared/link
refused "symbolic link in a folder that others than root can write" --output shared/link
: >shared/theirs
chown 12345 shared/theirs
chmod 666 shared/theirs
refused "another user's file" --output shared/theirs
accepted --output shared/log
equal "$(cat shared/log)" mine

# Links of root's are followed, to a file and on the way; so is what is no file there.
ln -s "$here/logs" rootlink
mkdir logs
ln -s real logs/log
accepted --output rootlink/log
equal "$(cat logs/real)" mine
mkfifo logs/fifo
exec 9<>logs/fifo
accepted --output logs/fifo
read -r said <&9
exec 9<&-
equal "$said" mine
accepted --output /dev/null
# as /dev/stdout is where there is one
accepted --output /proc/self/fd/1
equal "$(cat out)" mine

# A root component has no other user to be in somebody else's folder.
timeout 20 rfork-run --name t --output own/theirs -- "$component" say:mine exit:0 2>errors
equal $? 111
grep -q "the component is root's" errors || fail "$(cat errors)"
timeout 20 rfork-run --name t --output shared/roots -- "$component" say:mine exit:0 || fail "a root component in such as /tmp"

# Where the user keeps a file from being put aside, it stays short all the same.
rm -rf s
mkdir -p ring/log.1
chown nobody ring
start --user nobody --output ring/log --output-rate 100000000 -- fill:300 say:last wait
wait_for last ring/log
[ "$(wc -c <ring/log)" -le 131072 ] || fail "ring/log has $(wc -c <ring/log) bytes"
kill "$runner_pid"
finish 0

# listen: neither what a link leads to nor a link itself is changed, and the socket is the user's
rm -rf s
ln -s "$here/secret/file" own/sock
accepted --listen unix:own/sock
[ -S own/sock ] || fail "no socket"
refused "symbolic link" --listen unix:own/way/sock
[ ! -e secret/sock ] || fail "a socket in root's folder"
owned 0 secret/file
accepted --listen unix:logs/sock
owned "$nobody" logs/sock

# ready: nothing is removed through a link
refused "symbolic link" --ready file:own/way/file
[ -e secret/file ] || fail "the ready file's target is removed"

# The folder for events is nobody else's to change.
refused "others than root" --state own/state
[ ! -e own/state ] || fail "a folder of root's in the user's"

# What the instance is confined to is no link of its user's either: it would choose it itself.
confined() {
	timeout 20 rfork-run --name t --user nobody "$@" -- "$component" say:mine exit:0 >out 2>errors
	equal "$?" 1 "$*"
	grep -q "symbolic link" errors || fail "$*: $(cat errors)"
}
ln -s / own/root
confined --root "$here/own/root"
rfork-run --name t --private-tmp -- "$component" exit:0 2>errors || { grep -q "not permitted" errors && exit 0; }
confined --hide "$here/own/way"
accepted --hide "$here/own/log.d"
