# SPDX-License-Identifier: MIT
"""Events: the lines that rfork-run writes about a component (docs/runner.md)."""

from __future__ import annotations

from koboshi.wire.records import parse_keys

_VERSION = "rfork-run/1"


class Event:
    """One line of a runner's log; `time` is CLOCK_MONOTONIC in seconds."""

    __slots__ = ("keys", "name", "number", "time")

    def __init__(self, number: int, time: float, name: str, keys: dict[str, str]) -> None:
        self.number = number
        self.time = time
        self.name = name
        self.keys = keys

    def integer(self, key: str) -> int:
        """A key's value as a number; 0 where it is missing or none."""
        value = self.keys.get(key, "")
        return int(value) if value.isdecimal() else 0


def parse(line: str) -> Event | None:
    """An event, or None for anything that is not one."""
    words = line.split(" ")
    if len(words) < 4 or words[0] != _VERSION:
        return None
    try:
        return Event(int(words[1]), float(words[2]), words[3], parse_keys(words[4:]))
    except ValueError:
        return None
