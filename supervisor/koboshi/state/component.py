# SPDX-License-Identifier: MIT
"""The record of one component: what is known of it. It writes itself to state.json, and reads itself back.

What a runner tells changes it in told.py, what happens next is decided in transitions.py and ladder.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from koboshi.manifest.model import Component as Spec
from koboshi.state.downtime import Downtime
from koboshi.wire.event import Event

RUNGS = ("cold", "dependents", "group")
# How long beyond a component's own time limit its runner may take to end it.
STOP_GRACE_S = 3.0


class Outbox(ABC):
    """What components want: records written, and then things done; and what they ask."""

    @abstractmethod
    def now(self) -> float:
        """CLOCK_MONOTONIC, seconds."""

    @abstractmethod
    def record(self, event: str, keys: dict[str, object], time: float | None = None) -> None:
        """A record, in the order in which they are given."""

    @abstractmethod
    def spawn(self, component: Component) -> None:
        """Start the component's runner, once this state is committed."""

    @abstractmethod
    def signal(self, pid: int, start: int, number: int) -> None:
        """Signal the process with this PID and start time, once this state is committed."""

    @abstractmethod
    def start_before(self, pid: int, moment: float) -> int:
        """The start time of a process that is there and started before `moment`; 0 for none."""

    @abstractmethod
    def fault_site(self, component: Component, event: Event) -> str:
        """Where the instance crashed, or what else tells this crash from others; else nothing."""

    @abstractmethod
    def was_oom(self, event: Event) -> bool:
        """Whether the OOM killer has ended the instance of this event."""

    @abstractmethod
    def last_line(self, component: Component, event: Event) -> str:
        """The last line of the output of the instance that has ended."""

    @abstractmethod
    def crashed(self, component: Component, event: Event, decision: str) -> None:
        """A fault, which is to be kept as evidence; what follows is `decision`."""

    @abstractmethod
    def others(self, component: Component, rung: str) -> list[str]:
        """Who else is restarted on this rung of the component's ladder."""

    @abstractmethod
    def lacking(self, component: Component) -> list[str]:
        """What it needs and will be ready again without an operator, but is not now."""

    @abstractmethod
    def restart_others(self, names: list[str]) -> None:
        """Stop these, and start them once what they need is ready."""

    @abstractmethod
    def came_back(self, component: Component) -> list[str]:
        """A component is ready again: those that need it may want to know. Return who restarts for it."""

    @abstractmethod
    def last_resort(self, component: Component) -> None:
        """A component that the device is no use without is given up."""


