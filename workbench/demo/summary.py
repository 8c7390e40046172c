# SPDX-License-Identifier: MIT
"""The demo's summary: what was found, as a table for people and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import TextIO

from rich.console import Console as Terminal
from rich.table import Table

from koboshi_desk.device.model import Restart, Spread, spread
from koboshi_desk.device.view import duration
from workbench.guest.faults import Outcome


@dataclass
class Summary:
    """Everything that the demo found out; times in seconds, latencies in microseconds."""

    image: str = ""
    kernel: str = ""
    rfork: str = ""
    smp: int = 0
    components: list[str] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    restarts: list[Restart] = field(default_factory=list)
    boots: int = 0
    boot_s: float | None = None
    reboot_s: float | None = None
    supervisor_kills: int = 0
    lost: int = 0
    duplicates: int = 0
    records_lost: int = 0
    records_garbled: int = 0
    findings: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def all_problems(self) -> list[str]:
        """Why it did not pass, a line each."""
        if not self.outcomes:
            return [*self.problems, "nothing was broken, so nothing was shown"]
        wrong = [f"{o.fault.component}, {o.fault.kind.text}: {o.problem}" for o in self.outcomes if o.problem]
        wrong += [f"the kernel said: {finding}" for finding in self.findings]
        wrong += [f"{self.lost} components lost"] * bool(self.lost)
        wrong += [f"{self.duplicates} duplicates"] * bool(self.duplicates)
        wrong += [f"{self.records_lost} records lost on the console"] * bool(self.records_lost)
        wrong += [f"{self.boots} boots before the deliberate reboot, where 1 was right"] * (self.boots != 1)
        wrong += ["no reboot was measured"] * (self.reboot_s is None)
        return [*self.problems, *wrong]

    @property
    def passed(self) -> bool:
        """Whether everything came back, and nothing else was wrong."""
        return not self.all_problems


def latency_us(restarts: Iterable[Restart]) -> dict[str, dict[str, Spread]]:
    """Spread of the restarts' latencies by level, then backend."""
    table: dict[str, dict[str, list[int]]] = {}
    for restart in restarts:
        table.setdefault(restart.level, {}).setdefault(restart.backend, []).append(restart.latency_us)
    return {level: {key: spread(values) for key, values in row.items()} for level, row in table.items()}


def to_json(result: Summary) -> str:
    """One JSON object, with a newline at its end."""
    levels = latency_us(result.restarts)
    content = {
        "passed": result.passed,
        "boots": result.boots,
        "faults": len(result.outcomes),
        "restarts": len(result.restarts),
        "lost": result.lost,
        "duplicates": result.duplicates,
        "supervisor_kills": result.supervisor_kills,
        "latency_us": {
            level: {key: asdict(value) for key, value in row.items()} for level, row in levels.items()
        },
        "boot_s": result.boot_s,
        "reboot_s": result.reboot_s,
        "kernel_findings": result.findings,
        "problems": result.all_problems,
        "records": {"lost": result.records_lost, "garbled": result.records_garbled},
        "image": {"name": result.image, "kernel": result.kernel, "rfork": result.rfork, "smp": result.smp},
        "outcomes": [_outcome(outcome) for outcome in result.outcomes],
    }
    return json.dumps(content, indent=2) + "\n"


def _outcome(outcome: Outcome) -> dict[str, object]:
    restart = outcome.restart
    told = (
        {key: getattr(restart, key) for key in ("level", "backend", "cause", "status", "latency_us")}
        if restart
        else {}
    )
    return {
        "component": outcome.fault.component,
        "fault": outcome.fault.kind.name,
        **told,
        "downtime_us": outcome.downtime_us,
        "problem": outcome.problem,
    }


def print_summary(result: Summary, out: TextIO) -> None:
    """For people."""
    terminal = Terminal(file=out, width=None if out.isatty() else 110)
    terminal.print(_outcomes(result))
    terminal.print(_numbers(result))
    for problem in result.all_problems:
        terminal.print(f"[bold red]wrong:[/] {problem}", highlight=False)
    word = "[bold green]passed[/]: everything came back" if result.passed else "[bold red]failed[/]"
    terminal.print(word)


def _outcomes(result: Summary) -> Table:
    table = Table(title="what was broken, and how it came back", title_justify="left", box=None)
    for title in ("component", "fault", "cause", "status", "level", "latency", "downtime", ""):
        table.add_column(title, justify="right" if title in ("latency", "downtime") else "left")
    for outcome in result.outcomes:
        restart = outcome.restart
        told = (
            (restart.cause, restart.status, restart.level, duration(restart.latency_us))
            if restart
            else ("",) * 4
        )
        down = duration(outcome.downtime_us) if outcome.downtime_us else ""
        mark = "[red]wrong[/]" if outcome.problem else "[green]back[/]"
        table.add_row(outcome.fault.component, outcome.fault.kind.text, *told, down, mark)
    return table


def _numbers(result: Summary) -> Table:
    table = Table(show_header=False, box=None)
    table.add_row("image", f"{result.image}, linux {result.kernel}, rfork {result.rfork}, {result.smp} CPU")
    table.add_row("faults / restarts", f"{len(result.outcomes)} / {len(result.restarts)}")
    table.add_row("supervisor killed", str(result.supervisor_kills))
    for level, row in sorted(latency_us(result.restarts).items()):
        for backend, value in sorted(row.items()):
            text = f"median {duration(value.p50)}, worst {duration(value.max)}, n={value.n}"
            table.add_row(
                f"restart latency, {level}, {backend}",
                f"{text} (from the failure to the new instance's start)",
            )
    table.add_row("components lost", str(result.lost))
    table.add_row("duplicates", str(result.duplicates))
    table.add_row("boots", str(result.boots))
    if result.reboot_s is not None:
        table.add_row("a reboot instead", f"{result.reboot_s:.1f} s until all components are ready")
    table.add_row("kernel findings", str(len(result.findings)))
    return table
