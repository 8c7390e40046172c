# SPDX-License-Identifier: MIT
"""One device as seen on its console: decoder, model, log, kernel findings and the device's clock."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from koboshi_desk.console.control import Control
from koboshi_desk.console.decoder import Decoder, Item, KernelLine, Record, Reply, Text
from koboshi_desk.console.findings import Finding, judge
from koboshi_desk.console.noise import Noise
from koboshi_desk.console.recording import Recording
from koboshi_desk.device.catchup import Catchup
from koboshi_desk.device.model import Model

LOG_KEPT = 2000  # lines


class Entry(NamedTuple):
    """A line of the log: its place in time, what it is, and when it came here, if that is known."""

    place: float
    item: Item
    received: float | None = None


@dataclass
class Clock:
    """The device's CLOCK_MONOTONIC as well as it is known here: no record comes before it was written."""

    host: Callable[[], float] = time.monotonic
    live: bool = True
    _behind: float | None = None  # host's time minus the device's, the least that was seen
    _latest: float = 0.0

    def take(self, record: Record) -> None:
        """Note that a record has just arrived."""
        self._latest = max(self._latest, record.time)
        if record.event == "boot":
            self._behind, self._latest = None, record.time
        behind = self.host() - record.time
        self._behind = behind if self._behind is None else min(self._behind, behind)

    def told(self, time: float, new_boot: bool) -> None:
        """The device has just said what time it is there."""
        if new_boot:
            self._behind, self._latest = None, 0.0
        behind = self.host() - time
        self._behind = behind if self._behind is None else min(self._behind, behind)

    def came(self, time: float) -> float:
        """The host's time of an event of the device's time."""
        return self.host() if self._behind is None else time + self._behind

    def now(self) -> float | None:
        """The device's time; None where only its records tell (a recorded console)."""
        if self._behind is None or not self.live:
            return None
        return max(self._latest, self.host() - self._behind)


@dataclass
class Device:
    """Feed `take` with what comes from its console."""

    name: str
    live: bool = True
    record_to: Path | None = None
    writable: bool = True
    note: str = ""
    over: bool = False
    decoder: Decoder = field(default_factory=Decoder)
    model: Model = field(default_factory=Model)
    findings: list[Finding] = field(default_factory=list)
    log: deque[Entry] = field(default_factory=lambda: deque(maxlen=LOG_KEPT))
    received: float | None = None  # when what is being handled came, in seconds since 1970
    clock: Clock = field(default_factory=Clock)
    control: Control = field(default_factory=Control)
    noise: Noise = field(default_factory=Noise)
    recording: Recording | None = None

    def __post_init__(self) -> None:
        self.clock.live = self.live
        self.catchup = Catchup(self.control, self.decoder, self.model, told_time=self.clock.told)
        self.catchup.attach()
        if self.record_to:
            self.recording = Recording(self.record_to, self.name)

    def take(self, data: bytes, at: float | None = None) -> list[Item]:
        """Write the bytes to the recording, then decode them; return the items that they complete.

        `at`: when they came, in seconds since 1970.
        """
        self.received = at
        if self.recording:
            self.recording.write(data, at)
        items = self.decoder.feed(data)
        self.noise.take(data, record=any(isinstance(item, Record) for item in items))
        self.catchup.heard(items)
        return self._taken(items)

    @property
    def warning(self) -> str:
        """What a person should know: of the port, of its speed, of the recording."""
        unreadable = "what comes is not text; is --baud right?" if self.noise.unreadable else ""
        return "; ".join(
            filter(None, (self.note, unreadable, self.recording.problem if self.recording else ""))
        )

    def end(self) -> list[Item]:
        """The console has ended: what is left of a line counts as one."""
        self.over = True
        return self._taken(self.decoder.flush())

    def lost(self) -> None:
        """The port is closed: what the components do is not known until the device says so."""
        self.model.forget_states()
        if self.recording:
            self.recording.mark("closed")

    def reopened(self) -> None:
        """The port is open again; meanwhile the device may have rebooted."""
        self.decoder.reopened()
        self.catchup.attach()
        if self.recording:
            self.recording.mark("open")

    def _taken(self, items: list[Item]) -> list[Item]:
        for item in items:
            self.model.take(item)
            self.control.take(item)
            if isinstance(item, Record):
                self.clock.take(item)
            if finding := judge(item):
                self.findings.append(finding)
            if not isinstance(item, Text) or item.text.strip():
                self.log.append(Entry(self._now(), item, self.received))
        if self.decoder.missing:
            self.catchup.gap()
        return items + self._filled()

    def _now(self) -> float:
        return time.time() if self.received is None else self.received

    def _filled(self) -> list[Item]:
        """The records that came on request, in the log where they belong."""
        filled, self.catchup.filled = self.catchup.filled, []
        for record, late in filled:
            if late:
                self.model.take_late(record)
            else:
                self.model.take(record)
            self._log_late(record)
        return [record for record, _ in filled]

    def _log_late(self, record: Record) -> None:
        """Put a record in front of the first that has a higher number, at the latest at that one's time."""
        place = self._now() - max(0.0, self.clock.host() - self.clock.came(record.time))
        at = len(self.log)
        for index in range(len(self.log) - 1, -1, -1):
            other, item, _ = self.log[index]
            if isinstance(item, Record) and (item.boot, item.seq) > (record.boot, record.seq):
                place, at = min(place, other), index
        if len(self.log) == LOG_KEPT:
            self.log.popleft()
            at = max(0, at - 1)
        self.log.insert(at, Entry(place, record))

    def close(self) -> None:
        """Close the recording."""
        if self.recording:
            self.recording.close()


def matches(item: Item, component: str, words: str, kinds: tuple[type, ...]) -> bool:
    """Whether a line of the log is wanted: of this component ("": any), with these words, of these kinds."""
    if not isinstance(item, kinds):
        return False
    if component and not (isinstance(item, Record) and item.component == component):
        return False
    if isinstance(item, Reply):
        return False
    text = " ".join([item.event, *item.fields.values()]) if isinstance(item, Record) else item.text
    return words.lower() in text.lower()


# The log's levels of detail, from the least to everything.
KINDS: dict[str, tuple[type, ...]] = {
    "records": (Record,),
    "records and kernel": (Record, KernelLine),
    "everything": (Record, KernelLine, Text),
}
