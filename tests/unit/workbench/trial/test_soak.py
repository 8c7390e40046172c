# SPDX-License-Identifier: MIT
"""A short soak with the real supervisor."""

from __future__ import annotations

from workbench.trial import soak


def test_short() -> None:
    """Random faults, wishes and deaths of the supervisor: nothing lost, doubled, unwanted, unrecorded."""
    result = soak.soak(0, seed=1, rounds=2)
    assert result.problems == []
    assert (result.rounds, sum(result.faults.values()), result.missing) == (2, 2 * soak.ROUND, 0)
    assert set(result.faults) <= set(soak.FAULTS)
