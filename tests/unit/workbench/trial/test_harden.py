# SPDX-License-Identifier: MIT
"""What ./dev harden makes of the guest's console."""

from __future__ import annotations

import pytest

from koboshi_desk.console.decoder import KernelLine, Text
from workbench.core.command import output
from workbench.image import small as smallimage
from workbench.trial.harden import PROGRAM, Report


@pytest.fixture
def report() -> Report:
    """Before the guest has said anything."""
    return Report("linux-6.12-debug", 7)


def test_counts_are_the_last_told(report: Report) -> None:
    """Progress replaces progress, and only the end is the end."""
    report.take(Text("harden: progress fuzz calls=10 groups=2 faults=0 findings=0 rounds=0"))
    assert (report.counts["calls"], report.ended) == (10, False)
    report.take(Text("harden: end calls=25 groups=3 faults=4 findings=0 rounds=1"))
    assert (report.counts["calls"], report.counts["faults"], report.ended) == (25, 4, True)
    assert report.findings == []


@pytest.mark.parametrize(
    "item",
    [
        Text("harden: finding: no END of group of 12"),
        Text("harden: error: /cg: No such device"),
        KernelLine(1.0, "BUG: KASAN: slab-use-after-free in rfork_end+0x10/0x20"),
        KernelLine(1.0, "WARNING: possible circular locking dependency detected"),
        KernelLine(1.0, "INFO: task init:77 blocked for more than 120 seconds."),
        KernelLine(1.0, "kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)"),
    ],
    ids=["program", "program's error", "kasan", "lockdep", "hung task", "kmemleak"],
)
def test_finding(report: Report, item: Text | KernelLine) -> None:
    """What the program finds is a finding, and so is what the kernel itself complains of."""
    report.take(item)
    assert len(report.findings) == 1


@pytest.mark.parametrize("text", ["init[99]: segfault at 8 ip 40", "sysrq: Show Blocked State"])
def test_what_is_no_finding(report: Report, text: str) -> None:
    """Instances crash: that is what they are for."""
    report.take(KernelLine(1.0, text))
    assert report.findings == []


def test_faults_in_turn_are_told_by_what_they_went_into(report: Report) -> None:
    """Systematic injection says how many faults each thing took."""
    report.take(Text("harden: injected create of a large process: 312 faults in turn"))
    assert report.injected == {"create of a large process": 312}
    assert "312 faults in turn: create of a large process" in report.text()


def test_program_compiles() -> None:
    """As ./dev harden builds it, which ./dev test does not run: it takes an hour."""
    output([*smallimage.COMPILE, "-fsyntax-only", *sorted(PROGRAM.glob("*.c"))])
