# SPDX-License-Identifier: MIT
"""For all unit tests."""

from __future__ import annotations

from hypothesis import settings

# A test times nothing: on a machine with other work a quick example may take any time.
settings.register_profile("koboshi", deadline=None)
settings.load_profile("koboshi")
