# SPDX-License-Identifier: MIT
"""When each component was in which state, and when it was down: from the records alone.

Times are a device's CLOCK_MONOTONIC in seconds, so each boot has a timeline; it ends with its last record.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from koboshi_desk.console.decoder import Record

# What a record makes of the state here; "down" and "ended" come from what a record says, see `take`.
STATE_AFTER = {
    "declared": "waiting",
    "starting": "starting",
    "started": "running",
    "ready": "ready",
    "cold": "restarting",
    "waiting": "waiting",
    "stopping": "stopping",
    "stopped": "stopped",
    "given-up": "given-up",
}
# From the worst to the best: what a slice of time shows in which several of them fell.
WORST_FIRST = (
    "given-up", "down", "restarting", "running", "starting",
    "unknown", "stopping", "stopped", "waiting", "ended", "ready",
)  # fmt: skip


@dataclass
class Span:
    """A component's state from `begin` to `end` (None: until now)."""

    state: str
    begin: float
    end: float | None = None


@dataclass
class Outage:
    """A component was not there for its users: from a failure until it was ready again (None: not yet)."""

    begin: float
    cause: str
    end: float | None = None
    reboot: bool = False  # the boot ended before it was ready

    def seconds(self, now: float) -> float:
        """Return the duration; an outage in progress counts until `now`."""
        return max(0.0, (now if self.end is None else self.end) - self.begin)


@dataclass
class Line:
    """One component's past in one boot."""

    spans: deque[Span]
    outages: deque[Outage]
    marks: deque[tuple[float, str]]  # restarts: when, and their level
    forgotten_s: float = 0.0  # total of the outages that were dropped

    def enter(self, state: str, time: float) -> None:
        """Enter `state` at `time`."""
        if self.spans:
            last = self.spans[-1]
            if last.state == state:
                return
            last.end = max(time, last.begin)
        self.spans.append(Span(state, time))

    def fail(self, time: float, cause: str) -> None:
        """Begin an outage, unless one is in progress."""
        if self.outages and self.outages[-1].end is None:
            return
        if len(self.outages) == self.outages.maxlen:
            self.forgotten_s += self.outages[0].seconds(time)
        self.outages.append(Outage(time, cause))

    def recover(self, time: float, *, reboot: bool = False) -> None:
        """End the outage in progress, if any."""
        if self.outages and self.outages[-1].end is None:
            self.outages[-1].end, self.outages[-1].reboot = max(time, self.outages[-1].begin), reboot

    def down_s(self, now: float) -> float:
        """Return the total seconds of all outages until `now`."""
        return self.forgotten_s + sum(outage.seconds(now) for outage in self.outages)

    def worst(self, begin: float, end: float) -> str:
        """The worst state between the two; "" where nothing is known."""
        found = {s.state for s in self.spans if s.begin < end and (s.end is None or s.end > begin)}
        return next((state for state in WORST_FIRST if state in found), "")


@dataclass
class Timeline:
    """One boot's lines; at most `keep` spans, outages and restarts a component (None: all of them)."""

    keep: int | None = None
    lines: dict[str, Line] = field(default_factory=dict)
    begin: float = 0.0
    now: float = 0.0
    _known: bool = False

    def take(self, record: Record) -> None:
        """Handle the next record of the boot."""
        if not self._known:
            self.begin, self._known = record.time, True
        self.now = max(self.now, record.time)
        if record.component:
            self._about(record, self._line(record.component))

    def told(self, name: str, state: str, since: float, down_s: float) -> None:
        """The device says which state a component is in, since when, and how long it was down before."""
        line = self._line(name)
        self._see(since)
        line.enter(state if state in WORST_FIRST else "unknown", since)
        if state == "ready":
            line.recover(since)
        line.forgotten_s += max(0.0, down_s - line.down_s(since))

    def lost_sight(self, name: str) -> None:
        """From here on nothing is known of a component; an outage in progress ends with that."""
        line = self._line(name)
        line.recover(self.now)
        line.enter("unknown", self.now)

    def take_late(self, record: Record) -> None:
        """A record of the past: a restart is marked, and an outage that it ended counts."""
        self._see(record.time)
        if not record.component:
            return
        line = self._line(record.component)
        if record.event in ("restart", "restarts"):
            line.marks.append(
                ((record.number("fail_us") or record.time * 1e6) / 1e6, record.fields.get("level", ""))
            )
        elif record.event == "ready" and (out_us := record.number("downtime_us") or 0) > 0:
            begin = record.time - out_us / 1e6
            if all(not (o.begin <= record.time and begin <= (o.end or self.now)) for o in line.outages):
                line.outages.appendleft(Outage(begin, "", record.time))

    def _see(self, time: float) -> None:
        self.begin = min(self.begin, time) if self._known else time
        self.now, self._known = max(self.now, time), True

    def _line(self, name: str) -> Line:
        return self.lines.setdefault(
            name, Line(deque(maxlen=self.keep), deque(maxlen=self.keep), deque(maxlen=self.keep))
        )

    def _about(self, record: Record, line: Line) -> None:
        match record.event:
            case "restart" | "restarts":
                self._restart(record, line)
            case "end":
                self._end(record, line)
            case "ready":
                line.recover(record.time)
            case "given-up":
                line.fail(record.time, record.fields.get("error", "given up"))
            case "stopping" | "stopped":
                line.recover(record.time)  # an operator's stop does not count as an outage
        if state := STATE_AFTER.get(record.event):
            line.enter(state, record.time)

    def _restart(self, record: Record, line: Line) -> None:
        start = (record.number("start_us") or round(record.time * 1e6)) / 1e6
        failed = (record.number("fail_us") or round(start * 1e6)) / 1e6
        line.fail(failed, cause_of(record))
        line.enter("down", failed)
        line.enter("running", max(start, failed))
        line.marks.append((failed, record.fields.get("level", "")))
        if record.fields.get("ready") == "1":  # several in one record, the last of them over
            line.recover(record.time)
            line.enter("ready", record.time)

    def _end(self, record: Record, line: Line) -> None:
        reason, status = record.fields.get("reason", ""), record.fields.get("status", "")
        if reason == "exit" and status == "exit:0":
            line.recover(record.time)
            line.enter("ended", record.time)
        elif reason != "stop":
            line.fail(record.time, cause_of(record))
            line.enter("down", record.time)

    def finish(self) -> None:
        """End the boot; every state ends with its last record."""
        for line in self.lines.values():
            if line.spans and line.spans[-1].end is None:
                line.spans[-1].end = max(self.now, line.spans[-1].begin)
            line.recover(self.now, reboot=True)


def cause_of(record: Record) -> str:
    """Return the cause in a few words: `error SIGSEGV`, `request exit 85`, `operator`."""
    cause = record.fields.get("cause") or record.fields.get("reason", "")
    status = record.fields.get("status", "").removeprefix("signal:").replace("exit:", "exit ")
    return f"{cause} {status}".strip()
