# SPDX-License-Identifier: MIT
"""What needs a checkout: build images, boot them in QEMU, break them, measure them, check the project."""
