# SPDX-License-Identifier: MIT
"""What a component's state is and how it changes; no module makes a system call."""
