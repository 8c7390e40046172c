# SPDX-License-Identifier: MIT
"""Deadlines: handed down, never extended, stretched on slow machines."""

from __future__ import annotations

import pytest

from koboshi_desk.core.deadline import Deadline, slower


class Clock:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        """Seconds."""
        return self.time


@pytest.fixture(autouse=True)
def usual_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No factor of the developer's own."""
    monkeypatch.delenv("KOBOSHI_SLOW", raising=False)


def test_part_never_outlives_the_whole() -> None:
    """A part's deadline is its own or the whole's, whichever comes first."""
    clock = Clock()
    whole = Deadline(10, now=clock)
    clock.time += 8
    assert whole.within(5).remaining() == pytest.approx(2)
    assert whole.within(1).remaining() == pytest.approx(1)


def test_expires() -> None:
    """Past its end nothing remains, and nothing negative."""
    clock = Clock()
    deadline = Deadline(1, now=clock)
    assert deadline.remaining() > 0
    clock.time += 5
    assert deadline.expired
    assert deadline.remaining() == 0.0


def test_slow_machines_get_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """KOBOSHI_SLOW multiplies every limit."""
    monkeypatch.setenv("KOBOSHI_SLOW", "2.5")
    assert Deadline(10, now=Clock()).remaining() == pytest.approx(25)


@pytest.mark.parametrize("text", ["0", "-1", "fast", "nan", "inf"])
def test_wrong_factor_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """A value that is not a positive number is an error that names the variable."""
    monkeypatch.setenv("KOBOSHI_SLOW", text)
    with pytest.raises(ValueError, match="KOBOSHI_SLOW"):
        Deadline(1)


def test_slower_kernel_has_longer_limits(monkeypatch):
    """Within `slower` all limits are longer, on top of the environment's factor, and not after it."""
    monkeypatch.setenv("KOBOSHI_SLOW", "2")
    with slower(3.0):
        assert Deadline(10).seconds == 60
    assert Deadline(10).seconds == 20
