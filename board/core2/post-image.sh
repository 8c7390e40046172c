#!/bin/sh
# SPDX-License-Identifier: MIT
# Buildroot runs this with the folder of the images as $1: the disk image, from what is there.
set -eu
board=$(dirname "$(readlink -f "$0")")
# GRUB's first sector is not among the images that Buildroot installs.
cp -f "$BUILD_DIR"/grub2-*/build-i386-pc/grub-core/boot.img "$1/boot.img"
exec support/scripts/genimage.sh -c "$board/genimage.cfg"
