# SPDX-License-Identifier: MIT
"""Build bootable images from Debian's packages and this repository, without Buildroot."""
