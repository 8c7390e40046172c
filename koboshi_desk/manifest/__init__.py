# SPDX-License-Identifier: MIT
"""`koboshi manifest`: check, explain, draw and write manifests."""
