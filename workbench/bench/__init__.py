# SPDX-License-Identifier: MIT
"""`./dev bench`: measure, compare with the goals, and report."""
