# SPDX-License-Identifier: MIT
"""Handles the operator's keys: each one selects, filters, or sends a request to a device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from koboshi_desk.console.control import Outcome
from koboshi_desk.device.observed import KINDS, Device
from koboshi_desk.device.strip import LONGEST, SPANS


@dataclass
class Desk:
    """What an operator has selected, filtered and asked for; `key` takes what was pressed."""

    devices: list[Device]
    quit: bool = False
    note: str = ""
    interactive: bool = True
    _selected: int = -1
    only: bool = False
    words: str = ""
    typing: bool = False
    kinds: int = 0
    seconds: float | None = None
    _confirm: tuple[Device, str, str] | None = None

    def key(self, name: str) -> None:
        """Handle a key."""
        if self.typing:
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
        """Send a request; ask for confirmation first if it takes a component out of service."""
        chosen = self.selected()
        if chosen is None and verb in ("status", "crashes"):
            self._ask_all(verb)
        elif chosen is None:
            self.note = f"{verb}: select a component first (↑↓)"
        elif not chosen[0].live:
            self.note = f"{verb}: {chosen[0].name} is recorded, and takes no requests"
        elif not chosen[0].writable:
            self.note = f"{verb}: this guest has no line for requests; only a guest of ./dev boot has one"
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

    def _ask_all(self, verb: str) -> None:
        """Without a selection, what is only read is asked of every device."""
        able = [device for device in self.devices if device.live and device.writable]
        for device in able:
            device.control.ask(verb)
        self.note = f"{verb}: asked" if able else f"{verb}: no device here takes requests"

    def news(self) -> None:
        """Show the outcomes of requests."""
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
        self.only = not self.only and self.selected() is not None

    def _search(self) -> None:
        self.typing, self.words = True, ""

    def _type(self, name: str) -> None:
        if name in ("enter", "escape"):
            self.typing = False
            self.words = self.words if name == "enter" else ""
        elif name == "backspace":
            self.words = self.words[:-1]
        elif len(name) == 1 and name.isprintable():
            self.words += name

    def _kind(self) -> None:
        self.kinds = (self.kinds + 1) % len(KINDS)

    def _zoom(self, by: int) -> None:
        at = SPANS.index(self.seconds or LONGEST) + by
        self.seconds = SPANS[min(max(at, 0), len(SPANS) - 1)]

    def _forget(self) -> None:
        self._selected, self.only, self.words = -1, False, ""

    def targets(self) -> list[tuple[Device, str]]:
        """Return what can be selected: each component of each device."""
        return [(device, name) for device in self.devices for name in device.model.components]

    def selected(self) -> tuple[Device, str] | None:
        """Return the selected device and component."""
        targets = self.targets()
        return targets[self._selected] if 0 <= self._selected < len(targets) else None
