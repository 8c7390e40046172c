# SPDX-License-Identifier: MIT
"""One component: its states, and what each event does in each of them.

A component decides; it makes no system call. What it wants done goes to its `Outbox`: records, and actions
that are carried out after the new state has been committed.
"""

from __future__ import annotations

import signal

from koboshi.events import Event
from koboshi.manifest import Component as Spec

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
}
KEPT: dict[str, object] = {
    **SHOWN,
    "runner_start": 0,
    "pid_start": 0,
    "last": 0,
    "warm": 0,
    "cold": 0,
    "cold_times": [],
    "streak": 0,
    "deadline": None,
    "reason": None,
    "after": "",
    "by": "",
    "been_ready": False,
    # Whether it has been ready since its runner was started.
    "served": False,
    # The needs without which it cannot start, as they were recorded; "" while there are none.
    "blocked": "",
}

LIVE = ("starting", "running", "ready", "stopping")
AT_REST = ("stopped", "ended", "given-up")
# How long beyond a component's own time limit its runner may take to end it.
STOP_GRACE_S = 3.0
# An instance that outlived its runner is looked at again this soon; it has been sent SIGKILL.
ORPHAN_S = 0.05


class Outbox:
    """What components want: records written, and then things done."""

    def now(self) -> float:
        """CLOCK_MONOTONIC, seconds."""
        raise NotImplementedError

    def record(self, event: str, keys: dict[str, object], time: float | None = None) -> None:
        """A record, in the order in which they are given."""
        raise NotImplementedError

    def spawn(self, component: Component) -> None:
        """Start the component's runner, once this state is committed."""
        raise NotImplementedError

    def signal(self, pid: int, start: int, number: int) -> None:
        """Signal the process with this PID and start time, once this state is committed."""
        raise NotImplementedError

    def start_before(self, pid: int, moment: float) -> int:
        """The start time of a process that is there and started before `moment`; 0 for none."""
        raise NotImplementedError


