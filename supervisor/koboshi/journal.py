# SPDX-License-Identifier: MIT
"""The way of a record: committed with the state, then in the log, then on the console."""

from __future__ import annotations

import itertools
from collections import deque

from koboshi.system.calls import System
from koboshi.wire import coalesce, records

LOG_BYTES = 1 << 20
CONSOLE_BYTES = 64 << 10
_TAIL = 16 << 10
# At most this many records wait for a commit; older ones are dropped, and their numbers are missing.
_HELD = 1000
# Limit of records that a request reads back: checking each takes time in which components wait.
_LOOK_BACK = 500


class Console:
    """A bounded buffer for a console that may be slow or stuck."""

    def __init__(self, system: System, limit: int = CONSOLE_BYTES) -> None:
        self.system = system
        self.limit = limit
        self.lines: deque[bytes] = deque()
        self.size = 0
        self.lost = 0
        self.absent = False

    def put(self, line: str) -> None:
        """Queue a line, or merge it into a waiting one. A line that does not fit is counted as lost."""
        if self.size > coalesce.SLACK_BYTES:
            self.flush()  # many records at once do not mean that the line is slow
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
        """Write as much as the console accepts now; the next call continues within the line."""
        while self.lines:
            written = self.system.loop.console_write(self.lines[0])
            self.absent = written < 0
            if self.absent:
                # The log has these lines.
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
    """Numbers records, and holds them until the next commit writes them."""

    def __init__(self, system: System, path: str, console: Console) -> None:
        self.system = system
        self.path = path
        self.console = console
        self.next = 1
        self.pending: list[str] = []
        # Committed, but not in the log yet, because the disk was full.
        self.unlogged: list[str] = []
        self.size = system.size(path)

    def record(self, event: str, keys: dict[str, object], time: float | None = None) -> None:
        """Make a record of something that happened at `time` (None: now)."""
        when = self.system.now() if time is None else time
        self.pending.append(records.encode(self.next, when, event, keys))
        self.next += 1

    def hold(self) -> None:
        """Keep the records for the next commit, because this one failed."""
        del self.pending[:-_HELD]

    def write(self) -> list[str]:
        """Write to the log, then to the console. The caller has committed `pending` and `next` before."""
        lines, self.pending = self.pending, []
        self._append(lines)
        for line in lines:
            self.console.put(line)
        self.console.flush()
        return lines

    def complete(self, committed: list[str]) -> None:
        """Write what the last supervisor committed and may not have written; readers drop duplicates."""
        last = self.last()
        self._append([line for line in committed if _seq(line) > last])
        for line in committed:
            self.console.put(line)

    def goes_on(self, boot: str) -> bool:
        """Return whether the log is of this boot, and state.json was lost. Then continue its numbers."""
        for line in reversed(self.recent(LOG_BYTES)):
            record = records.find(line)
            if record is not None and record.event == "boot":
                self.next = self.last() + 1
                return record.keys.get("id") == boot
        return False

    def start_new(self) -> None:
        """Set the log of another boot aside, and begin with number 1."""
        for path in (self.path + ".1", self.path):
            if self.system.size(path):
                self.system.rename(path, self.path + ".before")
        self.size, self.next = 0, 1

    def last(self) -> int:
        """Return the number of the last record in the log."""
        for path in (self.path, self.path + ".1"):
            tail = self._tail(path)
            if tail:
                return _seq(tail[-1])
        return 0

    def recent(self, count: int) -> list[str]:
        """Return the last records of the log, oldest first."""
        lines: list[str] = []
        for path in (self.path, self.path + ".1"):
            got = self.system.read(path, 0) if len(lines) < count else None
            found = got[1].decode("ascii", "replace").splitlines() if got is not None else []
            # Lazy: only as many lines are checked as needed.
            whole = (line for line in reversed(found) if _seq(line))
            lines += itertools.islice(whole, count - len(lines))
        return lines[::-1]

    def since(self, seq: int) -> list[str]:
        """Return the records from number `seq` on, oldest first; if they are many, only the last ones."""
        count = min(max(self.next - seq, 0), _LOOK_BACK)
        return [line for line in self.recent(count) if _seq(line) >= seq]

    def _tail(self, path: str) -> list[str]:
        got = self.system.read(path, max(0, self.system.size(path) - _TAIL))
        # The next write cuts off a record without its newline.
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
        """Write the records that the log has not taken yet."""
        self._append([])

    def _rotate(self) -> None:
        self.system.rename(self.path, self.path + ".1")
        self.size = self.system.size(self.path)


def _seq(line: str) -> int:
    record = records.find(line)
    return 0 if record is None else record.seq
