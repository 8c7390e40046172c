# SPDX-License-Identifier: MIT
"""Keeps what comes on a console, byte for byte, and reports what the disk did not take."""

from __future__ import annotations

import os
from pathlib import Path

from koboshi_desk.console.transport import told
from koboshi_desk.core.errors import PortError


class Recording:
    """A new file for one console. A full disk ends neither the watching nor the recording.

    `problem` says what is wrong now, with the file's name; `missing` counts the bytes that are not in it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problem = ""
        self.missing = 0
        try:
            self._file = path.open("xb", buffering=0)
        except OSError as error:
            raise PortError(str(path), told(error), "expected a folder that can be written") from error

    def write(self, data: bytes) -> None:
        """Write what came; what the disk does not take is counted."""
        written = 0
        try:
            while written < len(data):
                written += os.write(self._file.fileno(), data[written:])
        except OSError as error:
            self.missing += len(data) - written
            self.problem = f"recording {self.path}: {told(error)}; {self.missing} bytes are missing"
        else:
            self.problem = ""

    def close(self) -> None:
        """Close the file."""
        self._file.close()


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
