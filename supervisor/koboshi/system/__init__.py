# SPDX-License-Identifier: MIT
"""The only code that makes system calls on behalf of the supervisor, and the paths it uses."""
