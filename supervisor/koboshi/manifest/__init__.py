# SPDX-License-Identifier: MIT
"""What a manifest says, and whether it may say so: used by the device and by the host."""
