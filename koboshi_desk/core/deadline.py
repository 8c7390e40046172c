# SPDX-License-Identifier: MIT
"""One deadline for a job: its starter creates it and passes it to everything that waits for a part.

Waits that each bring a time limit of their own add up to a time nobody chose. KOBOSHI_SLOW=3 in the
environment triples every limit, for a machine that is that much slower than the one they were chosen on.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SLOW_VARIABLE = "KOBOSHI_SLOW"
_slower = 1.0


def slow_factor() -> float:
    """The multiplier in KOBOSHI_SLOW: a number > 0; 1.0 where unset or empty; times what `slower` asks."""
    text = os.environ.get(SLOW_VARIABLE, "")
    if not text:
        return _slower
    try:
        factor = float(text)
    except ValueError:
        factor = math.nan
    if not (0 < factor < math.inf):
        raise ValueError(f"{SLOW_VARIABLE}={text!r} is not a number greater than 0, such as 2 or 1.5")
    return factor * _slower


@contextmanager
def slower(factor: float) -> Iterator[None]:
    """Multiply all time limits within the context by a factor, for a slow kernel."""
    global _slower  # noqa: PLW0603 - as the environment's, it is the whole process's
    before, _slower = _slower, _slower * factor
    try:
        yield
    finally:
        _slower = before


class Deadline:
    """The time by which a job must end; `remaining()` is the time left for a wait."""

    def __init__(
        self,
        seconds: float,
        what: str = "",
        *,
        now: Callable[[], float] = time.monotonic,
        scaled: bool = True,
    ) -> None:
        self.what = what
        self.seconds = seconds * (slow_factor() if scaled else 1.0)
        self._now = now
        self._end = now() + self.seconds

    def remaining(self) -> float:
        """Return the seconds left, or 0.0 once the deadline has passed."""
        return max(0.0, self._end - self._now())

    @property
    def expired(self) -> bool:
        """Return whether the deadline has passed."""
        return self.remaining() <= 0

    def within(self, seconds: float, what: str = "") -> Deadline:
        """A part's own deadline: `seconds` (multiplied like all), but never later than this one."""
        part = Deadline(seconds, what or self.what, now=self._now)
        part._end = min(part._end, self._end)
        return part

    @staticmethod
    def never() -> Deadline:
        """Return a deadline that never passes, for interactive use."""
        return Deadline(math.inf, scaled=False)
