# SPDX-License-Identifier: MIT
"""For all unit tests."""

from __future__ import annotations

import signal

import pytest
from hypothesis import settings

from tests.unit.device.fake_system import World

# A test times nothing: on a machine with other work a quick example may take any time.
settings.register_profile("koboshi", deadline=None)
settings.load_profile("koboshi")

# A shell's background jobs ignore it, and so would what these tests start and end by Ctrl-C.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def world() -> World:
    """A made-up Linux."""
    return World()
