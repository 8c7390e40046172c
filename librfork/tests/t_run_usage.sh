#!/bin/sh
# SPDX-License-Identifier: MIT
# Wrong use is refused with 100 and says what would be right.
. "$(dirname "$0")/run-lib.sh"
refuse() {
	text=$1
	shift
	rfork-run "$@" 2>err
	equal $? 100
	grep -q -- "$text" err || fail "no '$text' in: $(cat err)"
}
refuse PROGRAM
refuse PROGRAM --name a --
refuse 'unknown option' --frobnicate -- true
refuse 'lower-case' --name UPPER -- true
refuse 'auto, kernel, linux or posix' --backend wasm -- true
refuse 'signal, status or exit' --on sundays -- true
refuse 'number from 1' --burst 0 -- true
refuse 'number from 1' --window-ms -5 -- true
refuse 'file:PATH' --ready soon -- true
refuse '65535' --ready port:70000 -- true
refuse 'K=V' --env NOVALUE -- true
refuse 'names no limit' --rlimit patience=3 -- true
refuse 'NAME=N' --rlimit nofile=many -- true
refuse '/etc/passwd' --user no-such-user-here -- true
rfork-run --help | grep -q -- --heartbeat-ms || fail "no help"
