# SPDX-License-Identifier: MIT
"""Reads one console in a separate thread, and reopens the port after it was gone.

Many consoles at once, a key that is answered at once, and a port that takes its time to open: each would
hold up the others in one loop. The thread only moves bytes; the reader of the queue decodes them.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from koboshi_desk.console.transport import Transport
from koboshi_desk.core.errors import ConsoleClosedError, KoboshiError, PortError

RECONNECT_S = 1.0
SLICE_S = 0.25
Opener = Callable[[], Transport]


@dataclass(frozen=True)
class News:
    """Bytes of the console `index`, or what became of its port: `note` while it is gone, `over` for good."""

    index: int
    data: bytes = b""
    at: float | None = None  # when they came, in seconds since 1970
    reopened: bool = False  # in a recording, the port was opened again before them
    note: str | None = None
    over: bool = False


class Absent:
    """Stands for a port that is not there yet."""

    writable = True
    came: float | None = None

    def __init__(self, error: PortError) -> None:
        self.name = error.port
        self._reason = error.reason

    def read(self, timeout: float) -> bytes:
        """Raise ConsoleClosedError with the reason."""
        raise ConsoleClosedError(self._reason)

    def write(self, data: bytes) -> None:
        """See `read`."""
        raise ConsoleClosedError(self._reason)

    def close(self) -> None:
        """Do nothing."""


class Feed(threading.Thread):
    """Puts News into `sink` until `stop` or the end; opens the port again after it was closed if `again`."""

    def __init__(self, index: int, opener: Opener, again: bool, sink: queue.Queue[News]) -> None:
        super().__init__(daemon=True, name=f"console {index}")
        self.index = index
        self.failure: KoboshiError | None = None  # why it ended before its time
        self.transport = self._first(opener)  # here, so that a wrong port is the caller's error
        self._opener = opener
        self._again = again
        self._sink = sink
        self._stopped = threading.Event()

    def _first(self, opener: Opener) -> Transport:
        try:
            return opener()
        except PortError as error:
            if not error.absent:
                raise
            return Absent(error)

    def run(self) -> None:
        """Run the thread."""
        try:
            self._read()
        except PortError as error:
            self.failure = error
        self.transport.close()
        self._sink.put(News(self.index, over=True))

    def _read(self) -> None:
        while not self._stopped.is_set():
            try:
                if data := self.transport.read(SLICE_S):
                    reopened = bool(getattr(self.transport, "reopened", False))
                    self._sink.put(News(self.index, data, self.transport.came, reopened))
            except ConsoleClosedError as error:
                if isinstance(self.transport, Absent):
                    self._reopen(f"{error}; waiting for it")
                elif self._again:
                    self._reopen("the port is closed; opening it again")
                else:
                    return

    def _reopen(self, note: str) -> None:
        """Open the port once it is there: an adapter is unplugged, or a server is restarting."""
        self.transport.close()
        self._sink.put(News(self.index, note=note))
        while not self._stopped.wait(RECONNECT_S):
            with suppress(PortError):
                self.transport = self._opener()
                self._sink.put(News(self.index, note=""))
                return

    def write(self, data: bytes) -> bool:
        """Send to the device; return False if its port is currently gone."""
        try:
            self.transport.write(data)
        except ConsoleClosedError:
            return False
        return True

    def stop(self) -> None:
        """Stop the thread and wait for it briefly, so that a port that hangs cannot block the caller."""
        self._stopped.set()
        if self.is_alive():
            self.join(2 * SLICE_S + 0.5)
