#!/bin/sh
# SPDX-License-Identifier: MIT
# Buildroot runs this with the root file system's folder as $1: the demo's manifest gets this board's part, once.
set -eu
board=$(dirname "$(readlink -f "$0")")
manifest=$1/etc/koboshi/koboshi.toml
if [ -f "$manifest" ] && ! grep -q '^\[component.keeper\]' "$manifest"; then
	cat "$board/koboshi.toml" >>"$manifest"
fi
