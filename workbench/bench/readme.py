# SPDX-License-Identifier: MIT
"""README.md's figures, put there by `./dev bench readme` from committed results: ratios of one run."""

from __future__ import annotations

from pathlib import Path

from koboshi_desk.core.errors import KoboshiError
from workbench.bench import goals as bench_goals
from workbench.bench import suite
from workbench.bench.goals import Goal
from workbench.core.repository import REPOSITORY

FILE = REPOSITORY / "README.md"
BEGIN, END = "<!-- bench: ./dev bench readme -->", "<!-- bench: end -->"
# What is said about a goal's value; the part tells two of one name apart.
SAID = (
    (
        "kernel level, segv / F",
        "latency-instructions",
        "a restart by the kernel after a SIGSEGV, in wake-ups of one process by another (futex)",
    ),
    (
        "X / kernel level, segv",
        "latency-instructions",
        "vfork and exec of a small static program, in such restarts",
    ),
    (
        "kernel level, p50(1 GB) / p50(1 MB), 1 CPU",
        "latency-instructions-1024",
        "a restart of a component of 1 GB, in restarts of one of 1 MB",
    ),
    (
        "N(1 GB) / kernel level(1 GB)",
        "latency-instructions-1024",
        "waitpid and fork at 1 GB, in restarts at 1 GB",
    ),
    (
        "user level, segv / F",
        "latency-instructions",
        "a restart at user level after a SIGSEGV, in wake-ups",
    ),
    ("user level, segv / F", "latency-host", "the same"),
    (
        "X / user level, segv",
        "latency-host",
        "vfork and exec of a small static program, in restarts at user level",
    ),
    (
        "N(1 GB) / user level(1 GB)",
        "latency-host-1024",
        "waitpid and fork at 1 GB, in restarts at user level at 1 GB",
    ),
    (
        "Python component, cold start / warm restart",
        "components",
        "a Python component's cold start, in its warm restarts",
    ),
)
# In what a part's medians are.
UNITS = {
    "latency-instructions": "instructions",
    "latency-instructions-1024": "instructions",
    "latency-host": "time, real CPU",
    "latency-host-1024": "time, real CPU",
    "components": "time, emulated CPU",
}


def section(goals: list[Goal]) -> str:
    """The text between the two marks."""
    found = {(goal.name, goal.source): goal for goal in goals}
    rows = [(said, found[name, part].value, UNITS[part]) for name, part, said in SAID]
    table = [f"| {said} | {_shown(value)} | {unit} |" for said, value, unit in rows if value is not None]
    head = ["| ratio of medians in one run | | counted in |", "|---|---|---|"]
    return "\n".join([BEGIN, "", *head, *table, "", END])


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def put(text: str, new: str) -> str:
    """The README's text with that section."""
    try:
        before, rest = text.split(BEGIN)
        _, after = rest.split(END)
    except ValueError:
        raise KoboshiError(f"{FILE.name}: {BEGIN} and {END} are not there once each") from None
    return before + new + after


def write(results: Path) -> int:
    """For the task."""
    goals = bench_goals.compute(suite.load(results)["parts"])
    FILE.write_text(put(FILE.read_text(), section(goals)))
    return 0
