# SPDX-License-Identifier: MIT
"""`koboshi watch` and `koboshi control`: follow devices on a screen, and ask one from the command line."""
