# SPDX-License-Identifier: MIT
"""A short soak in a guest of its own."""

from __future__ import annotations

from workbench.kernel import lines
from workbench.trial import soak_guest


def test_short() -> None:
    """Faults, wishes, dead supervisors and things used up: nothing lost, doubled, unwanted or unrecorded."""
    result = soak_guest.soak(soak_guest.image(lines.DEFAULT_LINE), 0, seed=1, rounds=3)
    assert result.problems == []
    assert result.rounds == 3
