# SPDX-License-Identifier: MIT
"""Errors of the host's commands: each states where, what is wrong, and what is expected."""

from __future__ import annotations

from collections.abc import Sequence


class KoboshiError(Exception):
    """The base class; the command line prints these errors without a traceback and exits with 1."""


class ConsoleClosedError(KoboshiError):
    """The other end of a console closed the connection."""


class ConsoleTimeoutError(KoboshiError):
    """The expected output did not appear on the console in time."""

    def __init__(self, what: str, seconds: float, last_lines: Sequence[str]) -> None:
        self.what = what
        self.seconds = seconds
        self.last_lines = list(last_lines)
        lines = "".join(f"\n  | {line}" for line in self.last_lines)
        super().__init__(f"no {what} on the console within {seconds:.0f} s; its last lines:{lines}")


class PortError(KoboshiError):
    """A console cannot be opened; `absent` if that may change by itself: nothing is there yet."""

    def __init__(self, port: str, reason: str, expected: str, *, absent: bool = False) -> None:
        self.absent = absent
        self.port = port
        self.reason = reason
        self.expected = expected
        super().__init__(f"{port}: {reason}; {expected}")
