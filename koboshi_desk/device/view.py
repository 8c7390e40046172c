# SPDX-License-Identifier: MIT
"""One device as a rich renderable: its table with a timeline, and its last events, wide or narrow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Console as Terminal
from rich.console import ConsoleOptions, Group, RenderableType, RenderResult
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from koboshi_desk.console.decoder import Counts, Record
from koboshi_desk.console.text import harmless
from koboshi_desk.device.model import Component, Model, spread
from koboshi_desk.device.strip import span_for, strip

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
    "unknown": "dim",
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
    "ladder": "bold magenta",
    "safe-state": "bold red",
    "rehearsal": "bold blue",
    "downtime": "bold red",
}
RECENT = 1000  # restarts that a median is made of


def duration(microseconds: int) -> str:
    """`143 µs`, `2.1 ms`, `3.20 s`, `12 min`; three significant digits at most."""
    if microseconds < 1000:
        return f"{microseconds} µs"
    if microseconds < 1_000_000:
        return f"{microseconds / 1000:.1f} ms"
    if microseconds < 100_000_000:
        return f"{microseconds / 1_000_000:.2f} s"
    return f"{microseconds / 60_000_000:.0f} min"


def _last(component: Component) -> str:
    return duration(component.latencies[-1]) if component.latencies else ""


def _median(component: Component) -> str:
    return duration(spread(component.latencies[-RECENT:]).p50) if component.latencies else ""


def _restarts(component: Component) -> str:
    total = component.restart_count + component.cold_starts
    return str(total) if total else ""


def _why(component: Component) -> str:
    status = component.status.removeprefix("signal:").replace("exit:", "exit ")
    return f"{component.cause} {status}".strip()


def _number(value: int) -> str:
    return str(value) if value else ""


@dataclass(frozen=True)
class Column:
    """A column of the table; those with the higher `rank` go first where the terminal is narrow."""

    title: str
    cell: Callable[[Component], str]
    width: int
    rank: int = 0
    right: bool = False


DOWNTIME, BUDGET = "downtime", "budget"  # these change with time
COLUMNS = (
    Column("component", lambda c: c.name, 12),
    Column("state", lambda c: c.state, 10),
    Column("gen", lambda c: _number(c.generation), 3, 3, True),
    Column("restarts", _restarts, 8, 0, True),
    Column("level", lambda c: c.level, 5, 1),
    Column("last cause", _why, 17, 1),
    Column("last", _last, 7, 1, True),
    Column("median", _median, 7, 2, True),
    Column(DOWNTIME, lambda c: "", 8, 2, True),
    Column(BUDGET, lambda c: "", 6, 2, True),
    Column("pid", lambda c: _number(c.pid), 5, 4, True),
    Column("backend", lambda c: c.backend, 7, 5),
)
SEPARATOR = 2  # between two columns
STRIP = 16  # a timeline that is narrower shows nothing


def columns_for(width: int) -> list[Column]:
    """The columns that fit into `width`; those of rank 0 always stay."""
    chosen = list(COLUMNS)
    while sum(column.width + SEPARATOR for column in chosen) > width:
        worst = max(chosen, key=lambda column: column.rank)
        if worst.rank == 0:
            break
        chosen.remove(worst)
    return chosen


def layout(width: int) -> tuple[list[Column], int]:
    """The columns for a terminal of `width`, and the characters for the timeline beside them (0: none).

    The timeline says more than PID and backend, so these two go first where it is narrow.
    """
    fewer = [column for column in columns_for(width - STRIP - SEPARATOR) if column.rank < 4]
    needed = [column for column in COLUMNS if column.rank < 3]
    if len(fewer) < len(needed):
        return columns_for(width), 0
    return fewer, width - sum(column.width + SEPARATOR for column in fewer) - SEPARATOR


@dataclass(frozen=True)
class Look:
    """What of a device is shown, and when.

    `now` is the device's time, None its last record's; `seconds` what a timeline spans, None what there is.
    """

    now: float | None = None
    seconds: float | None = None
    selected: str = ""
    names: Sequence[str] | None = None  # of the components that are shown; None: all


def device_table(model: Model, width: int, look: Look, *, ascii_only: bool = False) -> Table:
    """The components, a row each; the one that is selected is marked."""
    chosen, room = layout(width)
    table = Table(expand=True, box=None, padding=(0, SEPARATOR, 0, 0), header_style="bold")
    for column in chosen:
        table.add_column(column.title, justify="right" if column.right else "left", no_wrap=True)
    now = model.timeline.now if look.now is None else look.now
    seconds = look.seconds or span_for(now - model.timeline.begin)
    if room:
        table.add_column(f"last {_span(seconds)}", no_wrap=True, width=room)
    for component in [c for c in model.components.values() if look.names is None or c.name in look.names]:
        cells = [_cell(model, column, component, now) for column in chosen]
        cells = [ascii_text(cell) for cell in cells] if ascii_only else cells
        line = model.timeline.lines.get(component.name)
        if room:
            cells.append(strip(line, now, seconds, room, ascii_only) if line else Text())
        table.add_row(*cells, style="reverse" if component.name == look.selected else "")
    return table


def _cell(model: Model, column: Column, component: Component, now: float) -> Text:
    if column.title == DOWNTIME:
        line = model.timeline.lines.get(component.name)
        down = round(line.down_s(now) * 1e6) if line else 0
        return Text(duration(down) if down else "")
    if column.title == BUDGET:
        return left_of(component, now)
    return Text(
        harmless(column.cell(component)),
        STATE_STYLE.get(component.state, "") if column.title == "state" else "",
    )


def left_of(component: Component, now: float) -> Text:
    """`5/1/1`: what is left on each rung of the ladder, from the lowest; yellow where something is gone."""
    left = {rung: int(value + 1e-6) for rung, value in component.left(now).items()}
    whole = all(value >= int(component.budgets.most.get(rung, 0)) for rung, value in left.items())
    style = "dim" if whole else "yellow" if any(left.values()) else "bold red"
    return Text("/".join(map(str, left.values())), style)


def _span(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds > 60 else f"{seconds:.0f} s"


def ascii_text(text: Text) -> Text:
    """The same for a terminal without Unicode."""
    return Text(text.plain.replace("µ", "u").replace("·", "|"), text.style)


def header(model: Model, counts: Counts, received: int = 0) -> Text:
    """Boot, kernel, supervisor, and what went wrong on the line."""
    boot = f"boot {max(model.boots, counts.kernel_boots)} {model.boot_id}".rstrip()
    boss = f"supervisor {model.supervisor_pid or '-'} (start {model.supervisor_starts})"
    if not (counts.records or model.components):
        return Text(f"no record has come yet, {received} bytes", "yellow")
    text = Text(harmless(f"{boot} · linux {model.kernel or '?'} · rfork {model.rfork or '?'} · {boss}"))
    if model.safe:
        text.append(f" · SAFE STATE: {harmless(model.safe)}", "bold red")
    if counts.lost + counts.garbled:
        text.append(f" · records lost {counts.lost}, garbled {counts.garbled}", "bold red")
    return text


@dataclass
class View:
    """Renders a model; `note` is a line of the caller's own under the table."""

    model: Model
    counts: Counts
    port: str
    note: str = ""
    events: int = 8

    def __rich_console__(self, terminal: Terminal, options: ConsoleOptions) -> RenderResult:
        """Render for rich."""
        width = options.max_width - 4  # the frame
        table = device_table(self.model, width, Look(), ascii_only=options.ascii_only)
        parts: list[RenderableType] = [header(self.model, self.counts), table, self._events()]
        if self.note:
            parts.append(Text(self.note, "bold"))
        title = Text.assemble((" koboshi ", "bold reverse"), f" {self.port} ")
        yield Panel(Group(*parts), title=title, title_align="left", border_style="cyan")

    def _events(self) -> Text:
        return lines_text([event_text(record) for record in list(self.model.events)[-self.events :]])


def lines_text(lines: list[Text]) -> Text:
    """Lines that are cut, not wrapped, with an empty one before them."""
    # Set on the text that is shown: joining does not carry it over.
    text = Text("", no_wrap=True, overflow="ellipsis")
    for line in lines:
        text.append("\n").append_text(line)
    return text


def event_text(record: Record) -> Text:
    """A record in a line, without the keys that only a program wants."""
    hidden = ("component", "fail_us", "start_us", "backend", "boot", "old", "gen", "runner")
    pairs = [f"{key}={value}" for key, value in record.fields.items() if key not in hidden]
    text = Text()
    text.append(f"{record.time:10.3f}  ", "dim")
    text.append(f"{harmless(record.component) or '-':<14} ", "bold")
    text.append(f"{record.event:<10} ", EVENT_STYLE.get(record.event, ""))
    text.append(harmless(" ".join(pairs)))
    return text
