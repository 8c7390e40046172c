# SPDX-License-Identifier: MIT
"""What the device looks like, from its records alone: what the live view shows and the demo judges."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from koboshi_desk.console.decoder import Item, Record, Reply
from koboshi_desk.device.budgets import Budgets
from koboshi_desk.device.timeline import Timeline

EVENTS_KEPT = 200
SPANS_KEPT = 4096  # a component and boot, in the timeline
# Where a record alone decides the state (docs/supervisor.md); "end" and "adopted" need a look at more.
STATE_AFTER = {
    "declared": "waiting",
    "starting": "starting",
    "started": "running",
    "restart": "running",
    "ready": "ready",
    "cold": "restarting",
    "waiting": "waiting",
    "stopping": "stopping",
    "stopped": "stopped",
    "given-up": "given-up",
}


@dataclass(frozen=True)
class Restart:
    """One restart; `latency_us` is docs/runner.md's: from the failure to the new instance's start."""

    component: str
    generation: int
    level: str
    backend: str
    cause: str
    status: str
    old: int
    pid: int
    latency_us: int
    boot: int


@dataclass
class Component:
    """One component; PIDs are 0 and texts empty while nothing is known."""

    name: str
    state: str = "waiting"
    needs: tuple[str, ...] = ()
    pid: int = 0
    runner: int = 0
    backend: str = ""
    generation: int = 0
    level: str = ""
    cause: str = ""
    status: str = ""
    downtime_us: int = 0
    since: float = 0.0
    cold_starts: int = 0
    cold_due: bool = False  # its next start is a cold restart
    restarts: list[Restart] = field(default_factory=list)
    restart_count: int = 0
    runner_alive: bool = False
    checkpointed: bool = False  # its runner has an image of it that a restart begins from
    budgets: Budgets = field(default_factory=Budgets)

    def left(self, now: float) -> dict[str, float]:
        """Of the ladder's budgets, at the device's time `now`."""
        return self.budgets.after(now - self.since if self.state == "ready" else 0.0)

    def count_start(self, event: str) -> None:
        """Count a cold restart when it has begun: `cold` announces it, `started` is the beginning."""
        self.cold_starts += event == "started" and self.cold_due
        self.cold_due = event == "cold"

    @property
    def latencies(self) -> list[int]:
        """Of its restarts in this boot, in microseconds, oldest first."""
        return [restart.latency_us for restart in self.restarts]


@dataclass(frozen=True)
class Spread:
    """The distribution of `n` numbers."""

    p50: int
    p99: int
    max: int
    n: int


def spread(values: Iterable[int]) -> Spread:
    """Median, 99th percentile (nearest rank: a value that occurred) and maximum of at least one value."""
    ordered = sorted(values)

    def rank(share: float) -> int:
        return ordered[max(0, math.ceil(share * len(ordered)) - 1)]

    return Spread(rank(0.5), rank(0.99), ordered[-1], len(ordered))


@dataclass
class Model:
    """Feed `take` with the console's items."""

    components: dict[str, Component] = field(default_factory=dict)
    events: deque[Record] = field(default_factory=lambda: deque(maxlen=EVENTS_KEPT))
    history: list[Restart] = field(default_factory=list)  # of all boots
    boot_id: str = ""
    kernel: str = ""
    rfork: str = ""
    boots: int = 0
    supervisor_pid: int = 0
    supervisor_starts: int = 0
    adopted: int = 0
    safe: str = ""  # why the device is in its safe state; "": it is not
    all_ready: bool = False
    all_ready_time: float = 0.0
    _safe_time: float = 0.0  # of the last record about the safe state
    duplicates: int = 0
    given_up: int = 0
    time: float = 0.0
    _boot_number: int | None = None  # of the last record, as the decoder counts
    timeline: Timeline = field(default_factory=lambda: Timeline(SPANS_KEPT))  # of this boot

    def take(self, item: Item) -> None:
        """Bring the model up to date, by a record or by what the device replies of a component."""
        if isinstance(item, Reply):
            self._replied(item)
        if not isinstance(item, Record):
            return
        self.time = item.time
        self.events.append(item)
        if item.event == "boot":
            self.boots += 1
            self.begin_boot(*(item.fields.get(key, "") for key in ("id", "kernel", "rfork")))
        elif self._boot_number is not None and item.boot != self._boot_number:
            self.begin_boot()  # its first record was lost
        self._boot_number = item.boot
        self.timeline.take(item)
        if item.event == "supervisor":
            self._supervisor(item)
        elif item.event in ("safe-state", "all-ready"):
            self._about_device(item)
        elif item.component:
            self._about(item, self.components.setdefault(item.component, Component(item.component)))

    def _about_device(self, record: Record) -> None:
        """Note the safe state, unless a newer record has said otherwise; or that all is ready."""
        if record.event == "all-ready":
            self.all_ready, self.all_ready_time = True, record.time
        elif record.time >= self._safe_time:
            why = record.fields.get("why", "?")
            self.safe = "" if why == "ended by operator" else why
            self._safe_time = record.time

    def settled(self) -> bool:
        """Return whether every component is ready or has ended as intended."""
        states = [component.state for component in self.components.values()]
        return bool(states) and all(state in ("ready", "ended") for state in states)

    def begin_boot(self, boot_id: str = "", kernel: str = "", rfork: str = "") -> None:
        """Forget the boot before; texts are empty where the first record did not come."""
        self._boot_number = None
        self.components.clear()
        self.timeline = Timeline(SPANS_KEPT)
        self.boot_id, self.kernel, self.rfork = boot_id, kernel, rfork
        self.supervisor_pid = self.supervisor_starts = self.adopted = 0
        self.all_ready, self.given_up, self.safe, self._safe_time = False, 0, "", 0.0

    def _supervisor(self, record: Record) -> None:
        self.supervisor_pid = record.number("pid") or 0
        self.supervisor_starts = record.number("start") or self.supervisor_starts + 1
        self.adopted = record.number("adopted") or 0

    def _replied(self, reply: Reply) -> None:
        """A part of a status: how a component is now, whatever the records said or did not say."""
        fields = reply.fields
        known = fields.get("component", "") in self.components
        if reply.result != "part" or "component" not in fields or not (known or "state" in fields):
            return
        component = self.components.setdefault(fields["component"], Component(fields["component"]))
        component.budgets.take("", fields)
        component.since = max(component.since, self.time)
        if "state" not in fields:
            return
        component.state = fields["state"]
        component.runner_alive = component.state in ("starting", "running", "ready", "stopping")
        component.pid = _whole(fields.get("pid"), 0)
        component.generation = _whole(fields.get("generation"), component.generation)
        component.level, component.cause = fields.get("level", ""), fields.get("cause", "")
        component.status = fields.get("status", "")
        counts = dict(word.partition(":")[::2] for word in fields.get("restarts", "").split(","))
        component.restart_count = _whole(counts.get("warm"), component.restart_count)
        component.cold_starts = _whole(counts.get("cold"), component.cold_starts)
        since = seconds(fields.get("since"), self.time)
        component.since = max(component.since, since)
        self.time = max(self.time, since)
        self.timeline.told(component.name, component.state, since, seconds(fields.get("out_ms"), -1e3) / 1e3)

    def forget_states(self) -> None:
        """The console is closed: what the components do meanwhile is not known."""
        for component in self.components.values():
            component.state = "unknown"
            self.timeline.lost_sight(component.name)

    def keep_only(self, names: set[str]) -> None:
        """Forget the components that the device does not have."""
        for name in self.components.keys() - names:
            del self.components[name]

    def take_late(self, record: Record) -> None:
        """Count what a record says that came after newer ones. It decides no component's state."""
        self.events.append(record)
        self.timeline.take_late(record)
        if record.event == "boot":
            self.boot_id, self.kernel, self.rfork = (
                record.fields.get(k, "") for k in ("id", "kernel", "rfork")
            )
        elif record.event == "supervisor" and not self.supervisor_pid:
            self._supervisor(record)
        elif record.event == "given-up":
            self.given_up += 1
        elif record.event in ("safe-state", "all-ready"):
            self._about_device(record)
            return
        if not record.component:
            return
        component = self.components.setdefault(record.component, Component(record.component))
        if record.event == "restart":
            restart = _restart_of(component, record)
            component.restarts.append(restart)
            component.restart_count += 1
            self.history.append(restart)
        elif record.event == "restarts":
            component.restart_count += record.number("count") or 0
        elif record.event in ("cold", "started"):
            component.count_start(record.event)
        elif record.event == "declared":
            needs = record.fields.get("needs", "-")
            component.needs = () if needs == "-" else tuple(needs.split(","))
            left = component.budgets.left
            component.budgets.declare(record.fields.get("budget", ""))
            component.budgets.left = left or component.budgets.left

    def _about(self, record: Record, component: Component) -> None:
        component.budgets.left = component.left(record.time)
        component.budgets.take(record.event, record.fields)
        component.state = STATE_AFTER.get(record.event, component.state)
        component.since = record.time
        match record.event:
            case "declared":
                needs = record.fields.get("needs", "-")
                component.needs = () if needs == "-" else tuple(needs.split(","))
            case "started":
                self._started(record, component)
            case "adopted":
                self._adopted(record, component)
            case "ready":
                component.pid = record.number("pid") or component.pid
                component.downtime_us = record.number("downtime_us") or 0
            case "restart":
                self._restart(record, component)
            case "restarts":
                self._restarts(record, component)
            case "checkpoint" | "poisoned":
                component.checkpointed = record.event == "checkpoint"
            case "end":
                component.runner_alive, component.pid = False, 0
                if record.fields.get("reason") == "exit" and record.fields.get("status") == "exit:0":
                    component.state = "ended"
            case "cold":
                component.count_start("cold")
                component.runner_alive = False
            case "given-up":
                self.given_up += 1

    def _started(self, record: Record, component: Component) -> None:
        if component.runner_alive and record.number("runner") != component.runner:
            self.duplicates += 1  # a second runner began before the first had ended
        component.runner_alive = True
        component.runner = record.number("runner") or 0
        component.pid = record.number("pid") or 0
        component.backend = record.fields.get("backend", "")
        component.generation = 0
        component.checkpointed = False
        component.count_start("started")

    def _adopted(self, record: Record, component: Component) -> None:
        """Its state is as it was: the runner told of it, and the supervisor's death changed nothing."""
        component.runner_alive = True
        component.runner = record.number("runner") or component.runner
        component.pid = record.number("pid") or component.pid
        if component.state in ("waiting", "starting"):
            component.state = "running"

    def _restarts(self, record: Record, component: Component) -> None:
        """Count several restarts from one record, which does not hold each latency."""
        fields = record.fields
        component.generation = record.number("gen") or component.generation
        component.pid = record.number("pid") or component.pid
        component.level, component.cause = fields.get("level", ""), fields.get("cause", "")
        component.status = fields.get("status", "")
        component.downtime_us = record.number("downtime_us") or component.downtime_us
        component.restart_count += record.number("count") or 0
        component.state = "ready" if fields.get("ready") == "1" else "running"

    def _restart(self, record: Record, component: Component) -> None:
        fields = record.fields
        component.generation = record.number("gen") or component.generation + 1
        component.pid = record.number("pid") or 0
        component.level, component.cause = fields.get("level", ""), fields.get("cause", "")
        component.status = fields.get("status", "")
        component.backend = fields.get("backend", component.backend)
        restart = _restart_of(component, record)
        component.restarts.append(restart)
        component.restart_count += 1
        self.history.append(restart)


def _restart_of(component: Component, record: Record) -> Restart:
    fields = record.fields
    return Restart(
        component=component.name,
        generation=record.number("gen") or component.generation,
        level=fields.get("level", ""),
        backend=fields.get("backend", component.backend),
        cause=fields.get("cause", ""),
        status=fields.get("status", ""),
        old=record.number("old") or 0,
        pid=record.number("pid") or 0,
        latency_us=record.number("latency_us") or 0,
        boot=record.boot,
    )


def _whole(text: str | None, fallback: int) -> int:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) <= 18 else fallback


def seconds(text: str | None, fallback: float) -> float:
    """Return a number of a reply, or the fallback for none or an invalid one."""
    try:
        value = float(text or "")
    except ValueError:
        return fallback
    return value if math.isfinite(value) else fallback
