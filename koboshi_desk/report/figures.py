# SPDX-License-Identifier: MIT
"""Computes the figures of `koboshi report` from recorded consoles, boot by boot."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from koboshi_desk.console.decoder import BANNER, Counts, Decoder, Item, KernelLine, Record, Reply
from koboshi_desk.console.findings import Finding, judge
from koboshi_desk.console.session import Console
from koboshi_desk.console.times import stamp
from koboshi_desk.console.transport import LogFile
from koboshi_desk.device.crashes import CrashRecord, from_reply
from koboshi_desk.device.model import Component, Model, Spread, spread
from koboshi_desk.device.symbols import Fault, Symbols, fault_in
from koboshi_desk.device.timeline import Line, Outage, Timeline, cause_of

NO_WARNING = "without a word (power cut, reset, watchdog?)"
# The failures that end an instance, as opposed to an operator's request.
CRASH_CAUSES = ("error", "signal", "status", "heartbeat")


@dataclass(frozen=True)
class Crash:
    """A crash: its component, time and cause, and its location if the kernel logged it."""

    time: float
    component: str
    what: str
    answer: str
    details: dict[str, str]
    where: str = ""
    record: Sequence[str] = ()  # lines of the device's crash record
    rehearsed: bool = False

    @property
    def pid(self) -> int:
        """Of the process that ended; 0 if the console did not say."""
        text = self.details.get("old") or self.details.get("pid", "")
        return int(text) if text.isdecimal() else 0


@dataclass
class Rehearsing:
    """One fault of a rehearsal, from when it began to its result; `component` is "" for the supervisor's."""

    component: str
    begin: float
    end: float = math.inf

    def covers(self, component: str, time: float) -> bool:
        """Whether a failure of that component belongs to it."""
        return self.component in ("", component) and self.begin <= time <= self.end