class Component:
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
        self.runner_start = _int(values["runner_start"])
        self.pid_start = _int(values["pid_start"])
        self.last = _int(values["last"])
        self.warm = _int(values["warm"])
        self.cold = _int(values["cold"])
        times = values["cold_times"]
        self.cold_times = [_float(time) for time in times] if isinstance(times, list) else []
        self.streak = _int(values["streak"])
        self.deadline = None if values["deadline"] is None else _float(values["deadline"])
        self.reason = values["reason"]
        self.after = str(values["after"])
        self.by = str(values["by"])
        self.been_ready = bool(values["been_ready"])
        self.served = bool(values["served"])
        self.blocked = str(values["blocked"])

    def kept(self) -> dict[str, object]:
        """What the next supervisor needs."""
        return {key: getattr(self, key) for key in KEPT}

    def shown(self) -> dict[str, object]:
        """What people and web pages see (docs/supervisor.md)."""
        needs = list(self.spec.needs) if self.spec is not None else []
        return {
            **{key: getattr(self, key) for key in SHOWN},
            "restarts": {"warm": self.warm, "cold": self.cold},
            "needs": needs,
            "cold_attempts": len(self.cold_times),
        }

    @property
    def satisfies(self) -> bool:
        """Whether components that need this one may start: it is ready, or has done its work and ended."""
        return self.state in ("ready", "ended")

    def enter(self, state: str, deadline: float | None = None) -> None:
        """Every change of state goes through here."""
        if state != self.state:
            self.since = self.out.now()
        self.state = state
        self.deadline = deadline

    def record(self, event: str, keys: dict[str, object] | None = None, time: float | None = None) -> None:
        """A record about this component."""
        self.out.record(event, {"component": self.name, **(keys or {})}, time)

    def handle(self, event: str) -> None:
        """What `event` does in the present state; nothing, where the table has no entry."""
        action = TABLE[self.state].get(event)
        if action is not None:
            action(self)

    # What the runner tells

    def take(self, event: Event) -> None:
        """One event of the runner's log: recorded as it is, taken over, and acted on."""
        self.last = event.number
        self.record(event.name, dict(event.keys), event.time)
        note = _NOTES.get(event.name)
        if note is not None:
            note(self, event)
        self.handle(event.name)

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
        self.level, self.cause, self.status, self.reason = "cold", None, None, None
        self.latency_us = self.downtime_us = None
        self.error = None
        self.note_pid(event)

    def note_pid(self, event: Event) -> None:
        """The instance that runs now."""
        self.pid = event.integer("pid")
        self.pid_start = self.out.start_before(self.pid, event.time)

    def note_ready(self, event: Event) -> None:
        """Ready, after this long without service."""
        self.been_ready = self.served = True
        if self.generation:
            self.downtime_us = event.integer("downtime_us")

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
        self.note_pid(event)

    def note_end(self, event: Event) -> None:
        """The runner is about to end."""
        self.reason, self.status = event.keys.get("reason"), event.keys.get("status")
        self.pid = self.pid_start = 0

    def became_running(self) -> None:
        """An instance runs and is not ready yet."""
        self.enter("running")

    def became_ready(self) -> None:
        """What needs it may start."""
        self.enter("ready")

    # Starting

    def launch(self) -> None:
        """Start a runner: what it needs is ready, or its delay is over."""
        if self.pid_start and self.out.start_before(self.pid, self.out.now()) == self.pid_start:
            # Exactly one copy: the instance outlived its runner. The next one starts when it is gone.
            self.out.signal(self.pid, self.pid_start, signal.SIGKILL)
            self.deadline = self.out.now() + ORPHAN_S
            return
        self.pid = self.pid_start = 0
        self.reason = None
        self.served = False
        self.forget_runner()
        self.enter("starting")
        self.record("starting")
        self.out.spawn(self)

    def note_blocked(self, needs: list[str]) -> None:
        """It waits for components that will not come; recorded once for as long as it is so."""
        if needs and not self.blocked:
            self.record("blocked", {"needs": ",".join(needs)})
        self.blocked = ",".join(needs)

    def wait(self) -> None:
        """An operator's start: as if it had never failed."""
        self.cold_times, self.streak, self.by, self.after = [], 0, "", ""
        self.error = None
        self.enter("waiting")

    def forget_runner(self) -> None:
        """There is none."""
        self.runner = self.runner_start = 0

    # Ends

    @property
    def ended_well(self) -> bool:
        """Whether the component has ended by itself and with status 0.

        rfork-run says `exit` of every end that its `--on` does not restart after, a crash included.
        """
        return self.reason == "exit" and self.status == "exit:0"

    def runner_gone(self) -> None:
        """The runner has ended, and all that it wrote has been taken over."""
        self.forget_runner()
        if self.ended_well:
            self.enter("ended")
        else:
            self.cold_start()

    def cold_start(self) -> None:
        """Start anew after a delay that grows, or give up."""
        now = self.out.now()
        attempts, window, delay, longest = self.cold_policy()
        why: dict[str, object] = {} if self.error is None else {"error": self.error}
        if self.served:
            # An attempt that came to nothing does not age: a long ready_timeout_s would make the limit moot.
            if not self.cold_times or now - self.cold_times[-1] > window:
                self.streak = 0
            self.cold_times = [time for time in self.cold_times if now - time <= window]
        if len(self.cold_times) >= attempts:
            self.enter("given-up")
            self.record("given-up", {"attempts": len(self.cold_times), **why})
            return
        wait = min(delay * 2 ** min(self.streak, 30), longest)
        self.cold_times.append(now)
        self.streak += 1
        self.cold += 1
        self.enter("restarting", now + wait)
        self.record("cold", {"delay_ms": round(wait * 1000), "attempt": len(self.cold_times), **why})

    def cold_policy(self) -> tuple[int, float, float, float]:
        """Attempts, window, first and longest delay; without a manifest nothing can be started."""
        if self.spec is None:
            return 0, 1.0, 0.0, 0.0
        values = (
            self.spec.number(f"cold.{key}") for key in ("attempts", "window_s", "delay_s", "delay_max_s")
        )
        attempts, window, delay, longest = values
        return int(attempts), window, delay, longest

    # Operators, reload, shutdown: `by` and `after` have been set

    def halt(self) -> None:
        """Stop the runner, which stops the component."""
        limit = self.spec.number("stop_timeout_s") if self.spec is not None else 5.0
        self.enter("stopping", self.out.now() + limit + STOP_GRACE_S)
        self.record("stopping", {"by": self.by})
        self.out.signal(self.runner, self.runner_start, signal.SIGTERM)

    def halt_late(self) -> None:
        """A runner that does not stop is killed, and with it the component."""
        self.out.signal(self.pid, self.pid_start, signal.SIGKILL)
        self.out.signal(self.runner, self.runner_start, signal.SIGKILL)
        self.deadline = self.out.now() + STOP_GRACE_S

    def halt_stray(self) -> None:
        """A runner that waited for the lock has come through after all: nobody wants it."""
        self.by = self.by or "operator"
        self.halt()

    def halt_again(self) -> None:
        """Another runner has the lock than the one that was told to stop."""
        self.out.signal(self.runner, self.runner_start, signal.SIGTERM)

    def start_after(self) -> None:
        """An operator wants it back while it is being stopped."""
        if self.after != "remove":
            self.after = "start"

    def no_start_after(self) -> None:
        """An operator's stop while it is being stopped for another reason."""
        if self.after != "remove":
            self.after = ""

    def halted(self) -> None:
        """Stopped; and then what `after` says."""
        if self.pid_start and self.out.start_before(self.pid, self.out.now()) == self.pid_start:
            self.out.signal(self.pid, self.pid_start, signal.SIGKILL)
        self.forget_runner()
        self.rest()

    def rest(self) -> None:
        """At rest, from a state without a runner."""
        self.record("stopped", {"by": self.by})
        after, by = self.after, self.by
        self.enter("stopped")
        if after == "start":
            self.wait()
        elif after == "remove":
            self.by, self.after = by, "removed"

    def kick(self) -> None:
        """An operator's restart of what runs: not counted."""
        self.out.signal(self.runner, self.runner_start, signal.SIGUSR1)


