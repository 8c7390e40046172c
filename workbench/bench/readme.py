# SPDX-License-Identifier: MIT
"""README.md's figures, written by `./dev bench readme` from the committed results."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from koboshi_desk.core.errors import KoboshiError
from workbench.bench import goals, suite
from workbench.bench.goals import Parts
from workbench.core.repository import REPOSITORY

FILE = REPOSITORY / "README.md"
SOAK = suite.RESULTS.parent / "soak.json"
BEGIN, END = "<!-- bench: ./dev bench readme -->", "<!-- bench: end -->"
# One guest and kernel for all of them: README's name of each row of the part `peers`.
BACK = (
    ("koboshi-warm", "Koboshi, warm: the kernel restarts it from its memory image"),
    ("koboshi-user", "Koboshi, warm, without our kernel (user level)"),
    ("koboshi-cold", "Koboshi, cold: executed again"),
    ("runit", "runit"),
    ("systemd", "systemd"),
)
SECONDS_PER_MINUTE = 60
COLUMNS = 100


def section(parts: Parts, soak: Mapping[str, Any]) -> str:
    """The text between the two marks."""
    back = [f"| {name} | {_medians(parts)[peer] / 1000:,.0f} |" for peer, name in BACK]
    head = ["| crashed, and running again after | thousand instructions |", "|---|---|"]
    lines = [BEGIN, "", *head, *back, "", *(_wrapped(fact) for fact in _facts(parts, soak)), "", END]
    return "\n".join(lines)


def _wrapped(fact: str) -> str:
    return textwrap.fill(fact, COLUMNS, initial_indent="- ", subsequent_indent="  ")


def _facts(parts: Parts, soak: Mapping[str, Any]) -> list[str]:
    goal = {(goal.name, goal.source): goal.value for goal in goals.compute(parts)}
    larger = goal["kernel level, p50(1 GB) / p50(1 MB), 1 CPU", "latency-instructions-1024"]
    naive = goal["N(1 GB) / user level(1 GB)", "latency-host-1024"]
    cost = goal["patched / stock kernel, instructions of fork, exec, threads", "cost"]
    supervisor = parts["footprint"]["rows"][0]
    runner = max(supervisor["runner_kb"].values())
    return [
        f"A component of 1 GB takes {larger:.2f} times as long as one of 1 MB. On a real CPU, at user"
        f" level, forking that gigabyte again takes {naive:,.0f} times as long as our restart.",
        f"Memory: {supervisor['supervisor_kb'] / 1000:.1f} MB for the supervisor,"
        f" {runner} kB for the runner of each component.",
        f"Programs that do not use it: fork, exec and threads take {cost:.3f} times the instructions.",
        f"Longest soak: {sum(soak['faults'].values()):,} faults and operator requests on 20 components in"
        f" {soak['seconds'] / SECONDS_PER_MINUTE:.0f} minutes; {len(soak['problems'])} components lost.",
    ]


def _medians(parts: Parts) -> dict[str, float]:
    rows: Iterable[Mapping[str, Any]] = parts["peers"]["rows"]
    return {row["peer"]: row["p50"] for row in rows if row["case"] == "healthy"}


def put(text: str, new: str) -> str:
    """The README's text with that section."""
    try:
        before, rest = text.split(BEGIN)
        _, after = rest.split(END)
    except ValueError:
        raise KoboshiError(f"{FILE.name}: {BEGIN} and {END} must each appear exactly once") from None
    return before + new + after


def made(results: Path = suite.RESULTS) -> str:
    """The section that belongs to these results."""
    return section(suite.load(results)["parts"], json.loads(SOAK.read_text()))


def write(results: Path) -> int:
    """For the task."""
    FILE.write_text(put(FILE.read_text(), made(results)))
    return 0
