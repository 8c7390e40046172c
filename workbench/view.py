# SPDX-License-Identifier: MIT
"""The live view: the model as a rich renderable, for a terminal as wide or narrow as it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Console as Terminal
from rich.console import ConsoleOptions, Group, RenderableType, RenderResult
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from workbench.decoder import Counts, Record
from workbench.model import Component, Model, spread

STATE_STYLE = {
    "ready": "bold green",
    "running": "yellow",
    "starting": "yellow",
    "restarting": "bold yellow",
    "waiting": "dim",
    "stopping": "dim",
    "stopped": "dim",
    "ended": "dim",
    "given-up": "bold red",
}
EVENT_STYLE = {
    "restart": "bold yellow",
    "cold": "yellow",
    "poisoned": "magenta",
    "given-up": "bold red",
    "supervisor": "bold cyan",
    "boot": "bold cyan",
    "all-ready": "bold green",
    "ready": "green",
    "end": "red",
}


def duration(microseconds: int) -> str:
    """`143 µs`, `2.1 ms`, `3.20 s`; three significant digits at most."""
    if microseconds < 1000:
        return f"{microseconds} µs"
    if microseconds < 1_000_000:
        return f"{microseconds / 1000:.1f} ms"
    return f"{microseconds / 1_000_000:.2f} s"


def _last(component: Component) -> str:
    return duration(component.latencies[-1]) if component.latencies else ""


def _median(component: Component) -> str:
    return duration(spread(component.latencies).p50) if component.latencies else ""


def _restarts(component: Component) -> str:
    total = len(component.restarts) + component.cold_starts
    return str(total) if total else ""


def _why(component: Component) -> str:
    status = component.status.removeprefix("signal:").replace("exit:", "exit ")
    return f"{component.cause} {status}".strip()


@dataclass(frozen=True)
class Column:
    """A column of the table; those with the higher `rank` go first where the terminal is narrow."""

    title: str
    cell: Callable[[Component], str]
    width: int
    rank: int = 0
    right: bool = False


COLUMNS = (
    Column("component", lambda c: c.name, 14),
    Column("state", lambda c: c.state, 10),
    Column("restarts", _restarts, 8, 0, True),
    Column("level", lambda c: c.level, 5, 1),
    Column("last cause", _why, 17, 1),
    Column("last", _last, 8, 1, True),
    Column("median", _median, 8, 2, True),
    Column("downtime", lambda c: duration(c.downtime_us) if c.downtime_us else "", 8, 3, True),
    Column("pid", lambda c: str(c.pid or ""), 5, 2, True),
    Column("backend", lambda c: c.backend, 7, 4),
)
SEPARATOR = 3  # between two columns, padding and all


def columns_for(width: int) -> list[Column]:
    """The columns that fit into `width`; those of rank 0 always stay."""
    chosen = list(COLUMNS)
    while sum(column.width + SEPARATOR for column in chosen) > width:
        worst = max(chosen, key=lambda column: column.rank)
        if worst.rank == 0:
            break
        chosen.remove(worst)
    return chosen


@dataclass
class View:
    """Renders a model; `note` is a line of the caller's own under the table."""

    model: Model
    counts: Counts
    port: str
    note: str = ""
    events: int = 8

    def __rich_console__(self, terminal: Terminal, options: ConsoleOptions) -> RenderResult:
        """What rich asks for."""
        width = options.max_width
        parts: list[RenderableType] = [self._header(), self._table(width - 4), self._events()]
        if self.note:
            parts.append(Text(self.note, "bold"))
        title = Text.assemble((" koboshi ", "bold reverse"), f" {self.port} ")
        yield Panel(Group(*parts), title=title, title_align="left", border_style="cyan")

    def _header(self) -> Text:
        model, counts = self.model, self.counts
        boot = f"boot {max(model.boots, counts.kernel_boots)} {model.boot_id}".rstrip()
        boss = f"supervisor {model.supervisor_pid or '-'} (start {model.supervisor_starts})"
        text = Text(f"{boot} · linux {model.kernel or '?'} · rfork {model.rfork or '?'} · {boss}")
        if wrong := counts.lost + counts.garbled:
            text.append(
                f" · records lost {counts.lost}, garbled {counts.garbled}", "bold red" if wrong else ""
            )
        return text

    def _table(self, width: int) -> Table:
        chosen = columns_for(width)
        table = Table(expand=True, box=None, padding=(0, 1), header_style="bold")
        for column in chosen:
            table.add_column(column.title, justify="right" if column.right else "left", no_wrap=True)
        for component in self.model.components.values():
            style = STATE_STYLE.get(component.state, "")
            table.add_row(*(Text(c.cell(component), style if c.title == "state" else "") for c in chosen))
        return table

    def _events(self) -> Text:
        lines = [event_text(record) for record in list(self.model.events)[-self.events :]]
        # Set on the text that is shown: joining does not carry it over.
        text = Text("", no_wrap=True, overflow="ellipsis")
        for line in lines:
            text.append("\n").append_text(line)
        return text


def event_text(record: Record) -> Text:
    """A record in a line, without the keys that only a program wants."""
    hidden = ("component", "fail_us", "start_us", "backend", "boot", "old", "gen", "runner")
    pairs = [f"{key}={value}" for key, value in record.fields.items() if key not in hidden]
    text = Text(f"{record.time:10.3f}  ", "dim")
    text.append(f"{record.component or '-':<14} ", "bold")
    text.append(f"{record.event:<10} ", EVENT_STYLE.get(record.event, ""))
    text.append(" ".join(pairs))
    return text
