# SPDX-License-Identifier: MIT
"""Records on their way: committed with the state, then logged, then on the console (docs/supervisor.md)."""

from __future__ import annotations

import itertools
from collections import deque

from koboshi.system.calls import System
from koboshi.wire import coalesce, records

LOG_BYTES = 1 << 20
CONSOLE_BYTES = 64 << 10
_TAIL = 16 << 10
# As many records wait for a commit that succeeds; older ones are given up, and their numbers are missing.
_HELD = 1000
# Records are read back this far on request: each is checked, and components wait meanwhile.
_LOOK_BACK = 500


class Console:
    """Lines for a console that may take its time, or take nothing: a bounded buffer in front of it."""

    def __init__(self, system: System, limit: int = CONSOLE_BYTES) -> None:
        self.system = system
        self.limit = limit
        self.lines: deque[bytes] = deque()
        self.size = 0
        self.lost = 0
        self.absent = False

    def put(self, line: str) -> None:
        """Queue a line, or put it into one that waits; one that does not fit any more is counted as lost."""
        if self.size > coalesce.SLACK_BYTES:
            self.flush()  # many at once are no slow line
        longer = coalesce.merge(self.lines, line) if self.size > coalesce.SLACK_BYTES else None
        if longer is not None:
            self.size += longer
            return
        data = line.encode("ascii", "replace") + b"\n"
        if self.size + len(data) > self.limit:
            self.lost += 1
            return
        self.lines.append(data)
        self.size += len(data)

    def flush(self) -> None:
        """Write what the console takes now; the rest of a line begun comes first the next time."""
        while self.lines:
            written = self.system.loop.console_write(self.lines[0])
            self.absent = written < 0
            if self.absent:
                # The log has it all.
                self.lost += len(self.lines)
                self.lines.clear()
                self.size = 0
                return
            self.size -= written
            if written < len(self.lines[0]):
                self.lines[0] = self.lines[0][written:]
                return
            self.lines.popleft()


class Journal:
    """Numbers records, and holds those that the next commit writes."""

    def __init__(self, system: System, path: str, console: Console) -> None:
        self.system = system
        self.path = path
        self.console = console
        self.next = 1
        self.pending: list[str] = []
        # Committed, and not in the log yet, for the disk was full.
        self.unlogged: list[str] = []
        self.size = system.size(path)

    def record(self, event: str, keys: dict[str, object], time: float | None = None) -> None:
        """A record of something that happened at `time` (now, if None)."""
        when = self.system.now() if time is None else time
        self.pending.append(records.encode(self.next, when, event, keys))
        self.next += 1

    def hold(self) -> None:
        """The commit has failed: its records wait for the next one."""
        del self.pending[:-_HELD]

    def write(self) -> list[str]:
        """Log first, then console; the caller has committed `pending` and `next` before."""
        lines, self.pending = self.pending, []
        self._append(lines)
        for line in lines:
            self.console.put(line)
        self.console.flush()
        return lines

    def complete(self, committed: list[str]) -> None:
        """Write what a predecessor had committed and perhaps not written; a repeated SEQ is a repetition."""
        last = self.last()
        self._append([line for line in committed if _seq(line) > last])
        for line in committed:
            self.console.put(line)

    def goes_on(self, boot: str) -> bool:
        """Whether the log is of this boot, whose state is lost: its numbers are not used again."""
        for line in reversed(self.recent(LOG_BYTES)):
            record = records.find(line)
            if record is not None and record.event == "boot":
                self.next = self.last() + 1
                return record.keys.get("id") == boot
        return False

    def begin_anew(self) -> None:
        """Another boot's log must not be taken for this one's."""
        for path in (self.path + ".1", self.path):
            if self.system.size(path):
                self.system.rename(path, self.path + ".before")
        self.size, self.next = 0, 1

    def last(self) -> int:
        """The number of the last record in the log."""
        for path in (self.path, self.path + ".1"):
            tail = self._tail(path)
            if tail:
                return _seq(tail[-1])
        return 0

    def recent(self, count: int) -> list[str]:
        """The last records of the log, oldest first."""
        lines: list[str] = []
        for path in (self.path, self.path + ".1"):
            got = self.system.read(path, 0) if len(lines) < count else None
            found = got[1].decode("ascii", "replace").splitlines() if got is not None else []
            # Only as far back as necessary: each is checked.
            whole = (line for line in reversed(found) if _seq(line))
            lines += itertools.islice(whole, count - len(lines))
        return lines[::-1]

    def since(self, seq: int) -> list[str]:
        """The log's records from number `seq` on, oldest first; of many only the last."""
        count = min(max(self.next - seq, 0), _LOOK_BACK)
        return [line for line in self.recent(count) if _seq(line) >= seq]

    def _tail(self, path: str) -> list[str]:
        got = self.system.read(path, max(0, self.system.size(path) - _TAIL))
        # A record without its newline is cut off by what is written next.
        lines = got[1].decode("ascii", "replace").split("\n")[:-1] if got is not None else []
        return [line for line in lines if _seq(line)]

    def _append(self, lines: list[str]) -> None:
        self.unlogged = (self.unlogged + lines)[-_HELD:]
        if not self.unlogged:
            return
        data = "".join(line + "\n" for line in self.unlogged).encode("ascii", "replace")
        if self.size and self.size + len(data) > LOG_BYTES:
            self._rotate()
        taken = self.system.append(self.path, data)
        self.size += taken
        del self.unlogged[: data.count(b"\n", 0, taken)]

    def catch_up(self) -> None:
        """What the log did not take before."""
        self._append([])

    def _rotate(self) -> None:
        self.system.rename(self.path, self.path + ".1")
        self.size = self.system.size(self.path)


def _seq(line: str) -> int:
    record = records.find(line)
    return 0 if record is None else record.seq