def _int(value: object) -> int:
    return value if isinstance(value, int) else 0


def _float(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0


_NOTES = {
    "started": Component.note_started,
    "ready": Component.note_ready,
    "restart": Component.note_restart,
    "end": Component.note_end,
}

# state -> event -> what to do. `go`: what it needs is ready; `gone`: its runner has ended; `timer`: its
# deadline has passed.
_RUNS = {"gone": Component.runner_gone, "stop": Component.halt, "started": Component.became_running}
_NOT_WANTED = {"started": Component.halt_stray, "start": Component.wait, "restart-now": Component.wait}
TABLE = {
    "waiting": {
        "go": Component.launch,
        "timer": Component.launch,
        "stop": Component.rest,
        "started": Component.became_running,
    },
    # No SIGUSR1 here: the runner may not have a handler yet, and would die of it.
    "starting": _RUNS,
    "running": {**_RUNS, "ready": Component.became_ready, "restart-now": Component.kick},
    "ready": {**_RUNS, "restart": Component.became_running, "restart-now": Component.kick},
    "restarting": {
        "timer": Component.launch,
        "start": Component.wait,
        "restart-now": Component.wait,
        "stop": Component.rest,
        "started": Component.became_running,
    },
    "stopping": {
        "gone": Component.halted,
        "timer": Component.halt_late,
        "started": Component.halt_again,
        "start": Component.start_after,
        "restart-now": Component.start_after,
        "stop": Component.no_start_after,
    },
    "stopped": _NOT_WANTED,
    "ended": {**_NOT_WANTED, "stop": Component.rest},
    "given-up": {**_NOT_WANTED, "stop": Component.rest},
}
