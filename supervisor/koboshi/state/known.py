# SPDX-License-Identifier: MIT
"""What is known of one component, taken over from its runner and kept for the next supervisor."""

from __future__ import annotations

import signal
from abc import ABC, abstractmethod

from koboshi.manifest.model import Component as Spec
from koboshi.state.downtime import Downtime
from koboshi.wire.event import Event

# What is kept in state.json, with the value that a new component begins with; the first ones are in
# status.json too.
SHOWN: dict[str, object] = {
    "state": "waiting",
    "pid": 0,
    "runner": 0,
    "backend": "",
    "generation": 0,
    "level": "cold",
    "cause": None,
    "status": None,
    "latency_us": None,
    "downtime_us": None,
    "since": 0.0,
    "error": None,
    # What it says itself (STATUS= of sd_notify).
    "says": None,
    # The rung of the ladder that its last failure led to.
    "rung": None,
    # What its last crash was: cause, status and, where the kernel told it, the place in the program.
    "fault": None,
}
KEPT: dict[str, object] = {
    **SHOWN,
    "runner_start": 0,
    "pid_start": 0,
    # The last line of output before its last failure.
    "said": None,
    # Number and time of the event that was taken over last.
    "last": 0,
    "last_time": None,
    "warm": 0,
    "cold": 0,
    "streak": 0,
    # Seconds in service since the last step on the ladder.
    "served_s": 0.0,
    # When it was last in service; while it is, or has never been: None.
    "out_since": None,
    # How many faults like the last one there have been in a row.
    "same": 0,
    "deadline": None,
    "reason": None,
    # What is still to be done because one that it needs has restarted: notify or restart.
    "owed": "",
    "after": "",
    "by": "",
    "been_ready": False,
    # Whether it has been ready since its runner was started.
    "served": False,
    # The needs without which it cannot start, as they were recorded; "" while there are none.
    "blocked": "",
}
# How long beyond a component's own time limit its runner may take to end it.
STOP_GRACE_S = 3.0
RUNGS = ("cold", "dependents", "group")
# Restarts for these causes say that something is wrong with the component.
FAULTS = ("error", "signal", "status", "heartbeat", "oom")
# As much of its last words as a line of the console has room for.
_SAID_MOST = 120


class Outbox(ABC):
    """What components want: records written, and then things done; and what they ask."""

    @abstractmethod
    def now(self) -> float:
        """CLOCK_MONOTONIC, seconds."""

    @abstractmethod
    def record(self, event: str, keys: dict[str, object], time: float | None = None) -> None:
        """A record, in the order in which they are given."""

    @abstractmethod
    def spawn(self, component: Known) -> None:
        """Start the component's runner, once this state is committed."""

    @abstractmethod
    def signal(self, pid: int, start: int, number: int) -> None:
        """Signal the process with this PID and start time, once this state is committed."""

    @abstractmethod
    def start_before(self, pid: int, moment: float) -> int:
        """The start time of a process that is there and started before `moment`; 0 for none."""

    @abstractmethod
    def fault_site(self, component: Known, event: Event) -> str:
        """Where the instance crashed, or what else tells this crash from others; else nothing."""

    @abstractmethod
    def was_oom(self, event: Event) -> bool:
        """Whether the OOM killer has ended the instance of this event."""

    @abstractmethod
    def last_line(self, component: Known, event: Event) -> str:
        """The last line of the output of the instance that has ended."""

    @abstractmethod
    def crashed(self, component: Known, event: Event, decision: str) -> None:
        """A fault, which is to be kept as evidence; what follows is `decision`."""

    @abstractmethod
    def others(self, component: Known, rung: str) -> list[str]:
        """Who else is restarted on this rung of the component's ladder."""

    @abstractmethod
    def lacking(self, component: Known) -> list[str]:
        """What it needs and will be ready again without an operator, but is not now."""

    @abstractmethod
    def restart_others(self, names: list[str]) -> None:
        """Stop these, and start them once what they need is ready."""

    @abstractmethod
    def came_back(self, component: Known) -> list[str]:
        """A component is ready again: those that need it may want to know. Return who restarts for it."""

    @abstractmethod
    def last_resort(self, component: Known) -> None:
        """A component that the device is no use without is given up."""


