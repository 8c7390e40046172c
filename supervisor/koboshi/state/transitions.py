# SPDX-License-Identifier: MIT
"""A component's states, and what each event does in each of them (the table is at the end).

Records and actions go to the component's `Outbox`; the supervisor carries them out after the commit.
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
# Poll interval for an instance that outlived its runner and was sent SIGKILL.
ORPHAN_S = 0.05


def handle(component: Component, event: str) -> None:
    """Do what the table says for `event` in the present state; without an entry, do nothing."""
    cell = TABLE[component.state].get(event)
    if cell is not None:
        cell[0](component)


def take(component: Component, event: Event) -> None:
    """Take over one event of the runner's log, and act on it."""
    told.take_over(component, event)
    handle(component, event.name)


def judge(component: Component) -> None:
    """Check the ladder's limits after all new events, so that its records are later than theirs."""
    limit = 0.0 if component.spec is None else component.spec.number("ladder.same_fault")
    if component.faulty and 0 < limit <= component.same:
        handle(component, "same-fault")
    serves = component.state in ("running", "ready")
    if component.disturbed and serves and not ladder.pays_for_others(component):
        handle(component, "disturbs")
    component.faulty, component.disturbed = False, []


def became_running(component: Component) -> None:
    """Note that an instance runs and is not ready yet."""
    component.enter("running")


def became_ready(component: Component) -> None:
    """Note that it is ready, so its dependents may start."""
    component.enter("ready")


def launch(component: Component) -> None:
    """Start a runner; first kill an instance that outlived the last runner."""
    if (
        component.pid_start
        and component.out.start_before(component.pid, component.out.now()) == component.pid_start
    ):
        # At most one copy runs: the next one starts when this one is gone.
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
    """Record once that it waits for components that are given up.

    A vital component that has been in service is given up, because it cannot return.
    """
    if needs and not component.blocked:
        component.record("blocked", {"needs": ",".join(needs)})
    component.blocked = ",".join(needs)
    if needs and component.vital and component.been_ready:
        ladder.give_up(component)


def stop_disturbing(component: Component) -> None:
    """Stop it for a cold start after a delay: its restarts have restarted others too often."""
    component.by, component.after = "ladder", "climb"
    halt(component)


def skip_warm(component: Component) -> None:
    """Stop it for a cold start after a delay: the same fault has come too often."""
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
    """Kill a runner that does not stop, and its component."""
    component.out.signal(component.pid, component.pid_start, signal.SIGKILL)
    component.out.signal(component.runner, component.runner_start, signal.SIGKILL)
    component.deadline = component.out.now() + STOP_GRACE_S


def halt_stray(component: Component) -> None:
    """Stop a runner that got the lock late and is no longer wanted."""
    component.by = component.by or "operator"
    halt(component)


def halt_again(component: Component) -> None:
    """Stop the runner that holds the lock; another one got the first SIGTERM."""
    component.out.signal(component.runner, component.runner_start, signal.SIGTERM)


def halt_now(component: Component) -> None:
    """Send a second SIGTERM: the runner then kills the component at once."""
    no_start_after(component)
    halt_again(component)


def start_after(component: Component) -> None:
    """Start it again when it has stopped."""
    if component.after != "remove":
        component.after = "start"


def no_start_after(component: Component) -> None:
    """Leave it stopped."""
    if component.after != "remove":
        component.after = ""


def halted(component: Component) -> None:
    """Note that it has stopped, and do what was ordered for afterwards."""
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
    """Record the stop, and do what was ordered for afterwards."""
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
    """Restart it for an operator, without charge."""
    component.out.signal(component.runner, component.runner_start, signal.SIGUSR1)


# docs/states.md explains the events.
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
# state -> event -> function, and the states that may follow. Other events do nothing in a state.
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
    # No timer: when a deadline has passed, a needed component may not be ready. `go` follows if all are.
    "waiting": {"go": _LAUNCH, "stop": _REST, "started": _STARTED},
    # No SIGUSR1 here: the runner may not have a handler yet, and would die of it. If its `started` event is
    # lost with the log, the next event shows that it has started.
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