class Component:
    """One component. No method makes a system call; `out` is for what is to be recorded and done."""

    __slots__ = (
        "after",
        "again",
        "backend",
        "been_ready",
        "blocked",
        "by",
        "cause",
        "cold",
        "deadline",
        "disturbed",
        "downtime",
        "downtime_us",
        "error",
        "fault",
        "faulty",
        "generation",
        "last",
        "last_time",
        "latency_us",
        "level",
        "name",
        "out",
        "out_since",
        "owed",
        "pid",
        "pid_start",
        "reason",
        "rung",
        "runner",
        "runner_start",
        "said",
        "same",
        "says",
        "served",
        "served_s",
        "since",
        "spec",
        "state",
        "status",
        "streak",
        "used",
        "warm",
    )

    def __init__(
        self, name: str, spec: Spec | None, outbox: Outbox, kept: dict[str, object] | None = None
    ) -> None:
        """`kept`: what `kept` gave an earlier supervisor; what is missing there is as in a new component."""
        get = (kept or {}).get
        self.name = name
        self.spec = spec
        self.out = outbox
        self.state = str(get("state", "waiting"))
        self.pid = _int(get("pid"))
        self.runner = _int(get("runner"))
        self.backend = _str(get("backend"))
        self.generation = _int(get("generation"))
        self.level = str(get("level", "cold"))
        self.cause = get("cause")
        self.status = get("status")
        self.latency_us = get("latency_us")
        self.downtime_us = get("downtime_us")
        self.since = _float(get("since"))
        self.error = get("error")
        self.says = get("says")  # STATUS= of sd_notify
        self.rung = get("rung")  # of the ladder, to which its last failure led
        self.fault = get("fault")  # its last crash: cause, status and, if the kernel told it, the place
        self.runner_start = _int(get("runner_start"))
        self.pid_start = _int(get("pid_start"))
        self.said = get("said")  # the last line of output before its last failure
        # Number and time of the event that was taken over last.
        self.last = _int(get("last"))
        self.last_time = _time(get("last_time"))
        self.warm = _int(get("warm"))
        self.cold = _int(get("cold"))
        self.streak = _int(get("streak"))  # cold starts since the last good run
        self.served_s = _float(get("served_s"))  # in service since the last step on the ladder
        self.out_since = _time(get("out_since"))  # out of service; None: in service, or never been
        self.same = _int(get("same"))  # faults like the last one in a row
        self.deadline = _time(get("deadline"))
        self.reason = get("reason")
        self.owed = _str(get("owed"))  # because one that it needs has restarted: notify or restart
        self.after = _str(get("after"))  # what follows a stop
        self.again = bool(get("again", False))  # its next start is a cold restart
        self.by = _str(get("by"))  # who wants the stop
        self.been_ready = bool(get("been_ready", False))
        self.served = bool(get("served", False))  # ready since its runner was started
        self.blocked = _str(get("blocked"))  # needs without which it cannot start, as recorded
        used = get("used")
        used = used if isinstance(used, dict) else {}
        self.used = {rung: _float(used.get(rung)) for rung in RUNGS}  # how full each leaky bucket is
        self.downtime = Downtime(get("downtime"))
        # Whether one of the events that are being taken over was a fault, and who was restarted for one.
        self.faulty = False
        self.disturbed: list[str] = []

    def kept(self) -> dict[str, object]:
        """Return what the next supervisor needs."""
        return {
            **self._told(),
            "runner_start": self.runner_start,
            "pid_start": self.pid_start,
            "said": self.said,
            "last": self.last,
            "last_time": self.last_time,
            "warm": self.warm,
            "cold": self.cold,
            "streak": self.streak,
            "served_s": self.served_s,
            "out_since": self.out_since,
            "same": self.same,
            "deadline": self.deadline,
            "reason": self.reason,
            "owed": self.owed,
            "after": self.after,
            "again": self.again,
            "by": self.by,
            "been_ready": self.been_ready,
            "served": self.served,
            "blocked": self.blocked,
            "used": dict(self.used),
            "downtime": self.downtime.kept(),
        }

    def _told(self) -> dict[str, object]:
        """What status.json has as it is."""
        return {
            "state": self.state,
            "pid": self.pid,
            "runner": self.runner,
            "backend": self.backend,
            "generation": self.generation,
            "level": self.level,
            "cause": self.cause,
            "status": self.status,
            "latency_us": self.latency_us,
            "downtime_us": self.downtime_us,
            "since": self.since,
            "error": self.error,
            "says": self.says,
            "rung": self.rung,
            "fault": self.fault,
        }

    def shown(self) -> dict[str, object]:
        """Return what people and web pages see (docs/supervisor.md)."""
        needs = list(self.spec.needs) if self.spec is not None else []
        left = {rung: int(self.left(rung) + 1e-6) for rung in RUNGS}
        return {
            **self._told(),
            "restarts": {"warm": self.warm, "cold": self.cold},
            "needs": needs,
            "cold_attempts": -int(-self.used["cold"] // 1),
            "left": left,
            "out_ms": round(self.downtime.total * 1000),
            "downtime": self.downtime_shown(),
        }

    def downtime_budget(self) -> tuple[float, float] | None:
        """Seconds out of service in so many seconds; None where the manifest declares nothing."""
        if self.spec is None or self.spec.values["downtime.budget_s"] is None:
            return None
        return self.spec.number("downtime.budget_s"), self.spec.number("downtime.window_s")

    def downtime_shown(self) -> dict[str, object] | None:
        """What is used of the budget, as in records; None where there is none."""
        declared = self.downtime_budget()
        if declared is None:
            return None
        used = self.downtime.used(self.out.now(), *declared)
        budget, window = declared
        return {
            "used_ms": round(used * 1000),
            "budget_ms": round(budget * 1000),
            "window_s": round(window),
            "exceeded": self.downtime.told_at is not None,
        }

    def judge_downtime(self) -> None:
        """A record once the budget is exceeded."""
        declared, since = self.downtime_budget(), self.downtime.since
        now = self.out.now()
        if declared is not None and self.downtime.newly_exceeded(now, *declared):
            out = 0 if since is None else round((now - since) * 1000)
            shown = self.downtime_shown() or {}
            told = {key: shown[key] for key in ("used_ms", "budget_ms", "window_s")}
            self.record("downtime", {"out_ms": out, **told})

    def downtime_deadline(self) -> float | None:
        """When the budget will be exceeded, if nothing changes."""
        declared = self.downtime_budget()
        return None if declared is None else self.downtime.deadline(*declared)

    def budget(self, rung: str) -> tuple[float, float]:
        """How many steps on a rung there may be, and in how many seconds of service they come back."""
        return (0.0, 1.0) if self.spec is None else budget(self.spec, rung)

    def left(self, rung: str) -> float:
        """How many of them there still may be."""
        return max(0.0, self.budget(rung)[0] - self.used[rung])

    def told_left(self) -> dict[str, object]:
        """The same of all rungs, for a record."""
        return {"left": ",".join(f"{rung}:{round(self.left(rung), 2):g}" for rung in RUNGS)}

    @property
    def satisfies(self) -> bool:
        """Whether components that need this one may start: it is ready, or has done its work and ended."""
        return self.state in ("ready", "ended")

    @property
    def vital(self) -> bool:
        """Whether the device is no use without it."""
        return self.spec is not None and self.spec.values["vital"] is True

    @property
    def ended_well(self) -> bool:
        """Whether the component has ended by itself and with status 0.

        rfork-run says `exit` of every end that its `--on` does not restart after, a crash included.
        """
        return self.reason == "exit" and self.status == "exit:0"

    def enter(self, state: str, deadline: float | None = None) -> None:
        """Every change of state goes through here."""
        now = self.out.now()
        if self.state == "ready" and state != "ready":
            self.count_service(now)
            self.out_since = now
        if state in ("ready", "stopped", "ended"):
            self.out_since = None
        elif self.out_since is None:
            self.out_since = now
        if state != self.state:
            self.since = now
        self.state = state
        self.deadline = deadline

    def count_service(self, now: float) -> None:
        """Add the time in service until now, once."""
        if self.state == "ready":
            self.served_s += max(0.0, now - self.since)
            self.since = now

    def record(self, event: str, keys: dict[str, object] | None = None, time: float | None = None) -> None:
        """A record about this component."""
        self.out.record(event, {"component": self.name, **(keys or {})}, time)


def budget(spec: Spec, rung: str) -> tuple[float, float]:
    """How many steps on a rung a manifest allows, and in how many seconds of service they come back."""
    if rung == "cold":
        return spec.number("cold.attempts"), spec.number("cold.window_s")
    return spec.number(f"ladder.{rung}"), spec.number("ladder.window_s")


def told_budget(spec: Spec) -> str:
    """That of all rungs, for a record."""
    return ",".join("{}:{:g}/{:g}".format(rung, *budget(spec, rung)) for rung in RUNGS)


def _int(value: object) -> int:
    return value if isinstance(value, int) else 0


def _str(value: object) -> str:
    return "" if value is None else str(value)


def _time(value: object) -> float | None:
    return None if value is None else _float(value)


def _float(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0