@dataclass
class Boot:
    """One boot of a device; times are the device's, in seconds since it started."""

    number: int
    model: Model = field(default_factory=Model)
    timeline: Timeline = field(default_factory=Timeline)
    records: int = 0
    findings: list[Finding] = field(default_factory=list)
    crashes: list[Crash] = field(default_factory=list)
    rehearsals: list[Record] = field(default_factory=list)  # with their results
    exceeded: list[Record] = field(default_factory=list)  # downtime beyond what the manifest allows
    faults: dict[int, Fault] = field(default_factory=dict)  # by PID: what the kernel said of it
    orderly: bool = False
    farewell: str = ""  # what the kernel or the supervisor said of the coming reboot
    reset: str = ""  # what the supervisor found of how the boot before this one had ended
    rehearsing: Rehearsing | None = None  # a rehearsal is running, so crashes are intended
    intended: list[Rehearsing] = field(default_factory=list)  # all that have begun
    rehearsed_restarts: int = 0
    rehearsed_given_up: int = 0
    began: float | None = None  # when its kernel began, in seconds since 1970, as far as the desk knows
    ended: str = ""  # how it ended; "" for the last one of a log

    @property
    def seconds(self) -> float:
        """Return the time from the first record to the last."""
        return self.timeline.now - self.timeline.begin

    def take(self, item: Item, *, late: bool = False) -> None:
        """Handle an item of this boot; a late record came on request, after newer ones."""
        if finding := judge(item):
            self.findings.append(finding)
        if isinstance(item, KernelLine):
            self._kernel(item)
        if not isinstance(item, Record):
            return
        self.records += 1
        restarts = self._restarts_of(item.component)
        if late:
            self.timeline.take_late(item)
            self.model.take_late(item)
        else:
            self.timeline.take(item)
            self.model.take(item)
        self.model.boot_id = self.model.boot_id or item.fields.get("boot", "")
        if item.event == "stopping" and item.fields.get("by") == "shutdown":
            self.orderly = True
        if item.event == "ladder" and item.fields.get("rung") == "reboot":
            why = f"{item.component} {item.fields.get('why', '?')}".strip()
            self.farewell = f"the ladder's reboot: {why}"
        if item.event == "reset" and item.fields.get("reason") not in ("first", "same", "unknown"):
            self.reset = " ".join(v for k, v in item.fields.items() if k in ("reason", "component", "why"))
        if item.event == "rehearsal":
            self._rehearsal(item)
        if item.event == "downtime":
            self.exceeded.append(item)
        if self.is_rehearsed(item.component, item.time):
            self.rehearsed_restarts += self._restarts_of(item.component) - restarts
            self.rehearsed_given_up += item.event == "given-up"
        self._crash(item)

    def _restarts_of(self, name: str) -> int:
        """All that are known of now, by the kernel, the monitor or the supervisor."""
        component = self.model.components.get(name)
        return component.restart_count + component.cold_starts if component is not None else 0

    def is_rehearsed(self, component: str, time: float) -> bool:
        """Whether a failure at that time was a rehearsal's."""
        return any(one.covers(component, time) for one in self.intended)

    def count(self, *, rehearsed: bool) -> int:
        """The crashes of that kind."""
        return sum(crash.rehearsed == rehearsed for crash in self.crashes)

    @property
    def given_up(self) -> int:
        """How often a component was given up, without rehearsals."""
        return self.model.given_up - self.rehearsed_given_up

    def _rehearsal(self, item: Record) -> None:
        result = item.fields.get("result")
        if self.rehearsing:
            self.rehearsing.end, self.rehearsing = item.time, None
        if result == "begun":
            self.rehearsing = Rehearsing(item.component, item.time)
            self.intended.append(self.rehearsing)
        if result not in ("begun", "done"):
            self.rehearsals.append(item)

    def _kernel(self, item: KernelLine) -> None:
        if fault := fault_in(item.text):
            self.faults[fault.pid] = fault
        if item.text.startswith("reboot: "):
            self.farewell = self.farewell or item.text.removeprefix("reboot: ")

    def _crash(self, item: Record) -> None:
        cause, event = item.fields.get("cause", ""), item.event
        if event == "restart" and cause in CRASH_CAUSES:
            answer = f"restarted {item.fields.get('level', '')}".strip()
        elif event == "end" and item.fields.get("reason") not in ("stop", "owner"):
            if item.fields.get("status") == "exit:0":
                return
            answer = f"runner ended ({item.fields.get('reason', '?')})"
        else:
            return
        rehearsed = self.is_rehearsed(item.component, item.time)
        answer += " (rehearsed)" if rehearsed else ""
        time = (item.number("fail_us") or round(item.time * 1e6)) / 1e6
        details = dict(item.fields)
        self.crashes.append(Crash(time, item.component, cause_of(item), answer, details, rehearsed=rehearsed))

    def close(self, symbols: Symbols, kept: Sequence[CrashRecord], after: Boot | None) -> None:
        """Nothing more comes of this boot, but what the one after it found, and what the device has kept."""
        self.timeline.finish()
        mine = {(one.component, one.pid): one for one in kept if one.boot == self.model.boot_id}
        self.crashes = [
            self._placed(crash, symbols, mine.pop((crash.component, crash.pid), None))
            for crash in self.crashes
        ]
        # The console had nothing of these: it was not read then, or the line lost it.
        unseen = (
            Crash(m.time, m.component, m.fault, m.decision, {}, "", [*m.lines(symbols)], self._intends(m))
            for m in mine.values()
        )
        self.crashes = sorted([*self.crashes, *unseen], key=lambda crash: crash.time)
        if after:
            self.ended = self._ending(after)

    def _intends(self, record: CrashRecord) -> bool:
        return self.is_rehearsed(record.component, record.time)

    def _placed(self, crash: Crash, symbols: Symbols, record: CrashRecord | None) -> Crash:
        """With the place that the kernel named for the process that crashed, and the device's record."""
        fault = self.faults.get(crash.pid)
        lines = [*record.lines(symbols)] if record else ()
        return replace(crash, where=symbols.place(fault) if fault else "", record=lines)

    def _ending(self, after: Boot) -> str:
        panic = next((finding.text for finding in self.findings if finding.kind == "panic"), "")
        if panic:
            return f"kernel panic: {panic}"
        if self.orderly:
            return "orderly shutdown" + (f": {self.farewell}" if self.farewell else "")
        return self.farewell or after.reset or NO_WARNING


@dataclass(frozen=True)
class Figures:
    """One component in one boot; times in seconds, latencies in microseconds."""

    component: Component
    line: Line
    outages: list[Outage]
    latency: Spread | None
    down_s: float
    longest_s: float
    ready_share: float | None  # of the time since it was ready for the first time
    over_budget: int


