# SPDX-License-Identifier: MIT
"""The formats of lines that devices, hosts and programs exchange; no module makes a system call."""
