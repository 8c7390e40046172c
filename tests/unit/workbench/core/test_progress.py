# SPDX-License-Identifier: MIT
"""Progress lines."""

from __future__ import annotations

import io

import pytest

from workbench.core.progress import Progress, duration


class Clock:
    """Time that a test moves."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        """Seconds."""
        return self.now


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        """Always."""
        return True


def run(stream, steps, total):
    """All that a job of that many steps, a second each, prints."""
    clock = Clock()
    with Progress("work", total, stream=stream, now=clock) as progress:
        for _ in range(steps):
            clock.now += 1
            progress.step()
    return stream.getvalue()


def test_one_line_per_ten_percent_where_no_terminal():
    """A log gets about ten lines, not one a step, and the end."""
    lines = run(io.StringIO(), 1000, 1000).splitlines()
    assert len(lines) == 11
    assert lines[5] == "koboshi: work: 50 %, 8 min 20 s left"
    assert lines[-1] == "koboshi: work: done after 16 min 40 s"


def test_terminal_gets_one_line():
    """On a terminal the line is drawn over."""
    text = run(Terminal(), 10, 10)
    assert text.count("\n") == 1
    assert text.count("\r") > 5


def test_more_steps_than_expected_do_not_reach_100_percent():
    """Where the expected number was too low it stays below 100 and promises no time."""
    progress = Progress("work", 10, stream=io.StringIO(), now=Clock())
    progress.step(20)
    assert progress.percent() == 99
    assert progress.left_s() is None


def test_unknown_total_counts_steps():
    """Without a total there is a count and no percentage."""
    progress = Progress("work", None, stream=io.StringIO(), now=Clock())
    progress.step(3)
    assert progress.text() == "work: 3 steps"


def test_failure_is_told():
    """A job that ends by an exception is not called done."""
    stream = io.StringIO()
    with pytest.raises(OSError, match="no"), Progress("work", 10, stream=stream, now=Clock()):
        raise OSError("no")
    assert "work: failed after 0 s" in stream.getvalue()


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.4, "59 s"), (60, "1 min 00 s"), (185, "3 min 05 s")]
)
def test_duration(seconds, text):
    """Durations are in seconds, from a minute on in minutes and seconds."""
    assert duration(seconds) == text
