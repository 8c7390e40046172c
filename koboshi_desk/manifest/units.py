# SPDX-License-Identifier: MIT
"""Reads systemd's unit files by its rules (systemd.syntax(7)): continuations, sections, repeated keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from koboshi_desk.core.errors import KoboshiError
from koboshi_desk.manifest import unit_words

WHITESPACE = unit_words.WHITESPACE
_END_OF_LINE = re.compile(r"\r\n|\n|\r|\0")
_BACKSLASHES = re.compile(r"\\*$")


class UnitError(KoboshiError):
    """A file is not a unit."""


@dataclass
class Unit:
    """One file. `settings` has each key with its values in order; an empty value forgets those before it.

    `remarks` are about lines that systemd ignores too, and about what belongs to the unit and was not read.
    """

    name: str
    kind: str
    settings: dict[str, list[str]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def take(self, key: str) -> list[str]:
        """A key's values; it counts as dealt with."""
        return self.settings.pop(key, [])

    def last(self, key: str) -> str:
        """The value that counts, of a key that has one; nothing, if it is not there."""
        values = self.take(key)
        return values[-1] if values else ""

    def words(self, key: str) -> list[str]:
        """Return all words of all values. A value that cannot be split becomes a remark."""
        return [word for value in self.take(key) for _raw, word in self.split(key, value)]

    def split(self, key: str, value: str) -> list[tuple[str, str]]:
        """The words of a value as they are written, and what they mean."""
        try:
            return unit_words.split(value)
        except unit_words.WordsError as error:
            self.remarks.append(f"{key.partition('.')[2]}={value} is ignored, as by systemd: {error}")
            return []


def read(path: Path) -> Unit:
    """Read a service or a socket; raise UnitError for anything else."""
    kind = path.suffix.lstrip(".")
    if kind not in ("service", "socket"):
        raise UnitError(f"{path}: only .service and .socket have components for a counterpart")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UnitError(f"{path}: {error.strerror}") from None
    unit = parse(data.decode("utf-8-sig", "surrogateescape"), path.stem, kind, str(path))
    folder = path.with_name(f"{path.name}.d")
    if folder.is_dir():
        unit.remarks.append(f"{folder} is not read: append its files to the unit")
    return unit


def parse(text: str, name: str, kind: str, file: str) -> Unit:
    """A unit's text. What systemd would ignore with a warning is a remark."""
    unit, section = Unit(name, kind), ""
    for number, line in logical_lines(text):
        if not _is_utf8(line):
            unit.remarks.append(f"{file}:{number} is ignored, as by systemd: it is not UTF-8")
            continue
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
            continue
        key, equals, value = (word.strip(WHITESPACE) for word in line.partition("="))
        if not equals or not key or not section:
            problem = (
                "it is neither a section nor KEY=VALUE" if not equals or not key else "it has no section"
            )
            unit.remarks.append(f"{file}:{number} is ignored, as by systemd: {problem}: {line}")
            continue
        values = unit.settings.setdefault(f"{section}.{key}", [])
        if value:
            values.append(value)
        else:
            values.clear()
    for key in [key for key, values in unit.settings.items() if not values]:
        del unit.settings[key]
    return unit


def logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with their continuations, stripped, without empty ones and comments; each with its number.

    A comment neither continues nor ends a line. A backslash at the end of the file continues with nothing.
    """
    begun, first = "", 0
    for number, raw in enumerate(_END_OF_LINE.split(text), 1):
        line = raw.lstrip(WHITESPACE)
        if line.startswith(("#", ";")):
            continue
        first = first or number
        begun += line
        if _continues(begun):
            begun = begun[:-1] + " "
            continue
        if complete := begun.strip(WHITESPACE):
            yield first, complete
        begun, first = "", 0
    if complete := begun.strip(WHITESPACE):
        yield first, complete


def _continues(line: str) -> bool:
    """A backslash that another one escapes continues nothing."""
    found = _BACKSLASHES.search(line)
    return found is not None and len(found[0]) % 2 == 1


def _is_utf8(text: str) -> bool:
    return not any("\udc80" <= character <= "\udcff" for character in text)
