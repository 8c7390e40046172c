# SPDX-License-Identifier: MIT
"""A device without a machine: the real supervisor and the real rfork-run in a folder of this host."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from koboshi.wire.records import Record, find

from koboshi_desk.core import places
from koboshi_desk.core.deadline import Deadline
from koboshi_desk.core.errors import KoboshiError
from workbench.core import cache
from workbench.core.command import logged
from workbench.core.repository import REPOSITORY

COMPONENTS = 20
POLL_S = 0.02


class SoakError(KoboshiError):
    """An expected event did not occur."""


def manifest(mark: int) -> str:
    """A tree of components, each found by its command line: no ladder but the lowest rungs, without end."""
    lines = ["version = 1"]
    for number in range(COMPONENTS):
        needs = f'needs = ["c{(number - 1) // 3:02}"]' if number else ""
        lines += [
            f'[component.c{number:02}]\ncommand = ["/bin/sleep", "{duration(mark, number)}"]\n{needs}',
            "restart = { burst = 1000000, window_s = 1, probation_s = 0 }",
            "cold = { attempts = 1000, delay_s = 0.05, delay_max_s = 0.1 }\nladder = { same_fault = 0 }",
        ]
    return "\n".join(lines) + "\n"


def duration(mark: int, number: int) -> str:
    """A time to sleep that no other process on this host sleeps."""
    return f"{1000000 + mark}.{number:02}"


class Rig:
    """A folder, a supervisor in it, and a look at the processes that asks neither."""

    def __init__(self, folder: Path) -> None:
        self.run, self.etc, self.mark = folder / "run", folder / "etc", os.getpid()
        self.etc.mkdir(parents=True)
        (folder / "console").touch()
        (self.etc / "koboshi.toml").write_text(manifest(self.mark))
        self.environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(REPOSITORY / "supervisor"),
            "KOBOSHI_RUN": str(self.run),
            "KOBOSHI_ETC": str(self.etc),
            "KOBOSHI_CONSOLE": str(folder / "console"),
            "KOBOSHI_SYSRQ": str(folder / "sysrq"),
            "KOBOSHI_CGROUPS": "",
            "KOBOSHI_RFORK_RUN": str(_rfork_run()),
        }
        self.supervisor: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """A supervisor, the first or the next one."""
        command = [sys.executable, "-S", "-B", "-m", "koboshi"]
        self.supervisor = subprocess.Popen(command, env=self.environment)

    def end(self, number: int) -> None:
        """Signal the supervisor, and wait for its end."""
        assert self.supervisor is not None
        self.supervisor.send_signal(number)
        self.supervisor.wait(120)
        self.supervisor = None

    def close(self) -> None:
        """Stop everything."""
        if self.supervisor is not None:
            self.end(signal.SIGTERM)
        for pids in self.instances().values():
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def ask(self, command: str, component: str) -> bool:
        """Send an operator's request; return False if it was rejected or no supervisor answered."""
        words = [sys.executable, "-S", "-B", "-m", "koboshi.ctl", command, component]
        return subprocess.run(words, env=self.environment, capture_output=True, timeout=120).returncode == 0

    def status(self) -> dict[str, Any]:
        """status.json's components."""
        with contextlib.suppress(OSError, ValueError):
            found: dict[str, Any] = json.loads((self.run / "status.json").read_text())["components"]
            return found
        return {}

    def instances(self) -> dict[str, list[int]]:
        """PIDs by component, as /proc has them: dead ones are not there."""
        found: dict[str, list[int]] = {f"c{number:02}": [] for number in range(COMPONENTS)}
        names = {duration(self.mark, number): f"c{number:02}" for number in range(COMPONENTS)}
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal():
                with contextlib.suppress(OSError):
                    argv = (entry / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
                    if len(argv) > 1 and argv[0] == "/bin/sleep" and argv[1] in names:
                        found[names[argv[1]]].append(int(entry.name))
        return found

    def settle(self, stopped: set[str], seconds: float = 120.0) -> None:
        """Until each component has one process, and what was stopped has none; else SoakError."""
        deadline = Deadline(seconds)
        while True:
            found = self.instances()
            wrong = {n: pids for n, pids in found.items() if len(pids) != (0 if n in stopped else 1)}
            if not wrong and self._told(found, stopped):
                return
            if deadline.expired:
                states = {name: self.status().get(name, {}).get("state") for name in wrong}
                raise SoakError(f"after {deadline.seconds:.0f} s: processes {wrong}, states {states}")
            time.sleep(POLL_S)

    def _told(self, found: dict[str, list[int]], stopped: set[str]) -> bool:
        """Whether the supervisor's own account is the same."""
        told = self.status()
        return all(
            told.get(name, {}).get("state") == ("stopped" if name in stopped else "ready")
            and (name in stopped or told[name]["pid"] == pids[0])
            for name, pids in found.items()
        )

    def records(self) -> list[Record]:
        """Return the supervisor's log."""
        return [record for line in _lines(self.run) if (record := find(line)) is not None]

    def told_by(self, component: str) -> list[tuple[str, str]]:
        """Name and time of each event in a runner's own log."""
        words = [line.split(" ") for line in _lines(self.run / component)]
        return [(word[3], word[2]) for word in words if len(word) > 3]

    def missing(self) -> list[str]:
        """Events that a runner has written and the supervisor has not recorded, or not once."""
        records = self.records()
        wrong = []
        for number in range(COMPONENTS):
            name = f"c{number:02}"
            own = [record for record in records if record.component == name]
            mine = [(record.event, f"{record.time:.6f}") for record in own]
            wrong += [
                f"{name} {event} {when}"
                for event, when in self.told_by(name)
                if mine.count((event, when)) != 1
            ]
        return wrong


def _lines(folder: Path) -> list[str]:
    paths = [folder / name for name in ("events.1", "events")]
    return [line for path in paths if path.exists() for line in path.read_text(errors="replace").splitlines()]


def _rfork_run() -> Path:
    build = places.cache_folder() / "objects" / cache.key(["soak", str(REPOSITORY)])
    build.mkdir(parents=True, exist_ok=True)
    program = build / "rfork-run"
    with cache.lock("objects"):
        logged(["make", "-C", REPOSITORY / "librfork", f"BUILD={build}", program], build / "build.log")
    return program
