# SPDX-License-Identifier: MIT
"""What became of each behaviour of rfork under each backend on each kernel, and the matrix of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from koboshi_desk.console.findings import Finding

PASSED, FAILED, SKIPPED, NOT_RUN = "passed", "failed", "skipped", "not run"
BACKENDS = ("user", "kernel")
KERNEL_LOG = "kernel log"  # a row of its own: the kernel had nothing to say while the tests ran
_TABLE = re.compile(r"(ok|skip|FAIL) +(t_[^\s:]+)(?:: | )?(.*)")  # as run-tests prints
_TABLE_WORDS = {"ok": PASSED, "skip": SKIPPED, "FAIL": FAILED}


@dataclass(frozen=True)
class Column:
    """A backend on a kernel."""

    backend: str
    kernel: str


@dataclass(frozen=True)
class Verdict:
    """A behaviour's; `reason` says why it is not passed."""

    behaviour: str
    backend: str
    kernel: str
    verdict: str
    reason: str = ""


def from_table(text: str, column: Column) -> list[Verdict]:
    """From what librfork's run-tests printed; the indented lines after a failure are its reason."""
    found: list[tuple[str, str, list[str]]] = []
    for line in text.splitlines():
        if match := _TABLE.match(line):
            found.append((match[2], _TABLE_WORDS[match[1]], [match[3]] if match[3] else []))
        elif line.startswith("      ") and found:
            found[-1][2].append(line.strip())
    return [
        Verdict(name, column.backend, column.kernel, verdict, _plain("; ".join(reasons)))
        for name, verdict, reasons in found
    ]


def _plain(reason: str) -> str:
    """Without the word that a skipped test begins its reason with."""
    return reason.removeprefix("skipped: ")


def of_log(findings: Iterable[Finding], column: Column) -> Verdict:
    """The row of the kernel's log."""
    reason = "; ".join(sorted(map(str, findings)))
    return Verdict(KERNEL_LOG, column.backend, column.kernel, FAILED if reason else PASSED, reason)


def all_the_same(names: Iterable[str], column: Column, verdict: str, reason: str) -> list[Verdict]:
    """One verdict for many behaviours."""
    return [Verdict(name, column.backend, column.kernel, verdict, reason) for name in names]


def completed(got: Sequence[Verdict], names: Iterable[str], column: Column, reason: str) -> list[Verdict]:
    """Add a failure for each behaviour without a verdict."""
    known = {item.behaviour for item in got}
    missing = [name for name in names if name not in known]
    return [*got, *all_the_same(missing, column, FAILED, reason)]


def matrix(verdicts: Sequence[Verdict]) -> str:
    """A row a behaviour, a column a backend on a kernel, and below it why what did not pass did not."""
    columns = list(dict.fromkeys(Column(item.backend, item.kernel) for item in verdicts))
    rows = sorted({item.behaviour for item in verdicts}, key=lambda name: (name == KERNEL_LOG, name))
    cells = {(item.behaviour, Column(item.backend, item.kernel)): item.verdict for item in verdicts}
    table = [
        ["behaviour", *(column.backend for column in columns)],
        ["", *(column.kernel for column in columns)],
        *([row, *(cells.get((row, column), "") for column in columns)] for row in rows),
    ]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in table]
    return "\n".join([*lines, *_reasons(verdicts)])


def _reasons(verdicts: Sequence[Verdict]) -> list[str]:
    """A line each; behaviours of a column with the same reason share one."""
    groups: dict[tuple[str, str, str, str], list[str]] = {}
    for item in verdicts:
        if item.verdict != PASSED:
            key = (item.kernel, item.backend, item.verdict, item.reason)
            groups.setdefault(key, []).append(item.behaviour)
    return [
        f"{kernel}, {backend}: {verdict}: {reason}: {', '.join(names)}"
        for (kernel, backend, verdict, reason), names in groups.items()
    ]


def summary(verdicts: Sequence[Verdict]) -> str:
    """Count each verdict."""
    counts = (
        (word, sum(item.verdict == word for item in verdicts)) for word in (PASSED, FAILED, SKIPPED, NOT_RUN)
    )
    return ", ".join(f"{count} {word}" for word, count in counts)


def as_json(verdicts: Sequence[Verdict]) -> str:
    """A list of objects: behaviour, backend, kernel, verdict, reason."""
    return json.dumps([asdict(item) for item in verdicts], indent=2) + "\n"
