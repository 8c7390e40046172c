# SPDX-License-Identifier: MIT
"""The record of one component. It writes itself to state.json, and reads itself back.

told.py takes over what the runner reports; transitions.py and ladder.py decide what happens next.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from koboshi.manifest.model import Component as Spec
from koboshi.state.downtime import Downtime
from koboshi.wire.event import Event

RUNGS = ("cold", "dependents", "group")
# Time that a runner may take beyond the component's own stop timeout.
STOP_GRACE_S = 3.0


class Outbox(ABC):
    """The interface to the rest of the supervisor: records, actions after the commit, and questions."""

    @abstractmethod
    def now(self) -> float:
        """CLOCK_MONOTONIC, seconds."""

    @abstractmethod
    def record(self, event: str, keys: dict[str, object], time: float | None = None) -> None:
        """Write a record with the next commit; the order of calls is kept."""

    @abstractmethod
    def spawn(self, component: Component) -> None:
        """Start the component's runner after the commit."""

    @abstractmethod
    def signal(self, pid: int, start: int, number: int) -> None:
        """Signal the process with this PID and start time after the commit."""

    @abstractmethod
    def start_before(self, pid: int, moment: float) -> int:
        """Return the start time of the process if it exists and started before `moment`, else 0."""

    @abstractmethod
    def fault_site(self, component: Component, event: Event) -> str:
        """Return where the instance crashed, or another mark that identifies the crash, or ""."""

    @abstractmethod
    def was_oom(self, event: Event) -> bool:
        """Return whether the OOM killer has killed the instance of this event."""

    @abstractmethod
    def last_line(self, component: Component, event: Event) -> str:
        """Return the last line of the output of the instance that has ended."""

    @abstractmethod
    def crashed(self, component: Component, event: Event, decision: str) -> None:
        """Store a crash record for this fault. `decision` is what the supervisor did about it."""

    @abstractmethod
    def others(self, component: Component, rung: str) -> list[str]:
        """Return the other components that this rung of the ladder restarts."""

    @abstractmethod
    def lacking(self, component: Component) -> list[str]:
        """Return the needed components that are not ready now, but will be without an operator's help."""

    @abstractmethod
    def restart_others(self, names: list[str]) -> None:
        """Stop these components, and start them when their needs are ready."""

    @abstractmethod
    def came_back(self, component: Component) -> list[str]:
        """Notify or restart the dependents of a component that is ready again; return the restarted ones."""

    @abstractmethod
    def last_resort(self, component: Component) -> None:
        """Handle the loss of a vital component."""


