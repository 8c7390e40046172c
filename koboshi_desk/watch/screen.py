# SPDX-License-Identifier: MIT
"""The desk: one or many devices on a screen, with the log below; what keys change of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Console as Terminal
from rich.console import ConsoleOptions, Group, RenderableType, RenderResult
from rich.rule import Rule
from rich.text import Text

from koboshi_desk.console.control import Outcome
from koboshi_desk.console.decoder import Item, KernelLine, Record
from koboshi_desk.console.findings import judge
from koboshi_desk.console.session import harmless, show
from koboshi_desk.device.observed import KINDS, Device, matches
from koboshi_desk.device.strip import LONGEST, SPANS
from koboshi_desk.device.view import Look, ascii_text, device_table, event_text, header

HELP = (
    "q quit · ↑↓ select · s stop · a start · r restart · e rehearse · i info · c crashes · f only it"
    " · / search · l log · + - time"
)
HELP_ASCII = HELP.replace("↑↓", "j k").replace("·", "|")
LOG_LEAST = 4  # lines of log that stay, however many components there are, if the terminal has some
HEAD = 3  # lines of a device without its components


@dataclass
class Desk:
    """Renders devices; `key` takes what was pressed. `quit` is set once that was asked for."""

    devices: list[Device]
    quit: bool = False
    note: str = ""
    interactive: bool = True
    _selected: int = -1
    _only: bool = False
    _words: str = ""
    _typing: bool = False
    _kinds: int = 0
    _seconds: float | None = None
    _confirm: tuple[Device, str, str] | None = None

    # Keys

    def key(self, name: str) -> None:
        """Do what a key says."""
        if self._typing:
            self._type(name)
            return
        if self._confirm:
            self._decide(name)
            return
        actions: dict[str, Callable[[], None]] = {
            "q": self._quit,
            "up": lambda: self._move(-1),
            "k": lambda: self._move(-1),
            "down": lambda: self._move(1),
            "j": lambda: self._move(1),
            "f": self._filter,
            "/": self._search,
            "l": self._kind,
            "+": lambda: self._zoom(1),
            "-": lambda: self._zoom(-1),
            "escape": self._forget,
            "s": lambda: self._wish("stop"),
            "a": lambda: self._wish("start"),
            "r": lambda: self._wish("restart"),
            "e": lambda: self._wish("rehearse"),
            "i": lambda: self._wish("status"),
            "c": lambda: self._wish("crashes"),
        }
        if action := actions.get(name):
            self.note = ""
            action()

    def _quit(self) -> None:
        self.quit = True

    def _move(self, by: int) -> None:
        count = len(self.targets())
        self._selected = (max(self._selected, -1 if by > 0 else 0) + by) % count if count else -1

    def _wish(self, verb: str) -> None:
        """Ask the device; what takes a component out of service is confirmed first."""
        chosen = self.selected()
        if chosen is None:
            self.note = f"{verb}: select a component first (↑↓)"
        elif not chosen[0].live:
            self.note = f"{verb}: {chosen[0].name} is recorded, and takes no requests"
        elif verb in ("stop", "restart", "rehearse"):
            self._confirm = (*chosen, verb)
            self.note = f"{verb} {chosen[1]}? y or n"
        else:
            self._send(*chosen, verb)

    def _decide(self, name: str) -> None:
        assert self._confirm is not None
        confirmed, self._confirm, self.note = self._confirm, None, ""
        if name == "y":
            self._send(*confirmed)

    def _send(self, device: Device, component: str, verb: str) -> None:
        device.control.ask(verb, "" if verb in ("status", "crashes") else component)
        self.note = f"{verb} {component}: asked"

    def news(self) -> None:
        """Show what became of requests."""
        for device in self.devices:
            while device.control.done:
                self.note = self._told(device.control.done.popleft())

    def _told(self, outcome: Outcome) -> str:
        chosen = self.selected()
        if outcome.verb == "crashes" and outcome.result == "ok":
            return (
                f"{len(outcome.parts)} crash records: a recording has them now, and koboshi report shows them"
            )
        if outcome.verb != "status" or outcome.result != "ok" or chosen is None:
            return str(outcome)
        part = next((part for part in outcome.parts if part.get("component") == chosen[1]), {})
        return " · ".join(f"{key} {value}" for key, value in part.items())

    def _filter(self) -> None:
        self._only = not self._only and self.selected() is not None

    def _search(self) -> None:
        self._typing, self._words = True, ""

    def _type(self, name: str) -> None:
        if name in ("enter", "escape"):
            self._typing = False
            self._words = self._words if name == "enter" else ""
        elif name == "backspace":
            self._words = self._words[:-1]
        elif len(name) == 1 and name.isprintable():
            self._words += name

    def _kind(self) -> None:
        self._kinds = (self._kinds + 1) % len(KINDS)

    def _zoom(self, by: int) -> None:
        at = SPANS.index(self._seconds or LONGEST) + by
        self._seconds = SPANS[min(max(at, 0), len(SPANS) - 1)]

    def _forget(self) -> None:
        self._selected, self._only, self._words = -1, False, ""

    def targets(self) -> list[tuple[Device, str]]:
        """What can be selected: each component of each device."""
        return [(device, name) for device in self.devices for name in device.model.components]

    def selected(self) -> tuple[Device, str] | None:
        """The device and component that is marked."""
        targets = self.targets()
        return targets[self._selected] if 0 <= self._selected < len(targets) else None

    # What is shown

    def __rich_console__(self, terminal: Terminal, options: ConsoleOptions) -> RenderResult:
        """What rich asks for."""
        room = (options.height or 40) - 2  # the log's title, and the keys
        devices = self._shown_devices(max(1, room // (HEAD + 1)))
        room -= HEAD * len(devices)
        rows = shares([len(device.model.components) for device in devices], room - min(LOG_LEAST, room // 3))
        parts: list[RenderableType] = []
        for device, count in zip(devices, rows, strict=True):
            parts += self._device(device, options, count)
        parts.append(Rule(self._log_title(), align="left", style="cyan"))
        parts += self._log(max(0, room - sum(rows)))
        parts.append(self._footer(options.ascii_only))
        yield Group(*parts)

    def _shown_devices(self, most: int) -> list[Device]:
        """As many as fit, the selected one among them."""
        chosen = self.selected()
        at = self.devices.index(chosen[0]) if chosen else 0
        first = first_shown(at, len(self.devices), most)
        return self.devices[first : first + most]

    def _device(self, device: Device, options: ConsoleOptions, rows: int) -> list[RenderableType]:
        chosen = self.selected()
        mark = chosen[1] if chosen and chosen[0] is device else ""
        names = list(device.model.components)
        first = first_shown(names.index(mark) if mark else 0, len(names), rows)
        look = Look(device.clock.now(), self._seconds, mark, names[first : first + rows])
        title = Text.assemble((" koboshi ", "bold reverse"), f" {device.name}")
        if rows < len(names):
            title.append(f"  {first + 1} to {first + rows} of {len(names)}", "dim")
        if device.note:
            title.append(f"  {device.note}", "bold yellow")
        table = device_table(device.model, options.max_width, look, ascii_only=options.ascii_only)
        head = header(device.model, device.decoder.counts)
        head = ascii_text(head) if options.ascii_only else head
        head.no_wrap, head.overflow = True, "ellipsis"
        return [Rule(title, align="left", style="cyan"), head, table]

    def _log_title(self) -> str:
        words = [list(KINDS)[self._kinds]]
        chosen = self.selected()
        if self._only and chosen:
            words.append(f"of {chosen[1]}")
        if self._words or self._typing:
            words.append(f"with “{self._words}{'_' if self._typing else ''}”")
        return " ".join(words)

    def _log(self, rows: int) -> list[RenderableType]:
        chosen = self.selected() if self._only else None
        devices = [chosen[0]] if chosen else self.devices
        kinds = list(KINDS.values())[self._kinds]
        lines: list[tuple[float, Text]] = []
        for device in devices:
            lines += self._lines(device, chosen[1] if chosen else "", kinds, rows)
        lines.sort(key=lambda line: line[0])
        return [text for _, text in lines[max(0, len(lines) - rows) :]]

    def _lines(
        self, device: Device, component: str, kinds: tuple[type, ...], rows: int
    ) -> list[tuple[float, Text]]:
        """The newest of a device's lines that are wanted, with the host's time."""
        found: list[tuple[float, Text]] = []
        for came, item in reversed(device.log):
            if matches(item, component, self._words, kinds):
                text = item_text(item)
                if len(self.devices) > 1:
                    text = Text.assemble((f"{device.name[-12:]:<12} ", "cyan"), text)
                text.no_wrap, text.overflow = True, "ellipsis"
                found.append((came, text))
            if len(found) >= rows:
                break
        return found[::-1]

    def _footer(self, ascii_only: bool) -> Text:
        keys = HELP_ASCII if ascii_only else HELP
        text = (
            Text(harmless(self.note), "bold") if self.note else Text(keys if self.interactive else "", "dim")
        )
        text.no_wrap, text.overflow = True, "ellipsis"
        return text


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
    """A line of the log."""
    if isinstance(item, Record):
        return event_text(item)
    style = "bold red" if judge(item) else "dim"
    plain = f"[{item.time:9.3f}] {harmless(item.text)}" if isinstance(item, KernelLine) else show(item)
    return Text(plain, style)
