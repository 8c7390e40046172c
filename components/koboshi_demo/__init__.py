# SPDX-License-Identifier: MIT
"""The demo's Python components: a tide table, and a pilot that needs it and the GPS daemon."""
