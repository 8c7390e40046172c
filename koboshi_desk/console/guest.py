# SPDX-License-Identifier: MIT
"""The console of a guest that another process has open: its log to read, and a second line for requests."""

from __future__ import annotations

import threading
import time
from contextlib import suppress

from koboshi_desk.console.notes import Running
from koboshi_desk.console.transport import LogFile, StreamSocket
from koboshi_desk.core.errors import ConsoleClosedError, PortError

POLL_S = 0.1
IDLE_S = 10.0  # QEMU serves one client at a time: between requests the line is free for others
MOST_KEPT = 16384  # bytes without a newline


class GuestConsole:
    """Replies come on the line for requests; whole lines of both are merged into one stream."""

    def __init__(self, running: Running) -> None:
        self.name = str(running.log)
        self.writable = running.requests is not None
        self._requests = running.requests
        self._log = LogFile(running.log, running.pid)
        self._line: StreamSocket | None = None
        self._used = 0.0
        self._logged = self._replied = b""
        self._lock = threading.Lock()  # the reader's thread closes what the writer's opens

    def read(self, timeout: float) -> bytes:
        """See Transport."""
        with self._lock:
            replies = self._replies()
        try:
            self._logged += self._log.read(0 if replies else min(timeout, POLL_S) if self._line else timeout)
        except ConsoleClosedError:
            last, self._logged = self._logged, b""
            if not last + replies:
                raise
            return last + replies
        logged, self._logged = _whole(self._logged)
        return logged + replies

    @property
    def came(self) -> float | None:
        """See Transport."""
        return self._log.came

    def _replies(self) -> bytes:
        if self._line is None:
            return b""
        try:
            data = self._line.read(0)
        except ConsoleClosedError:
            self._close_line()
            return b""
        self._replied += data
        self._used = time.monotonic() if data else self._used
        if time.monotonic() - self._used > IDLE_S:
            self._close_line()
        replies, self._replied = _whole(self._replied)
        return replies

    def write(self, data: bytes) -> None:
        """See Transport. ConsoleClosedError if the guest has no line for requests."""
        if self._requests is None:
            raise ConsoleClosedError(f"{self.name}: the guest has no line for requests")
        with self._lock:
            if self._line is None:
                try:
                    self._line = StreamSocket.connect(self._requests)
                except PortError as error:
                    raise ConsoleClosedError(str(error)) from error
            self._used = time.monotonic()
            self._line.write(data)

    def _close_line(self) -> None:
        if self._line:
            self._line.close()
            self._line, self._replied = None, b""

    def close(self) -> None:
        """See Transport."""
        with self._lock, suppress(OSError):
            self._close_line()
        self._log.close()


def _whole(data: bytes) -> tuple[bytes, bytes]:
    """Up to the last newline, and the rest; all of it if that is no console's text."""
    at = len(data) if len(data) > MOST_KEPT else data.rfind(b"\n") + 1
    return data[:at], data[at:]
