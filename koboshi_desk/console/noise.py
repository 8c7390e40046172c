# SPDX-License-Identifier: MIT
"""Tells a line that is read at the wrong speed: what comes then is not text."""

from __future__ import annotations

from dataclasses import dataclass

LEAST = 64  # bytes before anything is said
WINDOW = 4096  # older bytes count less
SHARE = 0.2
_TEXT = frozenset(b"\t\n\v\f\r\x07\x08\x1b") | frozenset(range(0x20, 0x7F))


@dataclass
class Noise:
    """Counts bytes that no text has; a whole record clears the line of suspicion."""

    received: int = 0
    total: int = 0
    _seen: float = 0.0
    _bad: float = 0.0

    def take(self, data: bytes, *, record: bool) -> None:
        """Look at what came, and whether a whole record was in it."""
        bad = count(data)
        self.received += len(data)
        self.total += bad
        if record:
            self._seen = self._bad = 0.0
            return
        self._seen += len(data)
        self._bad += bad
        if self._seen > WINDOW:
            self._seen, self._bad = self._seen / 2, self._bad / 2

    @property
    def unreadable(self) -> bool:
        """Whether most likely the speed is wrong."""
        return self._seen >= LEAST and self._bad > SHARE * self._seen


def count(data: bytes) -> int:
    """Count the bytes that are neither printable, nor control characters of terminals, nor UTF-8."""
    if data.isascii():
        return sum(byte not in _TEXT for byte in data)
    broken = data.decode("utf-8", "replace").count("\ufffd")
    return broken + sum(byte < 0x80 and byte not in _TEXT for byte in data)
