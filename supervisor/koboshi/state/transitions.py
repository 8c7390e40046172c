# SPDX-License-Identifier: MIT
"""A component's states, and what each event does in each of them (the table is at the end).

What is wanted done goes to the component's `Outbox`: records, and actions that are carried out after the new
state has been committed.
"""

from __future__ import annotations

import signal
from collections.abc import Callable

from koboshi.state import ladder, told
from koboshi.state.component import STOP_GRACE_S, Component
from koboshi.wire.event import Event

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


def handle(component: Component, event: str) -> None:
    """What `event` does in the present state; nothing, where the table has no entry."""
    cell = TABLE[component.state].get(event)
    if cell is not None:
        cell[0](component)


def take(component: Component, event: Event) -> None:
    """One event of the runner's log: taken over, and acted on."""
    told.take_over(component, event)
    handle(component, event.name)


def judge(component: Component) -> None:
    """Look at the ladder's limits, once all events are taken over: its records are later than theirs."""
    limit = 0.0 if component.spec is None else component.spec.number("ladder.same_fault")
    if component.faulty and 0 < limit <= component.same:
        handle(component, "same-fault")
    serves = component.state in ("running", "ready")
    if component.disturbed and serves and not ladder.pays_for_others(component):
        handle(component, "disturbs")
    component.faulty, component.disturbed = False, []


def became_running(component: Component) -> None:
    """An instance runs and is not ready yet."""
    component.enter("running")


def became_ready(component: Component) -> None:
    """What needs it may start."""
    component.enter("ready")


def launch(component: Component) -> None:
    """Start a runner; an instance that outlived the last one is killed first."""
    if (
        component.pid_start
        and component.out.start_before(component.pid, component.out.now()) == component.pid_start
    ):
        # Exactly one copy: the next one starts when it is gone.
        component.out.signal(component.pid, component.pid_start, signal.SIGKILL)
        component.deadline = component.out.now() + ORPHAN_S
        return
    component.pid = component.pid_start = 0
    component.reason = None
    component.served = False
    ladder.forget_runner(component)
    component.enter("starting")
    component.record("starting", component.told_left())
    component.out.spawn(component)


def note_blocked(component: Component, needs: list[str]) -> None:
    """It waits for components that will not come; recorded once for as long as it is so.

    A vital one that has been in service is given up: the device has lost what it is no use without.
    """
    if needs and not component.blocked:
        component.record("blocked", {"needs": ",".join(needs)})
    component.blocked = ",".join(needs)
    if needs and component.vital and component.been_ready:
        ladder.give_up(component)


def stop_disturbing(component: Component) -> None:
    """Stop it, to start it cold after a delay: its restarts have restarted others too often."""
    component.by, component.after = "ladder", "climb"
    halt(component)


def skip_warm(component: Component) -> None:
    """Stop it, to start it cold after a delay: the same fault again and again."""
    component.record("ladder", {"rung": "cold", "fault": component.fault, "same": component.same})
    component.by, component.after = "ladder", "climb"
    halt(component)


def halt(component: Component) -> None:
    """Stop the runner, which stops the component."""
    limit = component.spec.number("stop_timeout_s") if component.spec is not None else 5.0
    component.enter("stopping", component.out.now() + limit + STOP_GRACE_S)
    if component.by == "ladder":
        ladder.out_of_service(component)
    component.record("stopping", {"by": component.by})
    component.out.signal(component.runner, component.runner_start, signal.SIGTERM)


def halt_late(component: Component) -> None:
    """A runner that does not stop is killed, and with it the component."""
    component.out.signal(component.pid, component.pid_start, signal.SIGKILL)
    component.out.signal(component.runner, component.runner_start, signal.SIGKILL)
    component.deadline = component.out.now() + STOP_GRACE_S


def halt_stray(component: Component) -> None:
    """Stop a runner that waited for the lock and has come through after all: nobody wants it."""
    component.by = component.by or "operator"
    halt(component)


