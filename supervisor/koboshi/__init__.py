# SPDX-License-Identifier: MIT
"""Koboshi's supervisor: runs on the device, standard library only (docs/supervisor.md)."""
