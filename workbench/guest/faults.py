# SPDX-License-Identifier: MIT
"""Ways to break a component, what each must lead to, and which component gets which."""

from __future__ import annotations

import itertools
import tomllib
from dataclasses import dataclass
from typing import Protocol

from koboshi_desk.console.session import Console
from koboshi_desk.core.deadline import Deadline
from koboshi_desk.core.errors import ConsoleTimeoutError
from koboshi_desk.device.model import Model, Restart
from workbench.guest.shell import Shell

RECOVERY_S = 60.0
PROBATION_S = 1.0  # the manifest's default


class Target(Protocol):
    """A guest or a board."""

    model: Model

    @property
    def console(self) -> Console:
        """Where its records come."""

    @property
    def shell(self) -> Shell:
        """Where the faults are ordered."""


@dataclass(frozen=True)
class Kind:
    """A fault: the guest tool's name for it, and the causes and statuses a restart may report then."""

    name: str
    text: str
    causes: frozenset[str]
    statuses: frozenset[str]


def _kind(name: str, text: str, causes: str, statuses: str) -> Kind:
    return Kind(name, text, frozenset(causes.split()), frozenset(statuses.split()))


KINDS = {
    kind.name: kind
    for kind in (
        _kind("wild", "a wild pointer", "error", "signal:SIGSEGV signal:SIGBUS"),
        _kind("abort", "abort()", "error", "signal:SIGABRT"),
        _kind("request", "a request to restart", "request", "exit:85"),
        _kind("kill", "kill -9", "signal", "signal:SIGKILL"),
        _kind("hang", "a hang, the heartbeat missed", "heartbeat", "signal:SIGKILL"),
        # Where an address space limit refuses the memory first, the tool ends as a wild pointer does; and
        # where taking it lasts longer than the heartbeat's period, the heartbeat is missed first.
        # Linux 2.6.23 does not say whether a SIGKILL was the OOM killer's.
        _kind("leak", "memory exhaustion", "oom signal error heartbeat", "signal:SIGKILL signal:SIGSEGV"),
    )
}


@dataclass(frozen=True)
class Fault:
    """One component, broken in one way."""

    component: str
    kind: Kind


@dataclass(frozen=True)
class Outcome:
    """What came of a fault; `problem` is empty where all is as it should be."""

    fault: Fault
    restart: Restart | None
    downtime_us: int
    problem: str = ""


@dataclass(frozen=True)
class Traits:
    """What decides which faults suit a component."""

    name: str
    heartbeat: bool
    limited: bool


def traits(manifest: str) -> list[Traits]:
    """Of all components of a manifest's text, in its order."""
    tables = tomllib.loads(manifest)["component"]
    return [
        Traits(name, "heartbeat_s" in t, "memory_mb" in t.get("limits", {})) for name, t in tables.items()
    ]


def plan(components: list[Traits]) -> list[Fault]:
    """Each component and each kind at least once; a hang only where a heartbeat shows it."""
    suits = {
        "hang": [c.name for c in components if c.heartbeat],
        "leak": [c.name for c in components if c.limited] or [c.name for c in components],
    }
    anyone = itertools.cycle([c.name for c in components])
    faults: list[Fault] = []
    for name, kind in KINDS.items():
        if name == "hang" and not suits["hang"]:
            continue
        used = {fault.component for fault in faults}
        chosen = next((c for c in suits.get(name, []) if c not in used), None) or next(
            iter(suits.get(name, [])), None
        )
        faults.append(Fault(chosen or next(anyone), kind))
    unbroken = [c.name for c in components if c.name not in {fault.component for fault in faults}]
    simple = itertools.cycle(["wild", "abort", "request", "kill"])
    return [*faults, *(Fault(name, KINDS[next(simple)]) for name in unbroken)]


def _pass_probation(guest: Target, name: str) -> None:
    """Let the instance outlive restart.probation_s: one that fails within it is rightly started cold."""
    enough = int(guest.model.components[name].since + PROBATION_S) + 1
    guest.shell.run(f"until [ $(cut -d. -f1 /proc/uptime) -ge {enough} ]; do usleep 50000; done")


def inject(guest: Target, fault: Fault, seconds: float = RECOVERY_S) -> Outcome:
    """Break the component, out of its probation, and wait until it is ready again."""
    _pass_probation(guest, fault.component)
    before = len(guest.model.history)
    guest.shell.run(f"koboshi-fault {fault.component} {fault.kind.name}")
    deadline = Deadline(seconds, fault.kind.text)

    def latest() -> Restart | None:
        return next((r for r in guest.model.history[before:] if r.component == fault.component), None)

    def back() -> bool:
        return latest() is not None and guest.model.components[fault.component].state == "ready"

    try:
        guest.console.until(back, deadline, f"{fault.component} ready again after {fault.kind.text}")
    except ConsoleTimeoutError as error:
        return Outcome(fault, latest(), 0, str(error).splitlines()[0])
    restart = latest()
    assert restart is not None
    return Outcome(
        fault, restart, guest.model.components[fault.component].downtime_us, judge(fault.kind, restart)
    )


def judge(kind: Kind, restart: Restart) -> str:
    """Whether the restart says what it should after such a fault; "" if it does."""
    if restart.cause not in kind.causes:
        return f"cause {restart.cause}, where {' or '.join(sorted(kind.causes))} was right"
    if restart.status not in kind.statuses:
        return f"status {restart.status}, where {' or '.join(sorted(kind.statuses))} was right"
    return ""


def kill_supervisor(guest: Target, seconds: float = RECOVERY_S) -> None:
    """`kill -9` the supervisor; returns when the next one has begun, ConsoleTimeoutError if none does."""
    starts = guest.model.supervisor_starts
    guest.shell.run(f"kill -9 {guest.model.supervisor_pid}")
    guest.console.until(
        lambda: guest.model.supervisor_starts > starts, Deadline(seconds), "start of the next supervisor"
    )
