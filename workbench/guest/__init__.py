# SPDX-License-Identifier: MIT
"""A guest in QEMU: boot it, use its console and shell, feed its serial ports, break its components."""