class Component:
    """One component. Its methods make no system calls: records and actions go to `out`."""

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
        """`kept` is what an earlier supervisor wrote; a missing field gets the value of a new component."""
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
        self.rung = get("rung")  # the rung to which its last failure led
        self.fault = get("fault")  # its last crash: cause, status and, if known, the place
        self.runner_start = _int(get("runner_start"))
        self.pid_start = _int(get("pid_start"))
        self.said = get("said")  # the last line of output before its last failure
        # Number and time of the last processed event.
        self.last = _int(get("last"))
        self.last_time = _time(get("last_time"))
        self.warm = _int(get("warm"))
        self.cold = _int(get("cold"))
        self.streak = _int(get("streak"))  # cold starts since the last good run
        self.served_s = _float(get("served_s"))  # in service since the last step on the ladder
        self.out_since = _time(get("out_since"))  # out of service; None: in service, or never been
        self.same = _int(get("same"))  # how often the last fault came in a row
        self.deadline = _time(get("deadline"))
        self.reason = get("reason")
        self.owed = _str(get("owed"))  # pending action, because a need has restarted: notify or restart
        self.after = _str(get("after"))  # what follows the stop under way
        self.again = bool(get("again", False))  # its next start is a cold restart
        self.by = _str(get("by"))  # who ordered the stop under way
        self.been_ready = bool(get("been_ready", False))
        self.served = bool(get("served", False))  # ready since its runner was started
        self.blocked = _str(get("blocked"))  # needs that are given up, as recorded
        used = get("used")
        used = used if isinstance(used, dict) else {}
        self.used = {rung: _float(used.get(rung)) for rung in RUNGS}  # how full each leaky bucket is
        self.downtime = Downtime(get("downtime"))
        # Of the events since the last `judge`: whether one was a fault, and which dependents were restarted.
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
        """Return the fields that status.json has unchanged."""
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
        """Return the component's part of status.json (docs/supervisor.md)."""
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
        """Return the allowed seconds out of service and the window in seconds; None without a budget."""
        if self.spec is None or self.spec.values["downtime.budget_s"] is None:
            return None
        return self.spec.number("downtime.budget_s"), self.spec.number("downtime.window_s")

    def downtime_shown(self) -> dict[str, object] | None:
        """Return how much of the downtime budget is used, as in records; None without a budget."""
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
        """Write a record once the downtime budget is exceeded."""
        declared, since = self.downtime_budget(), self.downtime.since
        now = self.out.now()
        if declared is not None and self.downtime.newly_exceeded(now, *declared):
            out = 0 if since is None else round((now - since) * 1000)
            shown = self.downtime_shown() or {}
            told = {key: shown[key] for key in ("used_ms", "budget_ms", "window_s")}
            self.record("downtime", {"out_ms": out, **told})

    def downtime_deadline(self) -> float | None:
        """Return when the downtime budget will be exceeded if nothing changes."""
        declared = self.downtime_budget()
        return None if declared is None else self.downtime.deadline(*declared)

    def budget(self, rung: str) -> tuple[float, float]:
        """Return the number of steps on a rung, and the seconds of service in which that many come back."""
        return (0.0, 1.0) if self.spec is None else budget(self.spec, rung)

    def left(self, rung: str) -> float:
        """Return the number of steps that are left on a rung."""
        return max(0.0, self.budget(rung)[0] - self.used[rung])

    def told_left(self) -> dict[str, object]:
        """Return the steps left on all rungs, for a record."""
        return {"left": ",".join(f"{rung}:{round(self.left(rung), 2):g}" for rung in RUNGS)}

    @property
    def satisfies(self) -> bool:
        """Return whether dependents may start: the component is ready, or it has ended with status 0."""
        return self.state in ("ready", "ended")

    @property
    def vital(self) -> bool:
        """Return whether the component is essential for the device."""
        return self.spec is not None and self.spec.values["vital"] is True

    @property
    def ended_well(self) -> bool:
        """Return whether the component has ended by itself with status 0.

        rfork-run reports `exit` for every end after which `--on` does not restart, even for a crash.
        """
        return self.reason == "exit" and self.status == "exit:0"

    def enter(self, state: str, deadline: float | None = None) -> None:
        """Change the state, and note since when."""
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
        """Add the time in service since the last call."""
        if self.state == "ready":
            self.served_s += max(0.0, now - self.since)
            self.since = now

    def record(self, event: str, keys: dict[str, object] | None = None, time: float | None = None) -> None:
        """Write a record about this component."""
        self.out.record(event, {"component": self.name, **(keys or {})}, time)


def budget(spec: Spec, rung: str) -> tuple[float, float]:
    """Return the number of steps on a rung, and the seconds of service in which that many come back."""
    if rung == "cold":
        return spec.number("cold.attempts"), spec.number("cold.window_s")
    return spec.number(f"ladder.{rung}"), spec.number("ladder.window_s")


def told_budget(spec: Spec) -> str:
    """Return the budgets of all rungs, for a record."""
    return ",".join("{}:{:g}/{:g}".format(rung, *budget(spec, rung)) for rung in RUNGS)


def _int(value: object) -> int:
    return value if isinstance(value, int) else 0


def _str(value: object) -> str:
    return "" if value is None else str(value)


def _time(value: object) -> float | None:
    return None if value is None else _float(value)


def _float(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0
