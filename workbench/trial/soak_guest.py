# SPDX-License-Identifier: MIT
"""`./dev soak`: a guest in which tests/soak/driver.py breaks twenty components, and sees what follows.

Its observer reads /proc and the runners' own logs. Here the console is read, and the kernel must have had
nothing to say, but that it ran out of memory.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from koboshi_desk.core.deadline import Deadline
from koboshi_desk.core.errors import KoboshiError
from workbench.core import progress
from workbench.core.repository import REPOSITORY
from workbench.guest.booted import Guest
from workbench.guest.errors import ShellError
from workbench.image import quick as quickimage
from workbench.image.bootable import Image

COMPONENTS = 20
WARM = 3  # of them have a checkpoint and a heartbeat
DRIVER = REPOSITORY / "tests/soak"
FOLDER = "/usr/lib/koboshi-soak"
PROGRAM = f"{FOLDER}/tests/soak/component.py"
RESULT = "/root/soak.json"
BOOT_S = 240.0
LOOK_S = 5.0
# On top of the time that the driver has: the last round's settling, under emulation.
SLACK_S = 400.0
CONDITIONS = ("rounds", "faults", "records", "supervisors", "first", "last", "problems")


class GuestSoakError(KoboshiError):
    """The driver in the guest has not come to an end."""


@dataclass
class Result:
    """What happened; `problems` is empty where all was as it should be."""

    seed: int
    kernel: str = ""
    rounds: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    supervisors: int = 0
    records: int = 0
    console_lost: int = 0
    first: dict[str, int] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0


def manifest() -> str:
    """A tree of components, each found by a word in its command line; budgets that a soak does not use up."""
    lines = ["version = 1"]
    for number in range(COMPONENTS):
        name = f"c{number:02}"
        program = f'command = ["/bin/busybox", "sleep", "{_mark(number)}"]'
        if name in warm():
            program = f'command = ["/usr/bin/python3", "-SB", "{PROGRAM}", "{_mark(number)}"]'
            program += (
                '\nenvironment = { PYTHONPATH = "/usr/lib/koboshi" }\nready = "notify"\nready_timeout_s = 120'
            )
            program += "\nheartbeat_s = 10\nrestart = { burst = 4, window_s = 1, probation_s = 0.2 }"
        lines += [
            f"[component.{name}]\n{program}",
            f'needs = ["c{(number - 1) // 3:02}"]' if number else "",
            "cold = { attempts = 1000, window_s = 100000, delay_s = 0.05, delay_max_s = 0.5 }",
            "ladder = { same_fault = 0, dependents = 100, good_run_s = 100 }",
        ]
    return "\n".join(lines) + "\n"


def _mark(number: int) -> str:
    return str(7000000 + number)


def warm() -> list[str]:
    """The last ones of the tree."""
    return [f"c{number:02}" for number in range(COMPONENTS - WARM, COMPONENTS)]


def image(line: str) -> Image:
    """The quick image with this manifest and the driver."""
    extra: Mapping[str, Path | bytes] = {
        f"{FOLDER}/tests/soak/{path.name}": path for path in DRIVER.glob("*.py")
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "koboshi.toml"
        path.write_text(manifest())
        return quickimage.build(path, extra, line=line)


def soak(built: Image, minutes: float, seed: int, rounds: int = 0) -> Result:
    """Run for a time or a number of rounds; stop at the first problem."""
    result = Result(seed)
    begin = time.monotonic()
    with Guest(built) as guest:
        guest.boot(BOOT_S)
        guest.shell.directory = "/tmp"  # the soak fills /run to the last byte
        result.kernel = guest.model.kernel
        _start(guest, minutes * 60, seed, rounds)
        _follow(guest, result, Deadline(minutes * 60 + SLACK_S, "the soak"))
        result.problems += [str(finding) for finding in guest.verdict() if "oom" not in str(finding).lower()]
        result.console_lost = guest.console.decoder.counts.lost
    result.seconds = round(time.monotonic() - begin, 1)
    return result


def _start(guest: Guest, seconds: float, seed: int, rounds: int) -> None:
    marks = ",".join(f"{_mark(number)}=c{number:02}" for number in range(COMPONENTS))
    words = f"{marks} {','.join(warm())} {seed} {seconds:.0f} {rounds} {RESULT}"
    guest.shell.run(
        f"(cd {FOLDER}; exec python3 -SB -m tests.soak.driver {words} >/root/soak.out 2>&1 </dev/null &) &"
    )


def _follow(guest: Guest, result: Result, deadline: Deadline) -> None:
    noted = 0
    while True:
        until = time.monotonic() + LOOK_S
        guest.console.until(lambda until=until: time.monotonic() > until, Deadline(60), "a while")  # type: ignore[misc]
        found = _result(guest)
        for key in CONDITIONS:
            if key in found:
                setattr(result, key, found[key])
        if found.get("over"):
            return
        if deadline.expired:
            out = guest.shell.run("tail -5 /root/soak.out", 240, check=False).output
            raise GuestSoakError(f"no end after {deadline.seconds:.0f} s; {result.rounds} rounds; {out}")
        if result.rounds >= noted + 20:
            noted = result.rounds
            progress.note(f"soak: {noted} rounds, {sum(result.faults.values())} faults")


def _result(guest: Guest) -> dict[str, object]:
    """What the driver has written; nothing, while the guest has no process to spare for telling us."""
    try:
        text = guest.shell.run(f"cat {RESULT} 2>/dev/null", 60, check=False).output
        found: dict[str, object] = json.loads(text) if text.startswith("{") else {}
    except (ShellError, ValueError):
        return {}
    return found


def run(minutes: float, seed: int, json_file: Path | None, line: str) -> int:
    """For the task; 0 only if nothing was wrong."""
    result = soak(image(line), minutes, seed)
    text = json.dumps({"passed": not result.problems, **asdict(result)}, indent=2)
    print(text)
    if json_file is not None:
        json_file.write_text(text + "\n")
    return 1 if result.problems else 0