@dataclass
class Report:
    """One recorded console."""

    name: str
    counts: Counts
    boots: list[Boot]
    budget_s: float | None = None
    elsewhere: list[tuple[CrashRecord, list[str]]] = field(default_factory=list)  # crashes of other boots
    about: str = ""  # when it was recorded, from which port, and by what

    def figures(self, boot: Boot) -> list[Figures]:
        """Of each component, in the order of the records."""
        pairs = [(c, boot.timeline.lines.get(name)) for name, c in boot.model.components.items()]
        return [self._figures(boot, component, line) for component, line in pairs if line]

    def _figures(self, boot: Boot, component: Component, line: Line) -> Figures:
        now = boot.timeline.now
        first = next((span.begin for span in line.spans if span.state == "ready"), None)
        seconds = [outage.seconds(now) for outage in line.outages]
        real = [o for o in line.outages if not boot.is_rehearsed(component.name, o.begin)]
        down = line.down_s(now)
        share = None if first is None or now <= first else max(0.0, 1 - down / (now - first))
        return Figures(
            component=component,
            line=line,
            outages=list(line.outages),
            latency=spread(component.latencies) if component.latencies else None,
            down_s=down,
            longest_s=max(seconds, default=0.0),
            ready_share=share,
            over_budget=sum(o.seconds(now) > self.budget_s for o in real) if self.budget_s is not None else 0,
        )

    @property
    def restarts(self) -> int:
        """In all boots, those after the end of a runner included, and without those of rehearsals."""
        every = (c for boot in self.boots for c in boot.model.components.values())
        return sum(c.restart_count + c.cold_starts for c in every) - self.rehearsed_restarts

    @property
    def rehearsed_restarts(self) -> int:
        """In all boots."""
        return sum(boot.rehearsed_restarts for boot in self.boots)

    @property
    def findings(self) -> list[Finding]:
        """What the kernel should not have said."""
        return [finding for boot in self.boots for finding in boot.findings]


def read(
    log: Path, elves: Sequence[Path] = (), budget_s: float | None = None, kept: Sequence[CrashRecord] = ()
) -> Report:
    """One recorded console, from its first byte to its last, with crash records from elsewhere.

    PortError if it cannot be read.
    """
    file = LogFile(log)
    console, boots, records = Console(file), [Boot(0)], {one.key: one for one in kept}

    def take(item: Item) -> None:
        if isinstance(item, Reply):
            if found := from_reply(item):
                records[found.key] = found
            _replied(item, boots[-1], console.decoder)
        if _begins_boot(item, boots[-1]):
            boots.append(Boot(boots[-1].number + 1))
        if isinstance(item, Record):
            boots[-1].number = max(item.boot, boots[-1].number)
            _began(boots[-1], item, file.came)
        boots[-1].take(item)

    console.listen(take)
    while not console.closed:
        console.drain()
    console.close()
    report = Report(log.name, console.decoder.counts, boots, budget_s, about=_about(file))
    return _closed(report, Symbols(elves), list(records.values()))


def _replied(reply: Reply, boot: Boot, decoder: Decoder) -> None:
    """What the desk asked for while it recorded: the boot's ID, and records that the console lost."""
    if reply.result == "ok" and "boot" in reply.fields:
        boot.model.boot_id = boot.model.boot_id or reply.fields["boot"]
    if filled := decoder.fill(reply.fields.get("record", ""), history=True):
        record, late = filled
        boot.take(record, late=late)


def _began(boot: Boot, record: Record, came: float | None) -> None:
    """No record comes before it was written, so the earliest of all that they say is nearest."""
    if came is not None:
        began = came - record.time
        boot.began = began if boot.began is None else min(began, boot.began)


def _about(file: LogFile) -> str:
    """When, from where and by what it was recorded."""
    if not file.times.times:
        return "When and where this was recorded is not known: no times are beside it."
    begin, end = stamp(file.times.times[0]), stamp(file.times.times[-1])
    port = file.times.port or "an unknown port"
    return f"Recorded from {begin} to {end} on {port}, by koboshi {file.times.tool or '?'}."


def _begins_boot(item: Item, current: Boot) -> bool:
    """Whether what comes belongs to another boot: the kernel's banner, or a record of another boot."""
    if isinstance(item, Record):
        return current.records > 0 and item.boot > current.number
    return isinstance(item, KernelLine) and current.records > 0 and bool(BANNER.match(item.text))


def _closed(report: Report, symbols: Symbols, kept: Sequence[CrashRecord]) -> Report:
    first = report.boots[0]
    if not (first.records or first.findings or first.faults):
        del report.boots[0]  # nothing, or only what a loader said before the first kernel
    for boot, after in zip(report.boots, [*report.boots[1:], None], strict=False):
        boot.close(symbols, kept, after)
    known = {boot.model.boot_id for boot in report.boots}
    report.elsewhere = [(one, [*one.lines(symbols)]) for one in kept if one.boot not in known]
    return report


def elsewhere_once(reports: Sequence[Report]) -> None:
    """Crash records of boots that are in none of the logs, each with the first log only."""
    known = {boot.model.boot_id for report in reports for boot in report.boots}
    told: set[tuple[str, int]] = set()
    for report in reports:
        found = {one.key: (one, lines) for one, lines in report.elsewhere if one.boot not in known}
        report.elsewhere = [pair for key, pair in found.items() if key not in told]
        told |= found.keys()


def latencies(reports: Iterable[Report]) -> dict[str, list[int]]:
    """Of all boots, by component, in microseconds."""
    found: dict[str, list[int]] = {}
    for report in reports:
        for boot in report.boots:
            for name, component in boot.model.components.items():
                if component.latencies:
                    found.setdefault(name, []).extend(component.latencies)
    return found
