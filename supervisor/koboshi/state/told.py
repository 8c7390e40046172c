# SPDX-License-Identifier: MIT
"""Takes over what a runner reports into the component's record."""

from __future__ import annotations

import signal

from koboshi.state.component import STOP_GRACE_S, Component
from koboshi.wire.event import Event

# Causes that count as faults of the component.
FAULTS = ("error", "signal", "status", "heartbeat", "oom")
# Length limit for the last line of output in a record.
_SAID_MOST = 120


def take_over(component: Component, event: Event) -> None:
    """Record one event of the runner's log, and take it over."""
    component.last, component.last_time = event.number, event.time
    _find_cause(component, event)
    component.record(event.name, dict(event.keys), event.time)
    change = _CHANGES.get(event.name)
    if change is not None:
        change(component, event)


def _find_cause(component: Component, event: Event) -> None:
    """Recognize a kill by the OOM killer that no control group has counted."""
    killed = event.name in ("restart", "end") and event.keys.get("status") == "signal:SIGKILL"
    if killed and event.keys.get("cause", "signal") == "signal" and component.out.was_oom(event):
        event.keys["cause"] = "oom"


def _words(component: Component, event: Event) -> None:
    """Remember its last line of output for later records."""
    component.said = component.out.last_line(component, event)[-_SAID_MOST:] or None


def _started(component: Component, event: Event) -> None:
    """Take the runner that holds the component's lock for its runner, whoever started it."""
    runner = event.integer("runner")
    if runner != component.runner:
        # Our own runner waits for the lock. Stop it, or it would run the component a second time.
        if component.runner_start:
            component.out.signal(component.runner, component.runner_start, signal.SIGTERM)
        component.runner = runner
        component.runner_start = component.out.start_before(runner, event.time)
    component.cold += component.again
    component.again = False
    component.generation = 0
    component.backend = event.keys.get("backend", "")
    component.level, component.cause, component.status, component.reason, component.says = (
        "cold",
        None,
        None,
        None,
        None,
    )
    component.latency_us = component.downtime_us = None
    component.error = None
    _instance(component, event)


def _instance(component: Component, event: Event) -> None:
    """Note the instance that runs now."""
    component.pid = event.integer("pid")
    component.pid_start = component.out.start_before(component.pid, event.time)


def _ready(component: Component, event: Event) -> None:
    """Note that the component is ready, and end its outage."""
    others = component.out.came_back(component) if component.been_ready else []
    # A start by a new runner has been charged already; an operator's restart is not charged.
    component.disturbed = others if component.generation and component.cause != "operator" else []
    component.downtime.end(event.time, *(component.downtime_budget() or (0.0, 1.0)))
    component.been_ready = component.served = True
    if component.generation:
        component.downtime_us = event.integer("downtime_us")
    if event.integer("pid") != component.pid:
        # The `restart` event of this instance is lost.
        component.generation = event.integer("gen")
        _instance(component, event)


def _restart(component: Component, event: Event) -> None:
    """Note a restart by the kernel or by the monitor."""
    component.generation = event.integer("gen")
    component.level = event.keys.get("level", "")
    component.backend = event.keys.get("backend", component.backend)
    component.cause, component.status = event.keys.get("cause"), event.keys.get("status")
    component.latency_us, component.downtime_us = event.integer("latency_us"), None
    if component.level == "warm":
        component.warm += 1
    else:
        component.cold += 1
    if component.cause in FAULTS:
        component.faulty = True
        _fault(component, event)
    if component.cause != "operator" and component.been_ready:
        component.downtime.begin((event.integer("fail_us") - event.integer("detect_us")) / 1e6)
    _instance(component, event)


def _fault(component: Component, event: Event) -> None:
    """Compare the fault with the last one, and store a crash record."""
    _words(component, event)
    site = component.out.fault_site(component, event)
    fault = " ".join(word for word in (str(component.cause), str(component.status), site) if word)
    ran = event.time - component.since if component.state == "ready" else 0.0
    good = component.spec is None or ran >= component.spec.number("ladder.good_run_s")
    component.same = component.same + 1 if _alike(fault, component.fault) and not good else 1
    component.fault = fault
    component.out.crashed(component, event, component.level)


def _alike(fault: str, before: object) -> bool:
    """Whether two faults agree. An unknown place agrees with any: the kernel limits the rate of its lines."""
    kind, place = fault.split(" ", 2)[:2], fault.split(" ", 2)[2:]
    words = str(before).split(" ", 2)
    return kind == words[:2] and (place == words[2:] or not place or not words[2:])


def _status(component: Component, event: Event) -> None:
    """Note its STATUS= text."""
    component.says = event.keys.get("text")


def _extend(component: Component, event: Event) -> None:
    """Extend the stop timeout, as rfork-run has granted it."""
    if component.state == "stopping" and component.deadline is not None:
        component.deadline = component.out.now() + event.integer("ms") / 1000 + STOP_GRACE_S


def _end(component: Component, event: Event) -> None:
    """Note why the runner ends."""
    component.reason, component.status = event.keys.get("reason"), event.keys.get("status")
    if component.reason == "exec":
        component.error, component.said = event.keys.get("error"), None
    elif component.reason != "stop" and not component.ended_well:
        _words(component, event)
        component.cause = event.keys.get("cause", component.cause)
        component.out.crashed(component, event, "ladder")
    if component.been_ready and event.integer("detect_us"):
        component.downtime.begin(event.time - event.integer("detect_us") / 1e6)
    component.pid = component.pid_start = 0


_CHANGES = {
    "started": _started,
    "ready": _ready,
    "restart": _restart,
    "end": _end,
    "status": _status,
    "extend": _extend,
}
