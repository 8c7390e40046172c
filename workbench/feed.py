# SPDX-License-Identifier: MIT
"""Plays lines into the guest's second serial port, as a GPS receiver would, from a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress

from workbench.errors import ConsoleClosedError
from workbench.transport import Transport


def checksum(body: str) -> str:
    """An NMEA 0183 sentence, `$BODY*HH` with CR LF; HH is the XOR of BODY's characters."""
    value = 0
    for character in body:
        value ^= ord(character)
    return f"${body}*{value:02X}\r\n"


def standing_still() -> Iterator[bytes]:
    """A receiver on a desk: GGA once a second, for ever."""
    second = 0
    while True:
        clock = f"{second // 3600 % 24:02}{second // 60 % 60:02}{second % 60:02}.00"
        yield checksum(f"GPGGA,{clock},3542.5000,N,13943.2000,E,1,08,0.9,40.0,M,36.0,M,,").encode()
        second += 1


class Feed:
    """Writes one item of `lines` each `period_s` seconds until `stop`, or until the port is closed."""

    def __init__(self, port: Transport, lines: Iterable[bytes], period_s: float = 1.0) -> None:
        self._port = port
        self._lines = iter(lines)
        self._period_s = period_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="nmea", daemon=True)

    def start(self) -> None:
        """Begin to play."""
        self._thread.start()

    def _run(self) -> None:
        with suppress(ConsoleClosedError):
            for line in self._lines:
                self._port.write(line)
                self._port.read(0)  # what the guest writes goes nowhere, but must not pile up
                if self._stop.wait(self._period_s):
                    return

    def stop(self) -> None:
        """End the thread; call it after the port's other side is closed, or a write may still wait."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(5)
        self._port.close()
