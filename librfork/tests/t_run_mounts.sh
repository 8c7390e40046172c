#!/bin/sh
# SPDX-License-Identifier: MIT
# What is hidden is not there, what is read-only stays as it is, /tmp is its own and new: in the first instance
# and in the next. Nobody else sees anything of it.
. "$(dirname "$0")/run-lib.sh"
[ "$(id -u)" = 0 ] || { echo "only root can mount"; exit 77; }
rfork-run --name t --private-tmp -- "$(command -v $component)" exit:0 2>errors ||
	{ grep -q "not permitted" errors && echo "this root may not mount" && exit 77; }
read -r _ _ release _ </proc/version
# Linux 2.6.23 has no bind mounts of what is in an initramfs, as /dev/null is here.
case $release in 2.*) alone="" visible=2 ;; *) alone="--hide $(pwd)/alone" visible=0 ;; esac
mkdir hidden fixed
echo secret >hidden/file
echo secret >alone
echo same >fixed/file
here=$(pwd)
# shellcheck disable=SC2016 # for the instance
script='
cat hidden/file alone
(echo changed >fixed/file)
cat fixed/file
echo /tmp/*
: >"/tmp/$MARK" && echo private
echo end
[ "$RFORK_GENERATION" -gt 0 ] || kill -SEGV $$
while :; do sleep 1; done'
component="sh"
start --hide "$here/hidden" $alone --read-only "$here/fixed" --private-tmp --env "MARK=mark-$$" \
	-- -c "$script" >out 2>&1
two_ends() {
	[ "$(grep -c '^end$' out)" = 2 ]
}
eventually "not twice to its end" two_ends
kill "$runner_pid"
finish 0
equal "$(cat hidden/file alone)" "$(printf 'secret\nsecret')"
[ ! -e "/tmp/mark-$$" ] || fail "its /tmp is everybody's"
equal "$(grep -c secret out)" "$visible"
equal "$(grep -c mark- out)" 0
equal "$(grep -c '^private$' out)" 2
case $(cat s/events) in
*"missing what="*read_only*) exit 0 ;;
esac
equal "$(cat fixed/file)" same
equal "$(grep -c '^same$' out)" 2
