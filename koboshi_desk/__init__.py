# SPDX-License-Identifier: MIT
"""Koboshi's commands on a host that needs no checkout: watch, control, report, bridge, manifest."""
