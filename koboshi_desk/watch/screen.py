# SPDX-License-Identifier: MIT
"""The desk on a screen: one or many devices, with the log below."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console as Terminal
from rich.console import ConsoleOptions, Group, RenderableType, RenderResult
from rich.rule import Rule
from rich.segment import Segment
from rich.text import Text

from koboshi_desk.console.decoder import Item, KernelLine, Record
from koboshi_desk.console.findings import judge
from koboshi_desk.console.text import harmless, show
from koboshi_desk.device.observed import KINDS, Device, matches
from koboshi_desk.device.view import Look, ascii_text, device_table, event_text, header
from koboshi_desk.watch.desk import Desk

HELP = (
    *("q quit", "↑↓ select", "s stop", "a start", "r restart", "e rehearse", "i info", "c crashes"),
    *("f only it", "/ search", "l log", "+ - time"),
)
HELP_ASCII = ("q quit", "j k select", *HELP[2:])
LOG_LEAST = 4  # lines of log that stay, however many components there are, if the terminal has some
CLOCK_WIDTH = 70  # a narrower terminal has no room for the time of the day
HEAD = 3  # lines of a device without its components


@dataclass(frozen=True)
class Screen:
    """Renders a desk with rich, as it is at that moment."""

    desk: Desk

    def __rich_console__(self, terminal: Terminal, options: ConsoleOptions) -> RenderResult:
        """Render for rich."""
        # rich's Live hands no height down, only the terminal's size
        height = max(1, options.height or options.size.height)
        footer = self._footer(options, height)
        body = options.update(height=None)
        lines = terminal.render_lines(Group(*self._body(options, height - len(footer))), body, pad=False)
        for line in lines[: height - len(footer)]:
            yield from line
            yield Segment.line()
        yield Group(*footer)

    def _body(self, options: ConsoleOptions, height: int) -> list[RenderableType]:
        """What stands above the keys, in `height` lines."""
        room = height - 1  # the log's title
        devices = self._shown_devices(max(1, room // (HEAD + 1)))
        room -= HEAD * len(devices)
        rows = shares([len(device.model.components) for device in devices], room - min(LOG_LEAST, room // 3))
        parts: list[RenderableType] = []
        for device, count in zip(devices, rows, strict=True):
            parts += self._device(device, options, count)
        parts.append(Rule(self._log_title(), align="left", style="cyan"))
        parts += self._log(max(0, room - sum(rows)), options.max_width)
        return parts

    def _shown_devices(self, most: int) -> list[Device]:
        """Return as many devices as fit, including the selected one."""
        chosen = self.desk.selected()
        at = self.desk.devices.index(chosen[0]) if chosen else 0
        first = first_shown(at, len(self.desk.devices), most)
        return self.desk.devices[first : first + most]

    def _device(self, device: Device, options: ConsoleOptions, rows: int) -> list[RenderableType]:
        chosen = self.desk.selected()
        mark = chosen[1] if chosen and chosen[0] is device else ""
        names = list(device.model.components)
        first = first_shown(names.index(mark) if mark else 0, len(names), rows)
        look = Look(device.clock.now(), self.desk.seconds, mark, names[first : first + rows])
        title = Text.assemble((" koboshi ", "bold reverse"), f" {device.name}")
        if rows < len(names):
            title.append(f"  {first + 1} to {first + rows} of {len(names)}", "dim")
        if device.warning:
            title.append(f"  {harmless(device.warning)}", "bold yellow")
        table = device_table(device.model, options.max_width, look, ascii_only=options.ascii_only)
        head = header(device.model, device.decoder.counts, device.noise.received)
        head = ascii_text(head) if options.ascii_only else head
        head.no_wrap, head.overflow = True, "ellipsis"
        return [Rule(title, align="left", style="cyan"), head, table]

    def _log_title(self) -> str:
        words = [list(KINDS)[self.desk.kinds]]
        chosen = self.desk.selected()
        if self.desk.only and chosen:
            words.append(f"of {chosen[1]}")
        if self.desk.words or self.desk.typing:
            words.append(f"with “{self.desk.words}{'_' if self.desk.typing else ''}”")
        return " ".join(words)

    def _log(self, rows: int, width: int) -> list[RenderableType]:
        chosen = self.desk.selected() if self.desk.only else None
        devices = [chosen[0]] if chosen else self.desk.devices
        kinds = list(KINDS.values())[self.desk.kinds]
        lines: list[tuple[float, Text]] = []
        clock = width >= CLOCK_WIDTH
        for device in devices:
            lines += self._lines(device, chosen[1] if chosen else "", kinds, rows, clock)
        lines.sort(key=lambda line: line[0])
        return [text for _, text in lines[max(0, len(lines) - rows) :]]

    def _lines(
        self, device: Device, component: str, kinds: tuple[type, ...], rows: int, clock: bool
    ) -> list[tuple[float, Text]]:
        """The newest of a device's lines that are wanted, with the host's time."""
        found: list[tuple[float, Text]] = []
        for place, item, received in reversed(device.log):
            if matches(item, component, self.desk.words, kinds):
                text = item_text(item)
                if len(self.desk.devices) > 1:
                    text = Text.assemble((f"{device.name[-12:]:<12} ", "cyan"), text)
                if clock and received is not None:
                    text = Text.assemble((time.strftime("%H:%M:%S ", time.localtime(received)), "dim"), text)
                text.no_wrap, text.overflow = True, "ellipsis"
                found.append((place, text))
            if len(found) >= rows:
                break
        return found[::-1]

    def _footer(self, options: ConsoleOptions, height: int) -> list[Text]:
        """The note or the keys, on as many lines as they need, at most a quarter of the terminal."""
        if self.desk.note or not self.desk.interactive:
            lines, style = wrapped(harmless(self.desk.note).split(" "), " ", options.max_width), "bold"
        else:
            keys = HELP_ASCII if options.ascii_only else HELP
            lines, style = wrapped(keys, " | " if options.ascii_only else " · ", options.max_width), "dim"
        return [Text(line, style, no_wrap=True, overflow="ellipsis") for line in lines[: max(1, height // 4)]]


def wrapped(words: Sequence[str], between: str, width: int) -> list[str]:
    """The words on lines of at most `width` characters; a longer word has a line of its own."""
    lines: list[str] = []
    for word in words:
        if lines and len(lines[-1] + between + word) <= width:
            lines[-1] += between + word
        else:
            lines.append(word)
    return lines


def first_shown(at: int, count: int, rows: int) -> int:
    """The first of `rows` lines, so that the line `at` is among them, in the middle if it can be."""
    return max(0, min(at - rows // 2, count - rows))


def shares(wanted: list[int], room: int) -> list[int]:
    """Of `room` lines as many as each wants, or where that is too many, as evenly as can be; 1 at least."""
    given = [min(1, want) for want in wanted]
    while sum(given) < room and given != wanted:
        least = min(
            (at for at, want in enumerate(wanted) if given[at] < want), key=lambda at: (given[at], at)
        )
        given[least] += 1
    return given


def item_text(item: Item) -> Text:
    """Return a line of the log."""
    if isinstance(item, Record):
        return event_text(item)
    style = "bold red" if judge(item) else "dim"
    plain = f"[{item.time:9.3f}] {harmless(item.text)}" if isinstance(item, KernelLine) else show(item)
    return Text(plain, style)
