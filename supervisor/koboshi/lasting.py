# SPDX-License-Identifier: MIT
"""The little that must outlive a reboot, kept so that a power cut at any instant leaves the old or the new.

Two files of one sector each are written in turn. Each holds a line with a sequence number and a CRC-32; the
whole one with the higher number counts. The other one is never touched by a write, and a write is over when
fsync(2) has returned. Once a file is there it neither grows nor moves.
"""

from __future__ import annotations

import json
import zlib

from koboshi.system import System

SLOT_BYTES = 512
_MARK = b"koboshi-last/1 "


def encode(seq: int, values: dict[str, object]) -> bytes:
    """One slot; values that do not fit into a sector are a ValueError."""
    return encode_line(seq, values, SLOT_BYTES)


def encode_line(seq: int, values: dict[str, object], size: int) -> bytes:
    """Number, values and their CRC in exactly `size` bytes; ValueError if they do not fit."""
    body = b"%d %s" % (seq, json.dumps(values, separators=(",", ":")).encode())
    line = _MARK + b"%08x " % zlib.crc32(body) + body + b"\n"
    if len(line) > size:
        raise ValueError(f"{len(line)} bytes do not fit into {size}")
    return line.ljust(size - 1) + b"\n"


def decode(data: bytes) -> tuple[int, dict[str, object]] | None:
    """Sequence number and values of a slot; None where it is not whole."""
    return decode_line(data) if len(data) == SLOT_BYTES else None


def decode_line(data: bytes) -> tuple[int, dict[str, object]] | None:
    """Number and values of the line that the data begins with; None where it is not whole."""
    line = data.partition(b"\n")[0]
    if not line.startswith(_MARK):
        return None
    check, _space, body = line[len(_MARK) :].partition(b" ")
    if check != b"%08x" % zlib.crc32(body):
        return None
    number, _space, text = body.partition(b" ")
    values = json.loads(text)
    return int(number), values if isinstance(values, dict) else {}


class Lasting:
    """Both slots in a directory."""

    def __init__(self, system: System, directory: str) -> None:
        self.system = system
        self.paths = [f"{directory}/ladder.{slot}" for slot in (0, 1)]
        self.seq = 0
        self.values: dict[str, object] = {}
        self.next = 0
        for slot, path in enumerate(self.paths):
            got = system.read(path, 0)
            found = decode(got[1]) if got is not None else None
            if found is not None and found[0] > self.seq:
                self.seq, self.values = found
                self.next = 1 - slot

    def store(self, values: dict[str, object]) -> str:
        """Write the values, and return once they last; what went wrong, or nothing."""
        if values == self.values:
            return ""
        error = self.system.write_slot(self.paths[self.next], encode(self.seq + 1, values))
        if not error:
            self.seq += 1
            self.values = dict(values)
            self.next = 1 - self.next
        return error
