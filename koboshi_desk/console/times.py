# SPDX-License-Identifier: MIT
"""When the bytes of a recording came: a file beside it, so that the recording itself stays as it came.

    koboshi-times/1 port=/dev/ttyUSB0 tool=0.1
    0 1764587601.123
    512 1764587602.5 closed
    512 1764587609.0 open

Bytes from an offset on came at that time, in seconds since 1970. `closed` and `open` are about the port.
"""

from __future__ import annotations

import bisect
import math
import time as _time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from koboshi.wire import records

FORMAT = "koboshi-times/1"


@dataclass
class Times:
    """What the file says; empty if there is none."""

    port: str = ""
    tool: str = ""
    offsets: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    opened: set[int] = field(default_factory=set)  # offsets at which the port was opened again

    def at(self, offset: int) -> float | None:
        """Return when the byte at an offset came."""
        index = bisect.bisect_right(self.offsets, offset) - 1
        return self.times[index] if index >= 0 else None

    def next(self, offset: int) -> int | None:
        """Return the next offset with a time of its own."""
        index = bisect.bisect_right(self.offsets, offset)
        return self.offsets[index] if index < len(self.offsets) else None


def path_of(log: Path) -> Path:
    """Return the path of the file beside a recording."""
    return log.with_name(log.name + ".times")


def header(port: str) -> str:
    """Return the first line of a new file."""
    return f"{FORMAT} port={records.quote(port)} tool={records.quote(tool_version())}\n"


def load(log: Path) -> Times:
    """Read the times of a recording; lines that are not whole are left out."""
    try:
        lines = path_of(log).read_text(encoding="ascii", errors="replace").split("\n")[:-1]
    except OSError:
        return Times()
    if not lines or not lines[0].startswith(FORMAT + " "):
        return Times()
    keys = dict(word.partition("=")[::2] for word in lines[0].split()[1:])
    found = Times(_unquoted(keys.get("port", "")), _unquoted(keys.get("tool", "")))
    for line in lines[1:]:
        _take(found, line.split())
    return found


def _take(found: Times, words: list[str]) -> None:
    try:
        offset, time = int(words[0]), float(words[1])
    except (ValueError, IndexError):
        return
    if offset < 0 or not math.isfinite(time) or (found.offsets and offset < found.offsets[-1]):
        return
    if words[2:] == ["open"]:
        found.opened.add(offset)
    if words[2:] != ["closed"]:
        found.offsets.append(offset)
        found.times.append(time)


def _unquoted(text: str) -> str:
    try:
        return records.unquote(text)
    except ValueError:
        return text


def now() -> float:
    """Return the time of day, in seconds since 1970."""
    return _time.time()


def stamp(time: float) -> str:
    """Return a time as text, in UTC."""
    try:
        return datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return "?"


def tool_version() -> str:
    """Return the version of this program."""
    try:
        return metadata.version("koboshi")
    except metadata.PackageNotFoundError:
        return "checkout"
