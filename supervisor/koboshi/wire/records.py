# SPDX-License-Identifier: MIT
"""Console records, `koboshi/1 SEQ TIME EVENT key=value ... *CHECK`, encoded and decoded (docs/console.md).

Pure: also used on the host.
"""

from __future__ import annotations

import zlib

VERSION = "koboshi/1"
_MARK = "koboshi/"
_DIGITS = frozenset("0123456789")
_HEX = frozenset("0123456789abcdefABCDEF")
# Beyond this the line is not a record: no reader should have to hold an endless one.
MAX_LINE = 4096
# Where it would be beyond that, values longer than this are cut, and end in the mark.
MAX_VALUE = 256
CUT = "..."


class RecordError(ValueError):
    """A line that is not a whole record: `problem` says why, `line` is what was read."""

    def __init__(self, problem: str, line: str) -> None:
        super().__init__(f"{problem}: {line!r}")
        self.problem = problem
        self.line = line


class Record:
    """One event: sequence number, CLOCK_MONOTONIC in seconds, name, and keys in their order."""

    __slots__ = ("event", "keys", "seq", "time")

    def __init__(self, seq: int, time: float, event: str, keys: dict[str, str] | None = None) -> None:
        self.seq = seq
        self.time = time
        self.event = event
        self.keys = {} if keys is None else keys

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Record):
            return NotImplemented
        return self._tuple() == other._tuple()

    def __hash__(self) -> int:
        return hash((self.seq, self.event))

    def __repr__(self) -> str:
        return f"Record({self.seq}, {self.time:.6f}, {self.event!r}, {self.keys!r})"

    def _tuple(self) -> tuple[object, ...]:
        # Six decimals are all that a record carries.
        return (self.seq, f"{self.time:.6f}", self.event, self.keys)

    @property
    def component(self) -> str | None:
        """The component the record is about, if it is about one."""
        return self.keys.get("component")


def quote(value: str) -> str:
    """`value` with spaces, `%`, `*` and all but printable ASCII as %XX of its UTF-8."""
    if value.isascii() and value.isprintable() and not any(c in " %*" for c in value):
        return value
    data = value.encode("utf-8", "surrogateescape")
    return "".join(chr(b) if 0x20 < b < 0x7F and b not in b"%*" else f"%{b:02X}" for b in data)


def unquote(value: str) -> str:
    """The inverse of `quote`; a `%` that no two hexadecimal digits follow is a ValueError."""
    if "%" not in value:
        return value
    head, *parts = value.split("%")
    out = bytearray(head.encode("utf-8", "surrogateescape"))
    for part in parts:
        if len(part) < 2 or not _HEX.issuperset(part[:2]):
            raise ValueError(f"bad escape %{part[:2]}")
        out.append(int(part[:2], 16))
        out += part[2:].encode("utf-8", "surrogateescape")
    return out.decode("utf-8", "surrogateescape")


def check(text: str) -> str:
    """The CRC-32 of a record's text, as eight hexadecimal digits."""
    return f"{zlib.crc32(text.encode('utf-8', 'surrogateescape')):08x}"


def encode(seq: int, time: float, event: str, keys: dict[str, object]) -> str:
    """One record as a line without its newline; values are turned into strings, and cut in one too long."""
    begin = [VERSION, str(seq), f"{time:.6f}", event]
    text = " ".join(begin + [f"{key}={quote(str(value))}" for key, value in keys.items()])
    if len(text) > MAX_LINE - len(" *01234567"):
        text = " ".join(begin + [f"{key}={cut(str(value))}" for key, value in keys.items()])
    return f"{text} *{check(text)}"


def cut(value: str, most: int = MAX_VALUE) -> str:
    """`value` as `quote` has it, in at most so many characters; one that is cut ends in the mark."""
    quoted = quote(value)
    if len(quoted) <= most:
        return quoted
    kept = value[: most - len(CUT)]
    while len(quote(kept)) > most - len(CUT):
        kept = kept[:-1]
    return quote(kept) + CUT


def find(line: str) -> Record | None:
    """The record in a line of console output, wherever it begins; None if there is no whole one."""
    try:
        return decode(line)
    except RecordError:
        return None


def decode(line: str) -> Record:
    """As `find`, but says with a RecordError why there is none."""
    at = _begin(line)
    if at < 0:
        raise RecordError("no record", line[:200])
    text = line[at:]
    if len(text) > MAX_LINE:
        raise RecordError("too long", line[:200])
    # What follows the check (\r, a prompt, the start of a kernel message) is not the record's.
    body, star, tail = text.partition(" *")
    if not star or len(tail) < 8:
        raise RecordError("no check", line)
    if tail[:8] != check(body):
        raise RecordError("wrong check", line)
    return _parse(body, line)


def _begin(line: str) -> int:
    """Where the last `koboshi/N SEQ ` is, which no value can be: /etc/koboshi/koboshi.toml is one."""
    at = line.rfind(_MARK)
    while at >= 0:
        words = line[at + len(_MARK) : at + len(_MARK) + 40].split(" ", 2)
        if len(words) == 3 and _number(words[0]) and _number(words[1]):
            return at
        at = line.rfind(_MARK, 0, at)
    return -1


def _parse(body: str, line: str) -> Record:
    words = body.split(" ")
    if words[0] != VERSION:
        raise RecordError("unknown version", line)
    if len(words) < 4 or not words[3] or not _number(words[1]) or not _seconds(words[2]):
        raise RecordError("not SEQ TIME EVENT", line)
    try:
        return Record(int(words[1]), float(words[2]), words[3], parse_keys(words[4:]))
    except ValueError as error:
        raise RecordError(str(error), line) from None


def parse_keys(words: list[str]) -> dict[str, str]:
    """`key=value` words as a dictionary; anything else is a ValueError."""
    keys: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not key or not equals:
            raise ValueError(f"not key=value: {word}")
        keys[key] = unquote(value)
    return keys


def _number(word: str) -> bool:
    return 0 < len(word) <= 18 and _DIGITS.issuperset(word)


def _seconds(word: str) -> bool:
    whole, dot, part = word.partition(".")
    return _number(whole) and (not dot or _number(part))
