# SPDX-License-Identifier: MIT
"""Read rfork-run's event log by number: no event is lost, and none is read twice (docs/runner.md)."""

from __future__ import annotations

from koboshi.system.calls import System
from koboshi.wire.event import Event, parse


class Follower:
    """Reads the events of one component after number `last`, also when the log has been rotated.

    `last_time` is the time of that event. A log that was removed may begin at 1 again: an event with a used
    number is new if it happened later.
    """

    def __init__(self, system: System, directory: str, last: int, last_time: float | None = None) -> None:
        self.system = system
        self.path = directory + "/events"
        self.last = last
        self.last_time = last_time
        self.inode = -1
        self.offset = 0

    def read(self) -> tuple[list[Event], int]:
        """The new events in order, and how many were rotated away unread."""
        got = self.system.read(self.path, self.offset)
        if got is None:
            return self._take([])
        inode, data = got
        if not data and self.offset > self.system.size(self.path):
            # Removed and made again with the same inode number, or emptied.
            self.inode = -1
        lines: list[bytes] = []
        if inode != self.inode:
            # Another file than last time: the rest of the old one is in events.1.
            # The new one is read before the old one, so that a rotation in between shows lines twice
            # (their numbers tell) and hides none.
            got = self.system.read(self.path, 0)
            inode, data = got if got is not None else (inode, b"")
            old = self.system.read(self.path + ".1", 0)
            lines = old[1].split(b"\n")[:-1] if old is not None else []
            self.inode, self.offset = inode, 0
        whole = data.rfind(b"\n") + 1
        self.offset += whole
        return self._take(lines + data[:whole].split(b"\n")[:-1])

    def _take(self, lines: list[bytes]) -> tuple[list[Event], int]:
        events: list[Event] = []
        lost = 0
        for line in lines:
            event = parse(line.decode("ascii", "replace"))
            if event is None or not self._is_new(event):
                continue
            lost += max(0, event.number - self.last - 1)
            self.last, self.last_time = event.number, event.time
            events.append(event)
        return events, lost

    def _is_new(self, event: Event) -> bool:
        later = self.last_time is not None and event.time > self.last_time
        return event.number > self.last or later
