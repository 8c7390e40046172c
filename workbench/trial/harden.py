# SPDX-License-Identifier: MIT
"""Tries to break rfork(2) in a guest: faults injected into each allocation in turn, then the call is fuzzed.

The program that does it is tests/harden/; this boots it, on the kernel with all of the kernel's own checkers,
listens, and judges.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from koboshi_desk.console.decoder import Item, KernelLine, Text
from koboshi_desk.console.findings import Finding, judge
from koboshi_desk.console.session import Console
from koboshi_desk.core.deadline import Deadline
from koboshi_desk.core.errors import ConsoleClosedError, KoboshiError
from workbench.core import progress
from workbench.core.repository import REPOSITORY
from workbench.guest.booted import new_log
from workbench.guest.qemu import Options, Qemu, paste_command
from workbench.image import small as smallimage
from workbench.image.bootable import Image
from workbench.kernel import build as kernel
from workbench.kernel import lines

PROGRAM = REPOSITORY / "tests/harden"
# Without a word from the guest, which tells its progress each five seconds, but not while it looks for leaks.
STALL_S = 600.0
# All messages on the console; a busy host makes a guest's CPU look locked up, and its timer dead.
APPEND = "loglevel=7 watchdog_thresh=60 no_timer_check nokaslr"
_COUNTS = re.compile(r"(\w+)=(\d+)")
_LINE = re.compile(r"harden: (progress \w+|finding:|error:|end|injected) ?(.*)")


@dataclass(frozen=True)
class Wanted:
    """What to do: fuzz for `seconds` or until `calls` (0: no such end); seed 0 stands for a new one."""

    seconds: float
    seed: int
    calls: int
    inject: bool
    debug: bool
    smp: int = 2
    line: str = lines.DEFAULT_LINE


@dataclass
class Report:
    """What came of it; it passed if `findings` is empty."""

    kernel: str
    seed: int
    counts: dict[str, int] = field(default_factory=dict)
    injected: dict[str, int] = field(default_factory=dict)  # faults in turn, for each thing they went into
    findings: list[str] = field(default_factory=list)
    ended: bool = False
    log: str = ""

    def take(self, item: Item) -> None:
        """Handle an item; a listener for Console.listen."""
        if isinstance(item, KernelLine | Text) and (found := judge(item)):
            self._find(found)
        if isinstance(item, Text) and (line := _LINE.search(item.text.strip())):
            self._said(line[1], line[2])

    def _said(self, what: str, rest: str) -> None:
        if what in ("finding:", "error:"):
            self.findings.append(rest)
        elif what == "injected":
            name, _, number = rest.removesuffix(" faults in turn").rpartition(": ")
            self.injected[name] = int(number)
        else:
            self.counts = {name: int(number) for name, number in _COUNTS.findall(rest)}
            self.ended = what == "end"

    def _find(self, found: Finding) -> None:
        if str(found) not in self.findings:
            self.findings.append(str(found))

    def text(self) -> str:
        """For people."""
        counts = ", ".join(f"{number} {name}" for name, number in self.counts.items() if name != "findings")
        faults = [f"  {number:5} faults in turn: {name}" for name, number in self.injected.items()]
        findings = [f"  finding: {finding}" for finding in self.findings]
        head = f"harden: {self.kernel}, seed {self.seed}: {counts}, {len(self.findings)} findings"
        return "\n".join([head, *faults, *findings, f"the whole console: {self.log}"])


def run(wanted: Wanted, json_file: Path | None = None) -> int:
    """Do it and print what came of it; 1 with any finding."""
    line = lines.find(wanted.line + (lines.DEBUG if wanted.debug else ""))
    image = replace(smallimage.build(line, init=PROGRAM, name="harden"), smp=wanted.smp)
    seed = wanted.seed or secrets.randbelow(1 << 31) + 1
    report = Report(f"{line.name} ({kernel.build(line.name).release})", seed)
    progress.note(f"harden: {line.name}, seed {seed}")
    _listen(image, wanted, report)
    if not report.ended:
        report.findings.append("the guest did not come to its end")
    print(report.text())
    if json_file:
        json_file.write_text(json.dumps(asdict(report), indent=2) + "\n")
    return 1 if report.findings else 0


def _append(wanted: Wanted, seed: int) -> str:
    """What main.c reads."""
    settings = {
        "seed": seed,
        "seconds": round(wanted.seconds),
        "calls": wanted.calls,
        "inject": int(wanted.inject and wanted.debug),
    }
    return " ".join([APPEND, *(f"harden_{name}={value}" for name, value in settings.items())])


def _teller(report: Report) -> Callable[[], None]:
    """Tells how far it is when a tenth more has been called, or something was found."""
    told = [0, 0]

    def tell() -> None:
        calls, findings = report.counts.get("calls", 0), len(report.findings)
        if calls >= told[0] * 1.1 + 10000 or findings != told[1]:
            told[:] = [calls, findings]
            counts = ", ".join(f"{number} {name}" for name, number in report.counts.items())
            progress.note(f"harden: {counts}")

    return tell


def _listen(image: Image, wanted: Wanted, report: Report) -> None:
    """Boot, and listen until the end, or until the guest says nothing more."""
    log = new_log(image.name)
    report.log = str(log)
    options = Options(catch_reboot=True, append=_append(wanted, report.seed))
    with Qemu(image, options) as qemu:
        qemu.start(Deadline(60, "qemu"))
        console = Console(qemu.connect("console"), log, f"run it by hand:\n{paste_command(image, options)}")
        console.listen(report.take)
        console.after_pump = _teller(report)
        try:
            qemu.cont()
            while not report.ended:
                _next(console, report)
        except ConsoleClosedError:
            report.findings.append("the guest restarted")
        except KoboshiError as error:
            report.findings.append(str(error).splitlines()[0])
        finally:
            console.drain(limit_s=5.0)
            console.close()


def _next(console: Console, report: Report) -> None:
    """Wait for the next item."""
    before = dict(report.counts), dict(report.injected), list(report.findings)

    def news() -> bool:
        return report.ended or before != (report.counts, report.injected, report.findings)

    console.until(news, Deadline(STALL_S), "progress")
