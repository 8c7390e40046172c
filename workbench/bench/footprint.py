# SPDX-License-Identifier: MIT
"""`./dev bench footprint`: what the supervisor and the runners cost a device, measured in the guest.

Memory, threads, wake-ups while nothing happens, system calls for each restart: none of it depends on how fast
the machine is. Exit status 1 if a goal that must be met is not.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from koboshi_desk.core.deadline import Deadline
from workbench.core import cache, progress
from workbench.core.command import logged
from workbench.core.repository import REPOSITORY
from workbench.guest.booted import Guest
from workbench.guest.faults import PROBATION_S
from workbench.image import quick as quickimage

SOURCE = REPOSITORY / "bench/footprint/syscalls.c"
PROGRAM = "/usr/bin/syscalls"
IDLE_S = 30
RESTARTS = 4  # in a row for the same fault: one more, and the ladder has it started cold
MUST = {"supervisor_kb": 12288, "threads": 1, "wakeups": 0}


@dataclass
class Footprint:
    """Of the demo's image: `runner_kb` and `runner_wakeups` are those of each component's rfork-run."""

    kernel: str
    supervisor_kb: int
    supervisor_anonymous_kb: int
    threads: int
    descriptors: int
    idle_s: int
    wakeups: int
    runner_kb: dict[str, int]
    runner_wakeups: dict[str, int]
    restarts: int
    supervisor_calls_per_restart: float
    runner_calls_per_restart: float
    problems: list[str] = field(default_factory=list)


def run(json_file: Path | None, line: str) -> int:
    """For the task."""
    found = measure(line)
    text = json.dumps(asdict(found), indent=2)
    print(text)
    if json_file is not None:
        json_file.write_text(text + "\n")
    return 1 if found.problems else 0


def measure(line: str) -> Footprint:
    """Boot the demo's image, and look."""
    image = quickimage.build(extra={PROGRAM: _counter()}, line=line)
    with Guest(image) as guest:
        guest.boot()
        _pause(guest, 5)  # what the start has left to be written
        progress.note(f"footprint: {IDLE_S} s without anything to do")
        before = _switches(guest)
        _pause(guest, IDLE_S)
        after = _switches(guest)
        pid = guest.model.supervisor_pid
        status = _status(guest, pid)
        runners = {name: component.runner for name, component in guest.model.components.items()}
        calls = _calls(guest, pid, runners["gps"])
        found = Footprint(
            kernel=guest.model.kernel,
            supervisor_kb=status["VmRSS"],
            supervisor_anonymous_kb=status["RssAnon"],
            threads=status["Threads"],
            descriptors=int(guest.shell.run(f"ls /proc/{pid}/fd | wc -l").output),
            idle_s=IDLE_S,
            wakeups=after[pid] - before[pid],
            runner_kb={name: _status(guest, runner)["VmRSS"] for name, runner in runners.items()},
            runner_wakeups={name: after[runner] - before[runner] for name, runner in runners.items()},
            restarts=RESTARTS,
            supervisor_calls_per_restart=calls[0],
            runner_calls_per_restart=calls[1],
        )
    values = asdict(found)
    over = {key: most for key, most in MUST.items() if values[key] > most}
    found.problems = [f"{key} is {values[key]}, and must be at most {most}" for key, most in over.items()]
    return found


def _counter() -> Path:
    folder = cache.entry("footprint", cache.key([SOURCE]), _build)
    return folder / "syscalls"


def _build(folder: Path) -> None:
    options = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-static"]
    logged(["cc", *options, "-o", folder / "syscalls", SOURCE], folder / "log")


def _pause(guest: Guest, seconds: float) -> None:
    """Without a word to the guest: a shell that works would be somebody to share its CPU with."""
    end = time.monotonic() + seconds
    guest.console.until(lambda: time.monotonic() > end, Deadline(seconds + 60), "the end of a pause")


def _status(guest: Guest, pid: int) -> dict[str, int]:
    """Numbers of /proc/PID/status."""
    lines = guest.shell.run(f"cat /proc/{pid}/status").output.splitlines()
    pairs = (line.split(":\t", 1) for line in lines if ":\t" in line)
    return {key: int(words[0]) for key, value in pairs if (words := value.split()) and words[0].isdecimal()}


def _switches(guest: Guest) -> dict[int, int]:
    """How often the supervisor and each runner have gone to sleep: as often as they woke up."""
    pids = [guest.model.supervisor_pid, *(c.runner for c in guest.model.components.values())]
    return {pid: _status(guest, pid)["voluntary_ctxt_switches"] for pid in pids}


def _calls(guest: Guest, supervisor: int, runner: int) -> tuple[float, float]:
    """System calls of both for each restart of gps."""
    guest.shell.run(f"({PROGRAM} {supervisor} {runner} >/tmp/calls 2>&1 & echo $! >/tmp/counter)")
    for _ in range(RESTARTS):
        _restart(guest, "gps")
    script = "kill -TERM $(cat /tmp/counter); until [ -s /tmp/calls ]; do usleep 100000; done; cat /tmp/calls"
    lines = [line.split() for line in guest.shell.run(script, 60).output.splitlines()]
    counts: dict[Any, int] = {int(pid): int(calls) for pid, calls in lines}
    return round(counts[supervisor] / RESTARTS, 1), round(counts[runner] / RESTARTS, 1)


def _restart(guest: Guest, name: str) -> None:
    """A crash, and service again; the PID is the console's, for status.json may not be written yet."""
    component = guest.model.components[name]
    before = component.restart_count
    guest.shell.run(f"kill -SEGV {component.pid}")
    guest.console.until(
        lambda: component.restart_count > before and component.state == "ready",
        Deadline(60),
        f"{name} ready again",
    )
    _pause(guest, PROBATION_S)
