# SPDX-License-Identifier: MIT
"""Reads systemd's unit files (systemd.syntax(7)): sections, repeated keys, times, sizes."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

from koboshi_desk.core.errors import KoboshiError

_SECONDS = {
    **dict.fromkeys(("us", "usec"), 1e-6),
    **dict.fromkeys(("ms", "msec"), 1e-3),
    **dict.fromkeys(("", "s", "sec", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
}
_BYTES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


class UnitError(KoboshiError):
    """A file is not a valid unit."""


@dataclass
class Unit:
    """One file. `settings` has each key with its values in order; an empty value forgets those before it."""

    name: str
    kind: str
    settings: dict[str, list[str]] = field(default_factory=dict)

    def take(self, key: str) -> list[str]:
        """A key's values; it counts as dealt with."""
        return self.settings.pop(key, [])

    def last(self, key: str) -> str:
        """The value that counts, of a key that has one; nothing, if it is not there."""
        values = self.take(key)
        return values[-1] if values else ""

    def words(self, key: str) -> list[str]:
        """Return all words of all values."""
        return [word for value in self.take(key) for word in shlex.split(value)]


def read(path: Path) -> Unit:
    """Read a service or a socket; raise UnitError for anything else."""
    kind = path.suffix.lstrip(".")
    if kind not in ("service", "socket"):
        raise UnitError(f"{path}: only .service and .socket have components for a counterpart")
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise UnitError(f"{path}: {error.strerror}") from None
    return parse(text, path.stem, kind, str(path))


def parse(text: str, name: str, kind: str, file: str) -> Unit:
    """A unit's text."""
    unit, section = Unit(name, kind), ""
    for number, line in enumerate(re.sub(r"\\\n", " ", text).splitlines(), 1):
        line = line.strip()  # noqa: PLW2901
        if not line or line[0] in "#;":
            continue
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
            continue
        key, equals, value = line.partition("=")
        if not equals or not section:
            raise UnitError(f"{file}:{number}: {line!r} is neither a section nor KEY=VALUE")
        values = unit.settings.setdefault(f"{section}.{key.strip()}", [])
        if value.strip():
            values.append(value.strip())
        else:
            values.clear()
    return unit


def seconds(text: str) -> float | None:
    """Parse a systemd.time(7) span; return None for infinity."""
    if text in ("infinity", ""):
        return None
    found = re.findall(r"([0-9.]+)\s*([a-z]*)", text)
    if not found or any(unit not in _SECONDS for _number, unit in found):
        raise UnitError(f"{text!r} is not a valid time")
    return sum(float(number) * _SECONDS[unit] for number, unit in found)


def mebibytes(text: str) -> int | None:
    """Parse a size or a limit `SOFT:HARD`, rounded up; return None for infinity and percentages."""
    found = re.fullmatch(r"(\d+)([KMGT]?)", text.partition(":")[0])
    return max(1, -(-int(found[1]) * _BYTES[found[2]] >> 20)) if found else None


def count(text: str) -> int | None:
    """Parse a number or a limit `SOFT:HARD`; return None for anything else."""
    word = text.partition(":")[0]
    return int(word) if word.isdecimal() else None


def yes(text: str) -> bool:
    """Parse a systemd boolean."""
    return text.lower() in ("1", "yes", "true", "on")
