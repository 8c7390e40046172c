# SPDX-License-Identifier: MIT
"""One component: its states, and what each event does in each of them (the table is at the end).

A component decides; it makes no system call. What it wants done goes to its `Outbox`: records, and actions
that are carried out after the new state has been committed.
"""

from __future__ import annotations

import signal
from collections.abc import Callable

from koboshi.state.known import RUNGS, STOP_GRACE_S, Known, Outbox
from koboshi.wire.event import Event

__all__ = ["AT_REST", "EVENTS", "LIVE", "STATES", "TABLE", "Component", "Outbox"]

STATES = (
    "waiting",
    "starting",
    "running",
    "ready",
    "restarting",
    "stopping",
    "stopped",
    "ended",
    "given-up",
)
LIVE = ("starting", "running", "ready", "stopping")
AT_REST = ("stopped", "ended", "given-up")
# An instance that outlived its runner is looked at again this soon; it has been sent SIGKILL.
ORPHAN_S = 0.05


class Component(Known):
    """What is known of a component, and what is done about it."""

    def handle(self, event: str) -> None:
        """What `event` does in the present state; nothing, where the table has no entry."""
        cell = TABLE[self.state].get(event)
        if cell is not None:
            cell[0](self)

    def take(self, event: Event) -> None:
        """One event of the runner's log: taken over, and acted on."""
        self.note(event)
        self.handle(event.name)
        limit = 0.0 if self.spec is None else self.spec.number("ladder.same_fault")
        if event.name == "restart" and 0 < limit <= self.same:
            self.handle("same-fault")
        elif event.name == "ready" and self.disturbed and self.state == "ready":
            self.count_disturbed()

    def became_running(self) -> None:
        """An instance runs and is not ready yet."""
        self.enter("running")

    def became_ready(self) -> None:
        """What needs it may start."""
        self.enter("ready")

    # Starting

    def launch(self) -> None:
        """Start a runner; an instance that outlived the last one is killed first."""
        if self.pid_start and self.out.start_before(self.pid, self.out.now()) == self.pid_start:
            # Exactly one copy: the next one starts when it is gone.
            self.out.signal(self.pid, self.pid_start, signal.SIGKILL)
            self.deadline = self.out.now() + ORPHAN_S
            return
        self.pid = self.pid_start = 0
        self.reason = None
        self.served = False
        self.forget_runner()
        self.enter("starting")
        self.record("starting", self.told_left())
        self.out.spawn(self)

    def note_blocked(self, needs: list[str]) -> None:
        """It waits for components that will not come; recorded once for as long as it is so.

        A vital one that has been in service is given up: the device has lost what it is no use without.
        """
        if needs and not self.blocked:
            self.record("blocked", {"needs": ",".join(needs)})
        self.blocked = ",".join(needs)
        if needs and self.vital and self.been_ready:
            self.give_up()

    def wait(self) -> None:
        """Start as if it had never failed, once what it needs is ready."""
        self.downtime.cancel()
        self.used = dict.fromkeys(RUNGS, 0.0)
        self.served_s = 0.0
        self.streak = self.same = 0
        self.rung = None
        self.wait_again()

    def wait_again(self) -> None:
        """Start once what it needs is ready; what the ladder knows stays."""
        self.by = self.after = ""
        self.error = self.said = None
        self.enter("waiting")

    def forget_runner(self) -> None:
        """There is none."""
        self.runner = self.runner_start = 0

    # Ends, and the ladder

    def runner_gone(self) -> None:
        """At rest after a normal end; else one step on the ladder."""
        self.forget_runner()
        if self.ended_well:
            self.downtime.cancel()
            self.enter("ended")
        elif self.reason == "exec":
            # The next start would fail as this one did.
            self.out_of_service()
            self.give_up()
        else:
            self.climb()

    def climb(self) -> None:
        """Start anew after a delay that grows, on the lowest rung that has budget left; or give up.

        Without something that it needs, it waits for that instead: the failure is not its own.
        """
        self.out_of_service()
        if lacking := self.out.lacking(self):
            self.record("waiting", {"needs": ",".join(lacking), **self.why()})
            self.wait_again()
            return
        self.refill()
        others: list[str] = []
        for rung in RUNGS:
            others = self.out.others(self, rung)
            count = self.budget(rung)[0]
            # A rung on which nobody else is restarted is the one below it again.
            if (others or rung == "cold") and self.used[rung] + 1 <= count + 1e-6:
                self.used[rung] += 1
                break
        else:
            self.give_up()
            return
        self.rung = rung
        if others:
            self.record("ladder", {"rung": rung, "with": ",".join(others)})
            self.out.restart_others(others)
        self.delay()

    def out_of_service(self) -> None:
        """From now on, by no wish of an operator's."""
        if self.been_ready:
            self.downtime.begin(self.out.now())

    def refill(self) -> None:
        """The buckets leak while it is in service, and at no other time: waiting is no improvement."""
        self.count_service(self.out.now())
        for rung in RUNGS:
            count, window = self.budget(rung)
            self.used[rung] = max(0.0, self.used[rung] - self.served_s * count / window)
        if self.spec is not None and self.served_s >= self.spec.number("ladder.good_run_s"):
            self.streak = 0
        self.served_s = 0.0

    def delay(self) -> None:
        """Wait before the next start: longer each time, until a good run."""
        assert self.spec is not None
        first, longest = self.spec.number("cold.delay_s"), self.spec.number("cold.delay_max_s")
        wait = min(first * 2 ** min(self.streak, 30), longest)
        self.streak += 1
        self.cold += 1
        self.enter("restarting", self.out.now() + wait)
        keys = {"delay_ms": round(wait * 1000), "attempt": self.streak, **self.told_left()}
        self.record("cold", {**keys, **self.why()})

    def give_up(self) -> None:
        """No budget left; the device's own rungs follow where it is vital."""
        self.enter("given-up")
        self.record("given-up", {"attempts": self.streak, **self.why()})
        if self.vital:
            self.out.last_resort(self)

    def why(self) -> dict[str, object]:
        """What rfork-run complained of, and what the component said last, for a record."""
        both = {"error": self.error, "said": self.said}
        return {key: value for key, value in both.items() if value is not None}

    def count_disturbed(self) -> None:
        """A restart that restarts others costs what a cold start does. Without budget it takes a step."""
        self.refill()
        others, self.disturbed = self.disturbed, []
        if self.used["cold"] + 1 <= self.budget("cold")[0] + 1e-6:
            self.used["cold"] += 1
        else:
            self.record("ladder", {"rung": "cold", "with": ",".join(others)})
            self.handle("disturbs")

    def stop_disturbing(self) -> None:
        """Stop it, to start it cold after a delay: its restarts have restarted others too often."""
        self.by, self.after = "ladder", "climb"
        self.halt()

    def skip_warm(self) -> None:
        """Stop it, to start it cold after a delay: the same fault again and again."""
        self.record("ladder", {"rung": "cold", "fault": self.fault, "same": self.same})
        self.by, self.after = "ladder", "climb"
        self.halt()

    # Operators, reload, ladder, shutdown: `by` and `after` have been set

    def halt(self) -> None:
        """Stop the runner, which stops the component."""
        limit = self.spec.number("stop_timeout_s") if self.spec is not None else 5.0
        self.enter("stopping", self.out.now() + limit + STOP_GRACE_S)
        if self.by == "ladder":
            self.out_of_service()
        self.record("stopping", {"by": self.by})
        self.out.signal(self.runner, self.runner_start, signal.SIGTERM)

    def halt_late(self) -> None:
        """A runner that does not stop is killed, and with it the component."""
        self.out.signal(self.pid, self.pid_start, signal.SIGKILL)
        self.out.signal(self.runner, self.runner_start, signal.SIGKILL)
        self.deadline = self.out.now() + STOP_GRACE_S

    def halt_stray(self) -> None:
        """Stop a runner that waited for the lock and has come through after all: nobody wants it."""
        self.by = self.by or "operator"
        self.halt()

    def halt_again(self) -> None:
        """Stop the runner that has the lock: it is another than the one that was told to."""
        self.out.signal(self.runner, self.runner_start, signal.SIGTERM)

    def halt_now(self) -> None:
        """Tell the runner a second time: it kills the component at once, whatever time is left."""
        self.no_start_after()
        self.halt_again()

    def start_after(self) -> None:
        """Start it once it has stopped."""
        if self.after != "remove":
            self.after = "start"

    def no_start_after(self) -> None:
        """Leave it stopped once it has."""
        if self.after != "remove":
            self.after = ""

    def halted(self) -> None:
        """Stopped; and then what was wanted after that."""
        if self.pid_start and self.out.start_before(self.pid, self.out.now()) == self.pid_start:
            self.out.signal(self.pid, self.pid_start, signal.SIGKILL)
        self.forget_runner()
        if self.after == "climb":
            self.by = self.after = ""
            self.climb()
        else:
            self.rest()

    def rest(self) -> None:
        """At rest, from a state without a runner; and then what was wanted after that."""
        self.record("stopped", {"by": self.by})
        after, by = self.after, self.by
        self.enter("stopped")
        if by != "ladder":
            self.downtime.cancel()
        if after == "start" and by == "ladder":
            self.wait_again()
        elif after == "start":
            self.wait()
        elif after == "remove":
            self.by, self.after = by, "removed"

    def kick(self) -> None:
        """An operator's restart of what runs: not counted."""
        self.out.signal(self.runner, self.runner_start, signal.SIGUSR1)


