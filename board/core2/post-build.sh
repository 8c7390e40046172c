#!/bin/sh
# SPDX-License-Identifier: MIT
# Buildroot runs this with the root file system's folder as $1: the demo's manifest gets this board's part, once.
# An image without the demo has a manifest of its own.
set -eu
board=$(dirname "$(readlink -f "$0")")
manifest=$1/etc/koboshi/koboshi.toml
if [ -d "$1/usr/lib/koboshi/koboshi_demo" ] && ! grep -q '^\[component.keeper\]' "$manifest"; then
	cat "$board/koboshi.toml" >>"$manifest"
fi
