# SPDX-License-Identifier: MIT
"""Notes of the consoles that are open on this machine now, so that a watcher needs no --port."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from koboshi_desk.console.transport import process_alive
from koboshi_desk.core import places
from koboshi_desk.core.errors import PortError


def running_notes() -> Path:
    """The folder of the notes: one for each console that is open now, with its process and its log."""
    folder = places.cache_folder() / "running"
    folder.mkdir(exist_ok=True)
    return folder


@dataclass(frozen=True)
class Running:
    """A guest's console that a process of this machine has open: its log, and its socket for requests."""

    log: Path
    pid: int
    requests: Path | None = None


def running_guest(notes: Path | None = None) -> Running:
    """The console that was opened last by `./dev boot`, `demo` or a test."""
    newest_first = sorted((notes or running_notes()).glob("*.json"), key=_age, reverse=True)
    for note in newest_first:
        with suppress(OSError, ValueError, KeyError, TypeError):
            content = json.loads(note.read_text())
            if process_alive(int(content["pid"])):
                requests = Path(content["requests"]) if "requests" in content else None
                return Running(Path(content["log"]), int(content["pid"]), requests)
            note.unlink()  # its process was killed
    expected = (
        "say --port /dev/ttyUSB0, --port socket://HOST:PORT, or --replay FILE, or start ./dev boot first"
    )
    raise PortError("no port", "no guest of this machine has its console open now", expected)


def _age(note: Path) -> float:
    with suppress(OSError):
        return note.stat().st_mtime
    return 0.0
