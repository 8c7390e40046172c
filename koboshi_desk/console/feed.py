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
from pathlib import Path

from koboshi_desk.console.transport import Transport, told
from koboshi_desk.core.errors import ConsoleClosedError, KoboshiError, PortError

RECONNECT_S = 1.0
SLICE_S = 0.25
Opener = Callable[[], Transport]


@dataclass(frozen=True)
class News:
    """Bytes of the console `index`, or what became of its port: `note` while it is gone, `over` for good."""

    index: int
    data: bytes = b""
    note: str | None = None
    over: bool = False


class Feed(threading.Thread):
    """Puts News into `sink` until `stop` or the end; opens the port again after it was closed if `again`."""

    def __init__(self, index: int, opener: Opener, again: bool, sink: queue.Queue[News]) -> None:
        super().__init__(daemon=True, name=f"console {index}")
        self.index = index
        self.failure: KoboshiError | None = None  # why it ended before its time
        self.transport = opener()  # here, so that a port that was never there is the caller's error
        self._opener = opener
        self._again = again
        self._sink = sink
        self._stopped = threading.Event()

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
                    self._sink.put(News(self.index, data))
            except ConsoleClosedError:
                if not self._again:
                    return
                self._reopen()

    def _reopen(self) -> None:
        """Reopen the port once it is back: an adapter was unplugged, or a server is restarting."""
        self.transport.close()
        self._sink.put(News(self.index, note="the port is closed; opening it again"))
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


def recording(folder: Path, name: str) -> Path:
    """Return the path of a new file for a console's bytes; create the folder if it is missing."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PortError(str(folder), told(error), "expected a folder for recordings") from error
    plain = "".join(c if c.isalnum() or c in "._-" else "-" for c in name.removeprefix("/dev/")).strip("-")
    number = 1
    while (path := folder / f"{plain or 'console'}-{number}.log").exists():
        number += 1
    return path
