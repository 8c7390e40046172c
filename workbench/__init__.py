# SPDX-License-Identifier: MIT
"""What runs on the host: builds images, boots them in QEMU, reads the console, breaks, measures."""
