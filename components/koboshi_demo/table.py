# SPDX-License-Identifier: MIT
"""A year's tide table at one station, computed from its harmonic constants."""

from __future__ import annotations

import calendar
import os
import time
from bisect import bisect_right
from math import cos, radians
from typing import NamedTuple

from . import harmonics

STEP_S = 1800
FOOT_M = 0.3048


class Station(NamedTuple):
    """A station's harmonic constants, in metres and degrees."""

    name: str
    mean_m: float
    constants: dict[str, tuple[float, float]]


class Turn(NamedTuple):
    """A high or low water."""

    seconds: float
    height_m: float
    high: bool


class TideError(ValueError):
    """A question the table cannot answer, or a file that is not a station's."""


def read_station(path: str) -> Station:
    """Read a .tide file: `key value` lines, then `constituent amplitude phase` lines, `#` comments."""
    header: dict[str, str] = {}
    constants: dict[str, tuple[float, float]] = {}
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            words = line.partition("#")[0].split()
            if len(words) == 3 and (words[0] in harmonics.BASIC or words[0] in harmonics.COMPOUND):
                constants[words[0]] = (float(words[1]), float(words[2]))
            elif len(words) >= 2 and words[0].islower():
                header[words[0]] = " ".join(words[1:])
            elif words:
                known = ", ".join([*harmonics.BASIC, *harmonics.COMPOUND])
                raise TideError(
                    f"{path}:{number}: {words[0]}: not a constituent; one of {known} would be right"
                )
    unit = {"feet": FOOT_M, "metres": 1.0}[header["unit"]]
    metres = {name: (size * unit, phase) for name, (size, phase) in constants.items()}
    return Station(header["name"], float(header["mean"]) * unit, metres)


def default_station() -> Station:
    """San Francisco, in the file beside this one."""
    return read_station(os.path.join(os.path.dirname(os.path.abspath(__file__)), "san_francisco.tide"))


class TideTable:
    """A year's heights each half hour, and its high and low waters; times are seconds since 1970."""

    def __init__(self, station: Station, year: int) -> None:
        self.station, self.year = station, year
        self.start = calendar.timegm((year, 1, 1, 0, 0, 0))
        self.end = calendar.timegm((year + 1, 1, 1, 0, 0, 0))
        self.heights = self._compute()
        self.turns = self._turns()
        self._turn_times = [turn.seconds for turn in self.turns]

    def waves(self) -> list[tuple[float, float, float]]:
        """(amplitude in metres, radians per second, phase at the year's start) of each constituent."""
        middle = (self.start + self.end) / 2  # the surveys' tables too take a year's node factors there
        result = []
        for name, (amplitude, lag) in self.station.constants.items():
            f, u = harmonics.node(name, middle)
            phase = radians(harmonics.argument(name, self.start) + u - lag)
            result.append((f * amplitude, radians(harmonics.speed(name)) / 3600, phase))
        return result

    def _compute(self) -> list[float]:
        steps = range(0, self.end - self.start + STEP_S, STEP_S)
        heights = [self.station.mean_m] * len(steps)
        for amplitude, rate, phase in self.waves():
            pairs = zip(heights, steps, strict=True)
            heights = [height + amplitude * cos(rate * step + phase) for height, step in pairs]
        return heights

    def _turns(self) -> list[Turn]:
        """High and low waters: the vertex of the parabola through three heights around each."""
        turns, heights = [], self.heights
        for i in range(1, len(heights) - 1):
            before, here, after = heights[i - 1 : i + 2]
            if (here > before) == (here >= after):
                bend = before - 2 * here + after
                shift = (before - after) / (2 * bend) if bend else 0.0
                top = here - (before - after) * shift / 4
                turns.append(Turn(self.start + (i + shift) * STEP_S, top, here > before))
        return turns

    def _check(self, seconds: float) -> None:
        if not self.start <= seconds < self.end:
            raise TideError(f"{iso(seconds)} is outside the table; a time in {self.year} would be right")

    def height(self, seconds: float) -> float:
        """Metres above chart zero, on the parabola through the three nearest heights (error under 2 mm)."""
        self._check(seconds)
        steps = (seconds - self.start) / STEP_S
        index = min(max(round(steps), 1), len(self.heights) - 2)
        before, here, after = self.heights[index - 1 : index + 2]
        x = steps - index
        return here + x * (after - before) / 2 + x * x * (before - 2 * here + after) / 2

    def next_turn(self, seconds: float) -> Turn:
        """The first high or low water after a time."""
        self._check(seconds)
        index = bisect_right(self._turn_times, seconds)
        if index == len(self.turns):
            raise TideError(f"no high or low water after {iso(seconds)} in the table of {self.year}")
        return self.turns[index]


def iso(seconds: float) -> str:
    """`2026-06-01T12:00:00Z`."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def parse_iso(text: str) -> int:
    """Seconds since 1970 of `2026-06-01T12:00:00Z`; ValueError for anything else."""
    if len(text) != 20 or not text.endswith("Z"):
        raise TideError(f"{text[:40]!r} is not a time; 2026-06-01T12:00:00Z would be right")
    numbers = [int(text[at:to]) for at, to in ((0, 4), (5, 7), (8, 10), (11, 13), (14, 16), (17, 19))]
    return calendar.timegm((*numbers, 0, 0, 0))