class Known:
    """A component and what is known of it. Every field of KEPT is an attribute."""

    def __init__(
        self, name: str, spec: Spec | None, outbox: Outbox, kept: dict[str, object] | None = None
    ) -> None:
        self.name = name
        self.spec = spec
        self.out = outbox
        values = {**KEPT, **({} if kept is None else kept)}
        self.state = str(values["state"])
        self.pid = _int(values["pid"])
        self.runner = _int(values["runner"])
        self.backend = str(values["backend"])
        self.generation = _int(values["generation"])
        self.level = str(values["level"])
        self.cause = values["cause"]
        self.status = values["status"]
        self.latency_us = values["latency_us"]
        self.downtime_us = values["downtime_us"]
        self.since = _float(values["since"])
        self.error = values["error"]
        self.says = values["says"]
        self.said = values["said"]
        self.rung = values["rung"]
        self.fault = values["fault"]
        self.runner_start = _int(values["runner_start"])
        self.pid_start = _int(values["pid_start"])
        self.last = _int(values["last"])
        self.last_time = None if values["last_time"] is None else _float(values["last_time"])
        self.warm = _int(values["warm"])
        self.cold = _int(values["cold"])
        self.streak = _int(values["streak"])
        self.served_s = _float(values["served_s"])
        self.out_since = None if values["out_since"] is None else _float(values["out_since"])
        self.same = _int(values["same"])
        self.deadline = None if values["deadline"] is None else _float(values["deadline"])
        self.reason = values["reason"]
        self.owed = str(values["owed"])
        self.after = str(values["after"])
        self.by = str(values["by"])
        self.been_ready = bool(values["been_ready"])
        self.served = bool(values["served"])
        self.blocked = str(values["blocked"])
        # Who was restarted for its last restart by the kernel or the monitor; acted on at once, so not kept.
        self.disturbed: list[str] = []
        self.downtime = Downtime(values.get("downtime"))
        used = values.get("used")
        used = used if isinstance(used, dict) else {}
        # How full the leaky bucket of each rung is.
        self.used = {rung: _float(used.get(rung)) for rung in RUNGS}

    def kept(self) -> dict[str, object]:
        """What the next supervisor needs."""
        mine = {key: getattr(self, key) for key in KEPT}
        return {**mine, "used": dict(self.used), "downtime": self.downtime.kept()}

    def shown(self) -> dict[str, object]:
        """What people and web pages see (docs/supervisor.md)."""
        needs = list(self.spec.needs) if self.spec is not None else []
        left = {rung: int(self.left(rung) + 1e-6) for rung in RUNGS}
        return {
            **{key: getattr(self, key) for key in SHOWN},
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

    # What the runner tells

    def note(self, event: Event) -> None:
        """One event of the runner's log: recorded as it is, and taken over."""
        self.last, self.last_time = event.number, event.time
        self.find_cause(event)
        self.record(event.name, dict(event.keys), event.time)
        note = _NOTES.get(event.name)
        if note is not None:
            note(self, event)

    def find_cause(self, event: Event) -> None:
        """Tell an OOM kill, which no control group has counted, from an operator's SIGKILL."""
        killed = event.name in ("restart", "end") and event.keys.get("status") == "signal:SIGKILL"
        if killed and event.keys.get("cause", "signal") == "signal" and self.out.was_oom(event):
            event.keys["cause"] = "oom"

    def note_words(self, event: Event) -> None:
        """What it said last, for the records about what follows."""
        self.said = self.out.last_line(self, event)[-_SAID_MOST:] or None

    def note_started(self, event: Event) -> None:
        """A runner holds the component's lock and runs it: this is the runner, whoever started it."""
        runner = event.integer("runner")
        if runner != self.runner:
            # One of ours that came too late waits for the lock: it must not run the component a second time.
            if self.runner_start:
                self.out.signal(self.runner, self.runner_start, signal.SIGTERM)
            self.runner = runner
            self.runner_start = self.out.start_before(runner, event.time)
        self.generation = 0
        self.backend = event.keys.get("backend", "")
        self.level, self.cause, self.status, self.reason, self.says = "cold", None, None, None, None
        self.latency_us = self.downtime_us = None
        self.error = None
        self.note_pid(event)

    def note_pid(self, event: Event) -> None:
        """The instance that runs now."""
        self.pid = event.integer("pid")
        self.pid_start = self.out.start_before(self.pid, event.time)

    def note_ready(self, event: Event) -> None:
        """Ready, after this long without service."""
        others = self.out.came_back(self) if self.been_ready else []
        # A new runner's start has been counted already, and an operator's wish is not.
        self.disturbed = others if self.generation and self.cause != "operator" else []
        self.downtime.end(event.time, *(self.downtime_budget() or (0.0, 1.0)))
        self.been_ready = self.served = True
        if self.generation:
            self.downtime_us = event.integer("downtime_us")
        if event.integer("pid") != self.pid:
            # The event that named this instance is lost.
            self.generation = event.integer("gen")
            self.note_pid(event)

    def note_restart(self, event: Event) -> None:
        """Restarted by the kernel or by the monitor."""
        self.generation = event.integer("gen")
        self.level = event.keys.get("level", "")
        self.backend = event.keys.get("backend", self.backend)
        self.cause, self.status = event.keys.get("cause"), event.keys.get("status")
        self.latency_us, self.downtime_us = event.integer("latency_us"), None
        if self.level == "warm":
            self.warm += 1
        else:
            self.cold += 1
        if self.cause in FAULTS:
            self.note_fault(event)
        if self.cause != "operator" and self.been_ready:
            self.downtime.begin((event.integer("fail_us") - event.integer("detect_us")) / 1e6)
        self.note_pid(event)

    def note_fault(self, event: Event) -> None:
        """Whether this fault is the last one again, with no good run in between."""
        self.note_words(event)
        site = self.out.fault_site(self, event)
        fault = " ".join(word for word in (str(self.cause), str(self.status), site) if word)
        ran = event.time - self.since if self.state == "ready" else 0.0
        good = self.spec is None or ran >= self.spec.number("ladder.good_run_s")
        self.same = self.same + 1 if fault == self.fault and not good else 1
        self.fault = fault
        self.out.crashed(self, event, self.level)

    def note_status(self, event: Event) -> None:
        """Its own words."""
        self.says = event.keys.get("text")

    def note_extend(self, event: Event) -> None:
        """It wants longer to stop, and rfork-run has granted it."""
        if self.state == "stopping" and self.deadline is not None:
            self.deadline = self.out.now() + event.integer("ms") / 1000 + STOP_GRACE_S

    def note_end(self, event: Event) -> None:
        """The runner is about to end."""
        self.reason, self.status = event.keys.get("reason"), event.keys.get("status")
        if self.reason == "exec":
            self.error, self.said = event.keys.get("error"), None
        elif self.reason != "stop" and not self.ended_well:
            self.note_words(event)
            self.cause = event.keys.get("cause", self.cause)
            self.out.crashed(self, event, "ladder")
        if self.been_ready and event.integer("detect_us"):
            self.downtime.begin(event.time - event.integer("detect_us") / 1e6)
        self.pid = self.pid_start = 0

    @property
    def ended_well(self) -> bool:
        """Whether the component has ended by itself and with status 0.

        rfork-run says `exit` of every end that its `--on` does not restart after, a crash included.
        """
        return self.reason == "exit" and self.status == "exit:0"


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


def _float(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0


_NOTES = {
    "started": Known.note_started,
    "ready": Known.note_ready,
    "restart": Known.note_restart,
    "end": Known.note_end,
    "status": Known.note_status,
    "extend": Known.note_extend,
}
