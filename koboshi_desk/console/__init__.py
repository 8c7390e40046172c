# SPDX-License-Identifier: MIT
"""A device's serial console: open it, record it, decode it, and send requests over it."""
