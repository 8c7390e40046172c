# SPDX-License-Identifier: MIT
"""Plays a recorded GPS track into a serial port, in a loop, at a steady rate."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from koboshi_desk.core.deadline import Deadline
from koboshi_desk.core.errors import ConsoleClosedError, KoboshiError

TRACK = Path(__file__).resolve().parents[2] / "components" / "gps" / "track.nmea"


class TrackError(KoboshiError):
    """A track file with a line that is not a sentence with a right checksum: file, line, what is wrong."""

    def __init__(self, file: Path, line: int, problem: str) -> None:
        super().__init__(f"{file}:{line}: {problem}; $BODY*HH, HH the exclusive or of BODY, would be right")
        self.file, self.line, self.problem = file, line, problem


def checksum(body: bytes) -> int:
    """NMEA 0183's: the exclusive or of all bytes between `$` and `*`."""
    value = 0
    for byte in body:
        value ^= byte
    return value


def read_track(file: Path = TRACK) -> list[bytes]:
    """All sentences of a track, each with CR LF. A wrong one is an error here, not a riddle on the device."""
    sentences = []
    for number, line in enumerate(file.read_bytes().splitlines(), 1):
        body, star, check = line[1:].partition(b"*")
        if not line.startswith(b"$") or not star:
            raise TrackError(file, number, "not a sentence")
        if check.upper() != b"%02X" % checksum(body):
            raise TrackError(file, number, f"checksum {check.decode('ascii', 'replace')} is wrong")
        sentences.append(line + b"\r\n")
    if not sentences:
        raise TrackError(file, 0, "no sentences")
    return sentences


class NmeaPlayer:
    """Hands sentences to `write` at `hertz` (0.1 to 100) from a thread of its own, in a loop until `stop`.

    `write` takes the bytes: a socket's `sendall`, a file's `write`, a transport's. When it says that the
    guest has gone (OSError, ConsoleClosedError) the playing ends; `error` keeps it. Sentences keep to the
    schedule of the start, so their rate does not drift; after a pause of the whole machine they go on
    without a burst.
    """

    def __init__(
        self, write: Callable[[bytes], object], sentences: Sequence[bytes] | None = None, hertz: float = 5.0
    ) -> None:
        if not 0.1 <= hertz <= 100:
            raise ValueError(f"{hertz} Hz is not a valid rate for a GPS receiver; must be 0.1 to 100")
        self._write = write
        self._sentences = list(sentences) if sentences is not None else read_track()
        self._period = 1.0 / hertz
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="nmea", daemon=True)
        self.played = 0
        self.error: OSError | ConsoleClosedError | None = None

    def start(self) -> NmeaPlayer:
        """Begin with the first sentence at once."""
        self._thread.start()
        return self

    def stop(self, deadline: Deadline | None = None) -> None:
        """End it; TimeoutError where `write` still blocks at the deadline (default: 5 seconds)."""
        limit = deadline or Deadline(5, "stop the GPS track")
        self._stopping.set()
        if self._thread.ident is None:
            return
        self._thread.join(limit.remaining())
        if self._thread.is_alive():
            raise TimeoutError(f"{limit.what}: the port takes no more bytes and does not fail either")

    def __enter__(self) -> NmeaPlayer:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(self) -> None:
        due = time.monotonic()
        while not self._stopping.is_set():
            try:
                self._write(self._sentences[self.played % len(self._sentences)])
            except (OSError, ConsoleClosedError) as error:
                self.error = error
                return
            self.played += 1
            due = max(due + self._period, time.monotonic() - self._period)
            self._stopping.wait(max(0.0, due - time.monotonic()))
