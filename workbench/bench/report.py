# SPDX-License-Identifier: MIT
"""The report of a results file: tables in Markdown, and plots beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from koboshi_desk.core.errors import KoboshiError
from workbench.bench import goals as bench_goals
from workbench.bench import paper, suite
from workbench.bench.run import Row
from workbench.core import progress

MEBIBYTE = 1 << 20
HEAD = """<!-- SPDX-License-Identifier: MIT -->
# Results

Made by `./dev bench report`; `../README.md` has the method. Ratios are of medians in one run. In parts named
instructions a nanosecond is an instruction; in those named host times are of the machine that ran the others'
emulator, on its own kernel, pinned to one CPU; in the others times are an emulated CPU's."""


def write(results: Path) -> int:
    """Beside the results file: NAME.md and NAME-*.svg."""
    from workbench.bench import plots as bench_plots  # and with it what only this needs

    if not results.exists():
        raise KoboshiError(f"{results}: no such file; ./dev bench --json {results} makes it")
    found = suite.load(results)
    stem = results.with_suffix("")
    plots = bench_plots.draw(found["parts"], stem)
    report = results.with_suffix(".md")
    report.write_text(text(found, plots))
    progress.note(f"bench: {report} and {len(plots)} plots")
    return 0


def text(results: Mapping[str, Any], plots: Mapping[str, Path]) -> str:
    """The whole page."""
    parts = results["parts"]
    goals = bench_goals.compute(parts)
    pages = [
        HEAD,
        "## Goals\n\n" + bench_goals.table(goals, _Lines().line),
        *[f"**{goal.name}** ({goal.source}): {goal.reason}" for goal in goals if goal.reason],
        *[f"![{what}]({path.name})" for what, path in plots.items()],
        *[_latency(name, part) for name, part in parts.items() if name.startswith("latency")],
        *[_paper(name, part) for name, part in parts.items() if name.startswith("paper")],
    ]
    for name, title, body in (
        ("peers", "Peers: milliseconds from the crash to the component's first statement", _peers),
        ("components", "Components: milliseconds from the crash to READY=1", _components),
        ("memory", "Memory", memory_table),
        ("closing", "Descriptors to close (closing): microseconds", _closing),
        ("closing-host", "Descriptors to close (closing-host): microseconds", _closing),
    ):
        if name in parts:
            pages.append(f"## {title}\n\n{body(parts[name]['rows'])}")
    pages.append(
        "## How it was measured\n\n" + "\n".join(_about(parts)) + f"\n\nSeeds: {results.get('seeds', '')}"
    )
    return "\n\n".join(pages) + "\n"


class _Lines:
    """Rows of a Markdown table, with the rule after the first."""

    def __init__(self) -> None:
        self.first = True

    def line(self, cells: tuple[str, ...]) -> str:
        row = "| " + " | ".join(cells) + " |"
        rule = "\n" + "|---" * len(cells) + "|" if self.first else ""
        self.first = False
        return row + rule


def markdown(head: tuple[str, ...], body: Iterable[tuple[str, ...]]) -> str:
    """A table."""
    lines = _Lines()
    return "\n".join(lines.line(cells) for cells in (head, *body))


def _latency(name: str, part: Mapping[str, Any]) -> str:
    head = (
        "variant",
        "cause",
        "load",
        "MB",
        "n",
        "min",
        "p50",
        "p90",
        "p99",
        "max",
        "mean",
        "deviation",
        "no spare",
        "busy",
    )
    times = ("min", "p50", "p90", "p99", "max", "mean", "stddev")
    body = [
        (
            *(str(row.get(key, "")) for key in ("variant", "cause", "load", "mb", "n")),
            *(f"{row[key] / 1000:.1f}" if key in row else "" for key in times),
            *(str(row.get(key, "")) for key in ("no_spare", "busy")),
        )
        for row in part["rows"]
    ]
    return f"## {name}: microseconds\n\n{markdown(head, body)}"


def _paper(name: str, part: Mapping[str, Any]) -> str:
    title = f"## {name}: the paper's table beside ours, microseconds"
    return f"{title}\n\n```\n{paper.table(part['rows'])}\n```"


def _peers(rows: list[Row]) -> str:
    body = [(row["peer"], row["case"], str(row["n"]), *_times(row)) for row in rows]
    return markdown(("peer", "case", "restarts", "min", "median", "max"), body)


def _components(rows: list[Row]) -> str:
    return markdown(
        ("component", "restarts", "min", "median", "max"),
        [(row["variant"], str(row["n"]), *_times(row)) for row in rows],
    )


def _times(row: Row) -> tuple[str, ...]:
    return tuple(f"{row[key] / 1e6:.3f}" if row["n"] else "" for key in ("min", "p50", "max"))


def memory_table(rows: list[Row]) -> str:
    """Mebibytes less that the machine has free: of the group as made, and when pages were written."""
    some = rows[0]["pages"] if rows else 0
    body = [
        (
            row["variant"],
            "yes" if row["spare"] else "no",
            str(row["mb"]),
            *(f"{row[key] / MEBIBYTE:.2f}" for key in ("made", "some", "all")),
        )
        for row in rows
    ]
    return markdown(("level", "spare", "MB", "as made", f"{some} pages written", "all pages written"), body)


def closing_rows(rows: Iterable[Row]) -> list[tuple[str, ...]]:
    """From a failure to the next first statement; `early` are those that began before all was closed."""
    head = ("level", "cause", "descriptors", "n", "min", "median", "p99", "early")
    body = [
        (
            row["variant"],
            row["cause"],
            str(row.get("descriptors", 0)),
            str(row["n"]),
            *(f"{row[key] / 1000:.1f}" if row["n"] else "" for key in ("min", "p50", "p99")),
            str(row.get("early", "")),
        )
        for row in rows
    ]
    return [head, *body]


def _closing(rows: list[Row]) -> str:
    head, *body = closing_rows(rows)
    return markdown(head, body)


def _about(parts: Mapping[str, Any]) -> list[str]:
    lines = []
    for name, part in parts.items():
        lines.append(f"- `{name}`: `{part['repeat']}`")
        for about in part["about"]:
            lines += [f"  - {key}: `{value}`" for key, value in about.items()]
    return lines
