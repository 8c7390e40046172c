# SPDX-License-Identifier: MIT
"""Trials of a whole system: conformance, fault injection, stress, soak, power cuts, real boards."""
