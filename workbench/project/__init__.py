# SPDX-License-Identifier: MIT
"""The project's own upkeep: checks before a change goes in, the documentation's site and pictures."""