def halt_again(component: Component) -> None:
    """Stop the runner that has the lock: it is another than the one that was told to."""
    component.out.signal(component.runner, component.runner_start, signal.SIGTERM)


def halt_now(component: Component) -> None:
    """Tell the runner a second time: it kills the component at once, whatever time is left."""
    no_start_after(component)
    halt_again(component)


def start_after(component: Component) -> None:
    """Start it once it has stopped."""
    if component.after != "remove":
        component.after = "start"


def no_start_after(component: Component) -> None:
    """Leave it stopped once it has."""
    if component.after != "remove":
        component.after = ""


def halted(component: Component) -> None:
    """Stopped; and then what was wanted after that."""
    if (
        component.pid_start
        and component.out.start_before(component.pid, component.out.now()) == component.pid_start
    ):
        component.out.signal(component.pid, component.pid_start, signal.SIGKILL)
    ladder.forget_runner(component)
    if component.after == "climb":
        component.by = component.after = ""
        ladder.climb(component)
    else:
        rest(component)


def rest(component: Component) -> None:
    """At rest, from a state without a runner; and then what was wanted after that."""
    component.record("stopped", {"by": component.by})
    after, by = component.after, component.by
    component.enter("stopped")
    if by != "ladder":
        component.downtime.cancel()
    if after == "start" and by == "ladder":
        ladder.wait_again(component)
    elif after == "start":
        ladder.wait(component)
    elif after == "remove":
        component.by, component.after = by, "removed"


def kick(component: Component) -> None:
    """An operator's restart of what runs: not counted."""
    component.out.signal(component.runner, component.runner_start, signal.SIGUSR1)


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
_GONE = (ladder.runner_gone, ("ended", "restarting", "waiting", "given-up"))
_STARTED = (became_running, ("running",))
_LAUNCH = (launch, ("starting", "waiting"))
_WAIT = (ladder.wait, ("waiting",))
_REST = (rest, ("stopped", "waiting"))
_HALT = (halt, ("stopping",))
_RUNS: dict[str, Cell] = {"gone": _GONE, "stop": _HALT, "started": _STARTED}
_SERVES: dict[str, Cell] = {
    **_RUNS,
    "same-fault": (skip_warm, ("stopping",)),
    "disturbs": (stop_disturbing, ("stopping",)),
}
_NOT_WANTED: dict[str, Cell] = {
    "started": (halt_stray, ("stopping",)),
    "start": _WAIT,
    "restart-now": _WAIT,
}
TABLE: dict[str, dict[str, Cell]] = {
    "waiting": {"go": _LAUNCH, "timer": _LAUNCH, "stop": _REST, "started": _STARTED},
    # No SIGUSR1 here: the runner may not have a handler yet, and would die of it. The news of its start
    # may be lost with its log; what it tells next shows it too.
    "starting": {
        **_RUNS,
        "ready": (became_ready, ("ready",)),
        "restart": (became_running, ("running",)),
    },
    "running": {
        **_SERVES,
        "ready": (became_ready, ("ready",)),
        "restart-now": (kick, ("running",)),
    },
    "ready": {
        **_SERVES,
        "restart": (became_running, ("running",)),
        "restart-now": (kick, ("ready",)),
    },
    "restarting": {
        "timer": (launch, ("starting", "restarting")),
        "start": _WAIT,
        "restart-now": _WAIT,
        "stop": _REST,
        "started": _STARTED,
    },
    "stopping": {
        "gone": (halted, ("stopped", "waiting", "restarting", "given-up")),
        "timer": (halt_late, ("stopping",)),
        "started": (halt_again, ("stopping",)),
        "start": (start_after, ("stopping",)),
        "restart-now": (start_after, ("stopping",)),
        "stop": (no_start_after, ("stopping",)),
        "stop-now": (halt_now, ("stopping",)),
    },
    "stopped": _NOT_WANTED,
    "ended": {**_NOT_WANTED, "stop": _REST},
    "given-up": {**_NOT_WANTED, "stop": _REST},
}
