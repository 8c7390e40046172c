# SPDX-License-Identifier: MIT
"""The decisions of a turn: records and actions that wait for the commit (docs/supervisor.md)."""

from __future__ import annotations

from collections import deque

from koboshi.evidence import Evidence
from koboshi.journal import Journal
from koboshi.known import Known
from koboshi.state import transitions
from koboshi.state.component import Component, Outbox
from koboshi.system.calls import System
from koboshi.traces import Traces, last_line
from koboshi.wire.event import Event


class Action:
    """An action after the commit. `kind`: spawn, signal, fate, evidence, or an action of the device."""

    __slots__ = ("component", "kind", "number", "pid", "start")

    def __init__(
        self, kind: str, component: Component | None = None, pid: int = 0, start: int = 0, number: int = 0
    ) -> None:
        self.kind = kind
        self.component = component
        self.pid = pid
        self.start = start
        self.number = number


class Decided(Outbox):
    """Collects what components and the device order, and answers the components' questions."""

    def __init__(
        self, system: System, known: Known, journal: Journal, traces: Traces, evidence: Evidence
    ) -> None:
        self.system = system
        self.known = known
        self.journal = journal
        self.traces = traces
        self.evidence = evidence
        self.actions: deque[Action] = deque()
        # Vital components that were given up; the device's ladder handles them in this turn.
        self.lost: deque[str] = deque()

    def now(self) -> float:
        """CLOCK_MONOTONIC, seconds."""
        return self.system.now()

    def record(self, event: str, keys: dict[str, object], time: float | None = None) -> None:
        """Write a record with the next commit."""
        self.journal.record(event, keys, time)

    def spawn(self, component: Component) -> None:
        """Start the component's runner after the next commit."""
        self.actions.append(Action("spawn", component))

    def signal(self, pid: int, start: int, number: int) -> None:
        """Send a signal after the next commit."""
        self.actions.append(Action("signal", None, pid, start, number))

    def later(self, action: str) -> None:
        """Carry out an action of the device after the next commit."""
        self.actions.append(Action(action))

    def start_before(self, pid: int, moment: float) -> int:
        """See System."""
        return self.system.start_before(pid, moment)

    def fault_site(self, component: Component, event: Event) -> str:
        """See Traces."""
        return self.traces.site(component, event)

    def was_oom(self, event: Event) -> bool:
        """See Traces."""
        return self.traces.was_oom(event.integer("old"), event.time)

    def last_line(self, component: Component, event: Event) -> str:
        """Return the last line of its output."""
        return last_line(self.traces.words(component, event))

    def crashed(self, component: Component, event: Event, decision: str) -> None:
        """Store a crash record after the next commit."""
        if self.evidence.note(component, event, decision, self.traces.said(component, event)):
            self.later("evidence")

    def others(self, component: Component, rung: str) -> list[str]:
        """See Known."""
        return self.known.others(component, rung)

    def lacking(self, component: Component) -> list[str]:
        """See Known."""
        return self.known.lacking(component)

    def restart_others(self, names: list[str]) -> None:
        """Stop these components, dependents first, and start them again afterwards."""
        for name in reversed(names):
            component = self.known.components[name]
            component.by, component.after = "ladder", "start"
            transitions.handle(component, "stop")

    def came_back(self, component: Component) -> list[str]:
        """Notify or restart its dependents as their `on_restart` says; return the restarted ones."""
        restarted = []
        for dependent, fate in self.known.fates(component):
            dependent.owed = fate
            self.owed(dependent)
            restarted += [dependent.name] if fate == "restart" else []
        return restarted

    def owed(self, component: Component) -> None:
        """Notify or restart this dependent after the next commit."""
        self.actions.append(Action("fate", component))

    def last_resort(self, component: Component) -> None:
        """Have the device's ladder take a step in this turn: a reboot, or the safe state."""
        self.lost.append(component.name)
