# SPDX-License-Identifier: MIT
"""Keeps what comes on a console, byte for byte, and reports what the disk did not take."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

from koboshi_desk.console import times
from koboshi_desk.console.transport import told
from koboshi_desk.core.errors import PortError


class Recording:
    """A new file for one console. A full disk ends neither the watching nor the recording.

    `problem` says what is wrong now, with the file's name; `missing` counts the bytes that are not in it.
    """

    def __init__(self, path: Path, port: str = "") -> None:
        self.path = path
        self.problem = ""
        self.missing = 0
        try:
            self._file = path.open("xb", buffering=0)
        except OSError as error:
            raise PortError(str(path), told(error), "expected a folder that can be written") from error
        self._size = 0
        self._times = os.open(
            times.path_of(path), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666
        )
        self._note(times.header(port))

    def _note(self, line: str) -> None:
        """Add to the times; on a full disk they have a gap, and a torn line is ended by the next."""
        with suppress(OSError):
            taken = os.write(self._times, line.encode())
            if taken < len(line):
                os.ftruncate(self._times, os.lseek(self._times, -taken, os.SEEK_CUR))

    def mark(self, what: str) -> None:
        """Note that the port is closed or open again."""
        self._note(f"{self._size} {time.time():.3f} {what}\n")

    def write(self, data: bytes, at: float | None = None) -> None:
        """Write what came at a time (None: now); what the disk does not take is counted."""
        self._note(f"{self._size} {time.time() if at is None else at:.3f}\n")
        written = 0
        try:
            while written < len(data):
                written += os.write(self._file.fileno(), data[written:])
        except OSError as error:
            self.missing += len(data) - written
            self.problem = f"recording {self.path}: {told(error)}; {self.missing} bytes are missing"
        else:
            self.problem = ""
        finally:
            self._size += written

    def close(self) -> None:
        """Close the files; a second call does nothing."""
        self._file.close()
        if self._times >= 0:
            os.close(self._times)
            self._times = -1


def new_path(folder: Path, name: str) -> Path:
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