# go: what it needs is ready; gone: its runner has ended; timer: its deadline has passed; stop, start and
# restart-now: an operator, a reload, a shutdown or another's ladder; stop-now: an operator's second stop;
# same-fault: the ladder's limit of faults alike is reached; disturbs: its restarts have restarted others too
# often; the others are rfork-run's.
EVENTS = (
    "go",
    "timer",
    "started",
    "ready",
    "restart",
    "same-fault",
    "disturbs",
    "gone",
    "stop",
    "stop-now",
    "start",
    "restart-now",
)
Cell = tuple[Callable[[Component], None], tuple[str, ...]]
# state -> event -> what to do, and the states that may follow. What is not in it does nothing.
_GONE = (Component.runner_gone, ("ended", "restarting", "waiting", "given-up"))
_STARTED = (Component.became_running, ("running",))
_LAUNCH = (Component.launch, ("starting", "waiting"))
_WAIT = (Component.wait, ("waiting",))
_REST = (Component.rest, ("stopped", "waiting"))
_HALT = (Component.halt, ("stopping",))
_RUNS: dict[str, Cell] = {"gone": _GONE, "stop": _HALT, "started": _STARTED}
_SERVES: dict[str, Cell] = {
    **_RUNS,
    "same-fault": (Component.skip_warm, ("stopping",)),
    "disturbs": (Component.stop_disturbing, ("stopping",)),
}
_NOT_WANTED: dict[str, Cell] = {
    "started": (Component.halt_stray, ("stopping",)),
    "start": _WAIT,
    "restart-now": _WAIT,
}
TABLE: dict[str, dict[str, Cell]] = {
    "waiting": {"go": _LAUNCH, "timer": _LAUNCH, "stop": _REST, "started": _STARTED},
    # No SIGUSR1 here: the runner may not have a handler yet, and would die of it. The news of its start
    # may be lost with its log; what it tells next shows it too.
    "starting": {
        **_RUNS,
        "ready": (Component.became_ready, ("ready",)),
        "restart": (Component.became_running, ("running",)),
    },
    "running": {
        **_SERVES,
        "ready": (Component.became_ready, ("ready",)),
        "restart-now": (Component.kick, ("running",)),
    },
    "ready": {
        **_SERVES,
        "restart": (Component.became_running, ("running",)),
        "restart-now": (Component.kick, ("ready",)),
    },
    "restarting": {
        "timer": (Component.launch, ("starting", "restarting")),
        "start": _WAIT,
        "restart-now": _WAIT,
        "stop": _REST,
        "started": _STARTED,
    },
    "stopping": {
        "gone": (Component.halted, ("stopped", "waiting", "restarting", "given-up")),
        "timer": (Component.halt_late, ("stopping",)),
        "started": (Component.halt_again, ("stopping",)),
        "start": (Component.start_after, ("stopping",)),
        "restart-now": (Component.start_after, ("stopping",)),
        "stop": (Component.no_start_after, ("stopping",)),
        "stop-now": (Component.halt_now, ("stopping",)),
    },
    "stopped": _NOT_WANTED,
    "ended": {**_NOT_WANTED, "stop": _REST},
    "given-up": {**_NOT_WANTED, "stop": _REST},
}
