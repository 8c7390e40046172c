# SPDX-License-Identifier: MIT
"""The kernel's log: /dev/kmsg, or before Linux 3.5 /proc/kmsg."""

from __future__ import annotations

import errno
import os

RECORDS, LINES = "/dev/kmsg", "/proc/kmsg"
_RECORD_BYTES = 8192  # a shorter buffer cannot take a record
_LEVELS = (
    8  # a higher number has the facility of a program that has written into /dev/kmsg; the kernel's is 0
)
_REST_BYTES = 1024  # of a line; the kernel's are shorter

Message = tuple[float, str]  # seconds since the boot, text


class KernelLog:
    """Reads each message once."""

    def __init__(self, records: str = RECORDS, lines: str = LINES) -> None:
        self._paths = [records, lines]
        self._fd = -1
        self._rest = b""  # of /proc/kmsg: a line that is not complete yet

    def messages(self) -> list[Message]:
        """Return what the kernel has written since the last call; at first, all that it still has."""
        found: list[Message] = []
        while self._paths:
            if self._fd < 0 and not self._open():
                return found
            try:
                data = os.read(self._fd, _RECORD_BYTES)
            except BrokenPipeError:
                continue  # some were overwritten before they could be read
            except OSError as error:
                if error.errno == errno.EINVAL and len(self._paths) > 1:
                    self._use_lines()  # this kernel's /dev/kmsg can only be written
                    continue
                return found
            if not data:
                return found
            found += self._parsed(data)
        return found

    def _open(self) -> bool:
        try:
            self._fd = os.open(self._paths[0], os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return False
        return True

    def _use_lines(self) -> None:
        os.close(self._fd)
        self._fd = -1
        del self._paths[0]

    def _parsed(self, data: bytes) -> list[Message]:
        if len(self._paths) > 1:
            message = record(data)
            return [message] if message is not None else []
        *whole, rest = (self._rest + data).split(b"\n")
        self._rest = rest[-_REST_BYTES:]
        return [message for text in whole if (message := line(text)) is not None]


def record(data: bytes) -> Message | None:
    """Parse a record of /dev/kmsg; None for one that a program has written."""
    head, _, text = data.partition(b";")
    level, _number, micros, *_more = head.split(b",")
    if int(level) >= _LEVELS:
        return None
    return int(micros) / 1e6, text.partition(b"\n")[0].decode("utf-8", "replace")


def line(data: bytes) -> Message | None:
    """Parse a line of /proc/kmsg, as in `<6>[   12.345678] text`; None without a level of the kernel's."""
    level, bracket, text = data.partition(b">")
    number = level.removeprefix(b"<")
    if not bracket or not number.isdigit() or int(number) >= _LEVELS:
        return None
    stamp, end, rest = text.partition(b"] ")
    seconds = stamp.removeprefix(b"[").strip()
    if end and seconds.replace(b".", b"", 1).isdigit():
        return float(seconds), rest.decode("utf-8", "replace")
    return 0.0, text.decode("utf-8", "replace")
