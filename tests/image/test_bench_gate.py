# SPDX-License-Identifier: MIT
"""The instruction gate, on the kernel that is shipped."""

from __future__ import annotations

import pytest

from workbench.bench import gate
from workbench.kernel import lines

pytestmark = pytest.mark.image


def test_restart_takes_no_more_instructions():
    """From the fault to the next instance's first instruction, no count has grown by more than 2 %."""
    line = lines.DEFAULT_LINE
    old, new = gate.recorded()[line], gate.measure(line)
    if reason := gate.incomparable(old, new):
        pytest.skip(f"the recorded counts are of other tools: {reason}")
    assert gate.grown(old.medians, new.medians) == []
