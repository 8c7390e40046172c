# SPDX-License-Identifier: MIT
"""Records that wait for a slow console: a component's restarts become one (docs/console.md)."""

from __future__ import annotations

from collections import deque

from koboshi.wire import records
from koboshi.wire.records import Record

# Less than this is waiting: every record goes out as it is. It is four seconds of a line at 9600 baud.
SLACK_BYTES = 4096
_LOOK_BACK = 64
_MERGED = ("restart", "ready", "checkpoint", "restarts")
# A list of numbers longer than this is closed, and another record begun.
_COVERS_CHARS = 200


def merge(lines: deque[bytes], line: str) -> int | None:
    """Put a record into one that waits already; the bytes that the queue has become longer by.

    None: it is not to be merged, and waits by itself. The first line is left alone: some of it may be out.
    """
    new = records.find(line)
    if new is None or new.event not in _MERGED or not new.component:
        return None
    mark = b" component=" + records.quote(new.component).encode()
    for back in range(1, min(_LOOK_BACK, len(lines) - 1) + 1):
        waiting = lines[-back]
        if mark + b" " not in waiting and mark + b"\n" not in waiting:
            continue
        old = records.find(waiting.decode("ascii", "replace"))
        if old is None or old.event not in _MERGED or old.component != new.component:
            return None
        merged = _merged(old, new)
        if merged is None:
            return None
        del lines[-back]
        data = merged.encode("ascii", "replace") + b"\n"
        lines.append(data)
        return len(data) - len(waiting)
    return None


def _merged(old: Record, new: Record) -> str | None:
    covers = _with(old.keys.get("covers", ""), old.seq)
    if len(covers) > _COVERS_CHARS:
        return None
    keys: dict[str, object] = {"component": new.component}
    for part in (old, new):
        keys.update({key: value for key, value in part.keys.items() if key not in ("covers", "old", "boot")})
    restarts = [part for part in (old, new) if part.event in ("restart", "restarts")]
    keys["count"] = sum(_number(part, "count", 1) for part in restarts)
    keys["ready"] = {"ready": 1, "restart": 0}.get(
        new.event, _number(old, "ready", int(old.event == "ready"))
    )
    keys["latency_max_us"] = max((_worst(part) for part in restarts), default=0)
    keys["latency_sum_us"] = sum(_number(part, "latency_sum_us", _latency(part)) for part in restarts)
    keys["covers"] = covers
    return records.encode(new.seq, new.time, "restarts", keys)


def _number(record: Record, key: str, default: int) -> int:
    value = record.keys.get(key, "")
    return int(value) if value.isdecimal() else default


def _latency(record: Record) -> int:
    return _number(record, "latency_us", 0)


def _worst(record: Record) -> int:
    return max(_latency(record), _number(record, "latency_max_us", 0))


def _with(covers: str, seq: int) -> str:
    """`covers` with one more number: 4, 4-5, 4-5,8."""
    head, _, last = covers.rpartition(",")
    first, _, end = last.partition("-")
    if last and int(end or first) == seq - 1:
        return (head + "," if head else "") + f"{first}-{seq}"
    return (covers + "," if covers else "") + str(seq)


def covered(text: str) -> list[int]:
    """The numbers in `covers`; a ValueError for what is no list of them. At most 10,000."""
    numbers: list[int] = []
    for part in text.split(",") if text else []:
        first, dash, last = part.partition("-")
        begin, end = int(first), int(last) if dash else int(first)
        if end < begin or len(numbers) + end - begin >= 10_000:
            raise ValueError(f"no range of numbers: {part}")
        numbers += range(begin, end + 1)
    return numbers
