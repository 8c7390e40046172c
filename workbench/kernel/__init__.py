# SPDX-License-Identifier: MIT
"""Build the kernel lines: fetch, patch, configure, compile and check them."""
