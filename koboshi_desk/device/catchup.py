# SPDX-License-Identifier: MIT
"""Asks a device for what the console did not show: after attaching, after a closed port, and after a gap.

A boot loader takes any key as a wish to stop. So nothing is sent before the device has written a record or
the line has been quiet for a while.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from koboshi_desk.console.control import Control, Outcome
from koboshi_desk.console.decoder import Decoder, Item, Record
from koboshi_desk.device.model import Model, seconds

QUIET_S = 5.0
SETTLE_S = 1.0  # after a gap: a record that stands for the missing ones may still come
MOST = 256  # records that are asked for at once: more would fill a slow line
TRIES = 2  # nobody may read the line, and a login prompt would take requests for names


@dataclass
class Catchup:
    """Asks `hello`, `events` and `status`; `filled` has the records that came, and whether each is late."""

    control: Control
    decoder: Decoder
    model: Model
    now: Callable[[], float] = time.monotonic
    told_time: Callable[[float, bool], None] = lambda time, new_boot: None  # the device's, from its reply
    filled: list[tuple[Record, bool]] = field(default_factory=list)
    silent: bool = False  # the device did not answer: it is not asked because of gaps
    _at: float | None = None  # when to ask
    _asking: bool = False
    _left: int = 0
    _history: bool = False  # attached to a boot of which nothing was known

    def attach(self) -> None:
        """The port has just been opened."""
        self.silent, self._asking, self._at = False, False, self.now() + QUIET_S

    def heard(self, items: Sequence[Item]) -> None:
        """Something came on the line, with these items in it."""
        if self._at is None:
            return
        seen = [item.event for item in items if isinstance(item, Record)]
        if "boot" in seen:
            self._at = None  # all of this boot comes by itself
        elif seen:
            self._at = min(self._at, self.now() + SETTLE_S)
        else:
            self._at = max(self._at, self.now() + QUIET_S)

    def gap(self) -> None:
        """Records are missing."""
        if not self.silent and self._at is None:
            self._at = self.now() + SETTLE_S

    def step(self) -> None:
        """Ask if it is time to."""
        if self._at is not None and not self._asking and self.now() >= self._at:
            self._at, self._asking, self._left = None, True, MOST
            self.control.ask("hello", then=self._hello, tries=TRIES)

    def _hello(self, outcome: Outcome) -> None:
        if outcome.result != "ok":
            self.silent, self._asking = True, False
            return
        boot = outcome.fields.get("boot", "")
        other = self.model.boot_id not in ("", boot)
        if other:
            self.decoder.new_boot()
            self.model.begin_boot(boot)
        self.told_time(seconds(outcome.fields.get("time"), 0.0), other)
        self._history = not self.model.boot_id or other
        self.model.boot_id = boot
        first = 0 if self._history else self.decoder.missing or self.decoder.next_seq
        self.control.ask("events", str(first) if first else "", then=self._events, tries=TRIES)

    def _events(self, outcome: Outcome) -> None:
        if outcome.result == "ok":
            texts = [part.get("record", "") for part in outcome.parts]
            found = [self.decoder.fill(text, history=self._history) for text in texts]
            self.filled += [pair for pair in found if pair]
            self._left -= len(found)
            if outcome.component and any(found):
                self.decoder.asked(max(pair[0].seq for pair in found if pair))
            else:
                self.decoder.asked()
            if (first := self.decoder.missing) and self._left > 0:
                self.control.ask("events", str(first), then=self._events, tries=TRIES)
                return
            self.decoder.asked()
        self.control.ask("status", then=self._status, tries=TRIES)

    def _status(self, outcome: Outcome) -> None:
        self._asking = False
        if outcome.result == "ok":
            self.model.keep_only({part.get("component", "") for part in outcome.parts})
