# SPDX-License-Identifier: MIT
"""Progress on standard error: percent and time left; on a terminal in one line, else a line per 10 %."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TextIO

STEP = 10  # percent between two lines if the output is not a terminal
REDRAW_S = 0.2


def note(text: str) -> None:
    """Print one line about the current work."""
    print(f"koboshi: {text}", file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """`42 s`, `3 min 05 s`."""
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60:02d} s"


class Progress:
    """Counts steps of a job whose number of steps is known, or was about right last time.

    Use it as a context manager; `step()` at each step.
    """

    def __init__(
        self,
        what: str,
        total: int | None,
        *,
        stream: TextIO | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.what = what
        self.total = total
        self.count = 0
        self._stream = stream if stream is not None else sys.stderr
        self._now = now
        self._begin = now()
        self._last_drawn = -1.0
        self._next_percent = 0
        self._terminal = self._stream.isatty()

    def __enter__(self) -> Progress:
        self._draw()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        verdict = "done" if kind is None else "interrupted" if kind is KeyboardInterrupt else "failed"
        self._line(f"{self.what}: {verdict} after {duration(self._now() - self._begin)}", end="\n")

    def step(self, count: int = 1) -> None:
        """`count` more steps are done."""
        self.count += count
        self._draw()

    def percent(self) -> int | None:
        """How much is done, 0 to 99; None where the number of steps is not known."""
        return None if not self.total else min(99, 100 * self.count // self.total)

    def left_s(self) -> float | None:
        """Seconds left if it goes on as it went; None while that cannot be told."""
        if not self.total or not self.count or self.count > self.total:
            return None
        return (self._now() - self._begin) * (self.total - self.count) / self.count

    def text(self) -> str:
        """The line as it is now."""
        percent, left = self.percent(), self.left_s()
        if percent is None:
            return f"{self.what}: {self.count} steps" if self.count else f"{self.what} ..."
        return f"{self.what}: {percent:2d} %" + (f", {duration(left)} left" if left is not None else "")

    def _draw(self) -> None:
        if self._terminal:
            if self._now() - self._last_drawn >= REDRAW_S:
                self._last_drawn = self._now()
                self._line(self.text(), end="")
        elif (self.percent() or 0) >= self._next_percent:
            self._next_percent = (self.percent() or 0) // STEP * STEP + STEP
            self._line(self.text(), end="\n")

    def _line(self, text: str, end: str) -> None:
        begin = "\r\x1b[K" if self._terminal else ""
        self._stream.write(f"{begin}koboshi: {text}{end}")
        self._stream.flush()
