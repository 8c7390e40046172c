# SPDX-License-Identifier: MIT
"""One line in a slot of fixed size: a mark, a CRC-32, a sequence number and values as JSON.

A reader takes a slot only if its checksum is right, so that a write that a power cut has torn does not count.
"""

from __future__ import annotations

import json
import zlib

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
