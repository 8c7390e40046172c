# SPDX-License-Identifier: MIT
"""A console session: writes every byte to the log first, then passes it to decoder and listeners."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from koboshi_desk.console.decoder import Decoder, Item, Record, Reply
from koboshi_desk.console.findings import Finding, judge
from koboshi_desk.console.noise import Noise
from koboshi_desk.console.text import harmless, show
from koboshi_desk.console.transport import LogFile, Transport, told
from koboshi_desk.core.deadline import Deadline
from koboshi_desk.core.errors import ConsoleClosedError, ConsoleTimeoutError, KoboshiError

Listener = Callable[[Item], None]
SLICE_S = 0.25  # how long one read may wait, so that Ctrl-C and a live view are served


class Console:
    """Nothing is read but in `pump`, which all waits call: no thread, no byte lost between two waits.

    `log` is created; its first lines are `header` as comments, the rest is what came, byte for byte.
    """

    def __init__(self, transport: Transport, log: Path | None = None, header: str = "") -> None:
        self.transport = transport
        self.log = log
        self.decoder = Decoder()
        self.noise = Noise()
        self.findings: list[Finding] = []
        self.closed = False
        self.after_pump: Callable[[], None] | None = None
        self.raw: Callable[[bytes], None] | None = None  # also gets the bytes as they came (a terminal)
        self._listeners: list[Listener] = []
        self._tail: deque[str] = deque(maxlen=20)
        self._tee = log.open("wb", buffering=0) if log else None
        if self._tee and header:
            self._tee.write("".join(f"# {line}\n" for line in header.splitlines()).encode())

    def listen(self, listener: Listener) -> None:
        """Call `listener` with each item."""
        self._listeners.append(listener)

    def write(self, data: bytes) -> None:
        """Send to the other end of the console."""
        self.transport.write(data)

    def pump(self, timeout: float = SLICE_S) -> list[Item]:
        """Read what is there, waiting up to `timeout` seconds; the items that it completed.

        Raises ConsoleClosedError when the other side is gone; what it sent before has been handed out then.
        """
        try:
            data = self.transport.read(timeout)
        except ConsoleClosedError:
            self.closed = True
            self._hand_out(self.decoder.flush())
            raise
        if data and self._tee:
            self._write_log(self._tee, data)
        if data and self.raw:
            self.raw(data)
        if data and isinstance(self.transport, LogFile) and self.transport.reopened:
            self.decoder.reopened()
        items = self.decoder.feed(data) if data else []
        self.noise.take(data, record=any(isinstance(item, Record | Reply) for item in items))
        self._hand_out(items)
        if self.after_pump:
            self.after_pump()
        return items

    def _write_log(self, tee: BinaryIO, data: bytes) -> None:
        """All of it; a write to a full disk may take a part."""
        try:
            while data:
                data = data[tee.write(data) :]
        except OSError as error:
            raise KoboshiError(f"{self.log}: {told(error)}") from error

    def _hand_out(self, items: list[Item]) -> None:
        for item in items:
            self._tail.append(show(item))
            if finding := judge(item):
                self.findings.append(finding)
            for listener in self._listeners:
                listener(item)

    def until(self, true: Callable[[], bool], deadline: Deadline, what: str) -> None:
        """Pump until `true()`; raise ConsoleTimeoutError, naming `what`, at the deadline."""
        while not true():
            if deadline.expired:
                raise ConsoleTimeoutError(what, deadline.seconds, self.last_lines())
            self.pump(min(SLICE_S, deadline.remaining()))

    def wait(self, match: Callable[[Item], bool], deadline: Deadline, what: str) -> Item:
        """Wait for the next matching item and return it."""
        while not deadline.expired:
            for item in self.pump(min(SLICE_S, deadline.remaining())):
                if match(item):
                    return item
        raise ConsoleTimeoutError(what, deadline.seconds, self.last_lines())

    def drain(self, quiet_s: float = 0.2, limit_s: float = 5.0) -> None:
        """Read until nothing came for `quiet_s`, or until the end: for a `finally`, so it raises nothing."""
        end = time.monotonic() + limit_s
        try:
            while not self.closed and time.monotonic() < end:
                before = self.decoder.counts.records, self.decoder.partial
                if not self.pump(quiet_s) and before == (self.decoder.counts.records, self.decoder.partial):
                    return
        except ConsoleClosedError:
            return

    def reopen(self, transport: Transport) -> None:
        """Continue with another transport to the same console."""
        self.transport = transport
        self.closed = False

    def last_lines(self) -> list[str]:
        """Return the last lines, including the unfinished one."""
        return [*self._tail, *([harmless(self.decoder.partial)] if self.decoder.partial else [])]

    def close(self) -> None:
        """Close the port and the log; a second call does nothing."""
        self.transport.close()
        if self._tee:
            self._tee.close()
            self._tee = None
