# SPDX-License-Identifier: MIT
"""README.md's figures, put there by `./dev bench readme` from committed results: ratios of one run."""

from __future__ import annotations

from pathlib import Path

from workbench import bench_goals, bench_suite
from workbench.bench_goals import Goal
from workbench.errors import WorkbenchError
from workbench.repository import REPOSITORY

FILE = REPOSITORY / "README.md"
BEGIN, END = "<!-- bench: ./dev bench readme -->", "<!-- bench: end -->"
# What is said about a goal's value; the part tells two of one name apart.
SAID = (
    (
        "kernel level, segv / F",
        "latency-instructions",
        "a restart by the kernel after a SIGSEGV, in wake-ups of one process by another (futex)",
    ),
    ("user level, segv / F", "latency-instructions", "the same at user level on a stock kernel"),
    (
        "X / kernel level, segv",
        "latency-instructions",
        "how much shorter it is than vfork and exec of a small static program",
    ),
    (
        "kernel level, p50(1 GB) / p50(1 MB), 1 CPU",
        "latency-instructions-1024",
        "how much longer it is for a component of 1 GB than for one of 1 MB",
    ),
    (
        "N(1 GB) / kernel level(1 GB)",
        "latency-instructions-1024",
        "how much shorter it is at 1 GB than waitpid and fork",
    ),
    (
        "Python component, cold start / warm restart",
        "components",
        "a Python component: a cold start is so much longer than a warm restart",
    ),
)


def section(goals: list[Goal]) -> str:
    """The text between the two marks."""
    found = {(goal.name, goal.source): goal for goal in goals}
    rows = [(said, found[name, part].value) for name, part, said in SAID]
    table = [f"| {said} | {_shown(value)} |" for said, value in rows if value is not None]
    return "\n".join([BEGIN, "", "| ratio of medians in one run | |", "|---|---|", *table, "", END])


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def put(text: str, new: str) -> str:
    """The README's text with that section."""
    try:
        before, rest = text.split(BEGIN)
        _, after = rest.split(END)
    except ValueError:
        raise WorkbenchError(f"{FILE.name}: {BEGIN} and {END} are not there once each") from None
    return before + new + after


def write(results: Path) -> int:
    """For the task."""
    goals = bench_goals.compute(bench_suite.load(results)["parts"])
    FILE.write_text(put(FILE.read_text(), section(goals)))
    return 0
