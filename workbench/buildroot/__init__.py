# SPDX-License-Identifier: MIT
"""Build a board's image with Buildroot, and write it to a disk."""
