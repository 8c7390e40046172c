# SPDX-License-Identifier: MIT
"""`./dev powercut`: a disk image writes as hard as it can, and its power goes, again and again.

QEMU gets SIGKILL: what the guest has not handed to its disk by then is gone. After each cut the disk has to
boot again, each record that the keeper had acknowledged has to be there, exactly once, and so has what the
supervisor keeps of its ladder.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from koboshi_desk.core.deadline import Deadline
from koboshi_desk.core.errors import KoboshiError
from workbench.buildroot import build as buildroot
from workbench.core import progress
from workbench.guest.booted import BOOT_S, Guest
from workbench.image.bootable import Image

KEPT = "/run/koboshi/kept"
LOG = "/data/events"
# Records without end, for an operator's restarts are not counted, and a file system that is never at rest.
LOAD = (
    "while :; do koboshictl restart gps; done",
    "while :; do dd if=/dev/zero of=/data/a bs=4k count=400; mv /data/a /data/b; sync; done",
)
EARLY = 0.2  # of the cuts come while it boots
EARLY_S = 6.0
LATE_S = (0.5, 5.0)
ACKNOWLEDGED_S = 60.0


@dataclass(frozen=True)
class Acknowledged:
    """The last record that the keeper has reported as kept: the boot it is of, and its number."""

    boot: str
    number: int


@dataclass
class Result:
    """What happened in all cuts."""

    image: str
    seed: int
    cuts: int = 0
    early: int = 0  # of them before everything was ready
    boots: int = 0
    resumed: int = 0  # boots that ended in the safe state, for the cuts came too fast, and went on from there
    recoveries: int = 0  # boots that found an unclean journal
    acknowledged: int = 0  # records that were checked after a cut
    lost: int = 0
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether it always booted, and lost nothing."""
        return not self.problems and not self.lost


def run(image_name: str, cuts: int, seed: int, json_file: Path | None) -> int:
    """For the task; 0 only if nothing was wrong."""
    image = buildroot.find(image_name)
    if image.disk is None:
        raise KoboshiError(f"--image {image_name}: not a disk; {image_name}{buildroot.DISK} is one")
    result = cut_power(image, cuts, seed)
    text = json.dumps({"passed": result.passed, **asdict(result)}, indent=2)
    print(text)
    if json_file is not None:
        json_file.write_text(text + "\n")
    return 0 if result.passed else 1


def cut_power(image: Image, cuts: int, seed: int) -> Result:
    """Cut the power so often, each time at another moment, and boot a last time."""
    result = Result(image.name, seed)
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="koboshi-powercut-") as folder:
        disk = Path(shutil.copy(str(image.disk), folder))
        job = PowerCuts(replace(image, disk=disk, keep_disk=True), random.Random(seed), result)
        with progress.Progress(f"cutting the power of {image.name}", cuts) as steps:
            job.run(cuts, steps.step)
    result.seconds = round(time.monotonic() - begin, 1)
    return result


class PowerCuts:
    """One disk, from cut to cut."""

    def __init__(self, image: Image, chance: random.Random, result: Result) -> None:
        self.image = image
        self.chance = chance
        self.result = result
        self.last: Acknowledged | None = None

    def run(self, cuts: int, step: Callable[[], None]) -> None:
        """Until the first problem: what comes after it says nothing."""
        for number in range(1, cuts + 1):
            try:
                self._early() if self.chance.random() < EARLY else self._late()
            except KoboshiError as error:
                self.result.problems.append(f"cut {number}: {error}")
            if self.result.problems:
                return
            self.result.cuts = number
            step()
        with Guest(self.image) as guest:
            self._boot(guest)

    def _early(self) -> None:
        """In the boot loader, the kernel, while the journal is replayed, or while components start."""
        with Guest(self.image) as guest:
            guest.start(Deadline(60))
            end = time.monotonic() + self.chance.uniform(0, EARLY_S)
            while time.monotonic() < end:
                guest.console.pump(0.02)
            self._cut(guest)
        self.result.early += 1

    def _late(self) -> None:
        """Under load, a moment after a record was acknowledged."""
        with Guest(self.image) as guest:
            self._boot(guest)
            for command in LOAD:
                guest.shell.run(f"({command}) </dev/null >/dev/null 2>&1 &")
            end = time.monotonic() + self.chance.uniform(*LATE_S)
            self.last = self._acknowledged(guest)
            while time.monotonic() < end:
                self.last = self._acknowledged(guest)
            self._cut(guest)

    def _boot(self, guest: Guest) -> None:
        self._come_up(guest)
        self.result.boots += 1
        recovered = guest.shell.run("dmesg | grep -cE 'recovery complete|recovering journal'; true").output
        self.result.recoveries += recovered.strip() != "0"
        self.result.problems += [f"the kernel said: {finding}" for finding in guest.verdict()]
        self._check_ladder(guest)
        if self.last is not None:
            self._check(guest, self.last)
            self.last = None

    def _come_up(self, guest: Guest) -> None:
        """A cut before a boot was a good one counts as a reset; a few lead to the safe state, to be ended."""
        deadline = Deadline(BOOT_S, "boot")
        guest.start(deadline)
        model = guest.model
        guest.console.until(
            lambda: model.all_ready or bool(model.safe), deadline, "all-ready or the safe state"
        )
        if model.safe:
            guest.shell.run("koboshictl resume")
            self.result.resumed += 1
        guest.wait_all_ready(1, deadline)

    def _check_ladder(self, guest: Guest) -> None:
        """Each boot but the first finds that there was one before it, and has where to write it down."""
        device = json.loads(guest.shell.run("koboshictl --json status").output)["device"]
        if device["storage"] is not None:
            self.result.problems.append(f"the ladder's counts cannot be kept: {device['storage']}")
        if device["reset"] == "first" and self.result.boots > 1:
            self.result.problems.append("the ladder's counts are gone: it takes this boot for its first")

    def _check(self, guest: Guest, last: Acknowledged) -> None:
        """The acknowledged records of the boot that was cut off, each once."""
        pick = f"grep -h '^{last.boot} ' {LOG}/0* | cut -d' ' -f3"
        command = (
            f"{pick} | awk '$1 <= {last.number} {{ n++; if (!($1 in s)) d++; s[$1] }} END {{ print n, d }}'"
        )
        words = guest.shell.run(command).output.split() or ["0", "0"]
        found, different = int(words[0]), int(words[-1])
        self.result.acknowledged += last.number
        self.result.lost += last.number - different
        if different != last.number:
            self.result.problems.append(f"boot {last.boot}: {different} of {last.number} records are there")
        if found != different:
            self.result.problems.append(f"boot {last.boot}: {found - different} records are there twice")

    def _acknowledged(self, guest: Guest) -> Acknowledged:
        deadline = Deadline(ACKNOWLEDGED_S, "an acknowledged record")
        while not deadline.expired:
            words = guest.shell.run(f"cat {KEPT}", check=False).output.split()
            if len(words) == 2 and words[1].isdecimal():
                return Acknowledged(words[0], int(words[1]))
        raise KoboshiError(f"{KEPT}: no record was acknowledged within {deadline.seconds:.0f} s")

    def _cut(self, guest: Guest) -> None:
        pid = guest.qemu.pid
        if pid is None:
            raise KoboshiError(f"QEMU ended by itself: {guest.qemu.errors()}")
        os.kill(pid, signal.SIGKILL)
