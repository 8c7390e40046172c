# SPDX-License-Identifier: MIT
"""What is decided in a turn: records and actions, which wait for the commit (docs/supervisor.md)."""

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
    """Something to do after the commit. `kind`: spawn, signal, fate, evidence, or one of the device's."""

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
    """Takes what components and the device want, and answers what components ask."""

    def __init__(
        self, system: System, known: Known, journal: Journal, traces: Traces, evidence: Evidence
    ) -> None:
        self.system = system
        self.known = known
        self.journal = journal
        self.traces = traces
        self.evidence = evidence
        self.actions: deque[Action] = deque()
        # Vital components that have been given up, until the device's ladder takes them.
        self.lost: deque[str] = deque()

    def now(self) -> float:
        """CLOCK_MONOTONIC, seconds."""
        return self.system.now()

    def record(self, event: str, keys: dict[str, object], time: float | None = None) -> None:
        """Into the next commit."""
        self.journal.record(event, keys, time)

    def spawn(self, component: Component) -> None:
        """After the next commit."""
        self.actions.append(Action("spawn", component))

    def signal(self, pid: int, start: int, number: int) -> None:
        """After the next commit."""
        self.actions.append(Action("signal", None, pid, start, number))

    def later(self, action: str) -> None:
        """One of the device's own actions, after the next commit."""
        self.actions.append(Action(action))

    def start_before(self, pid: int, moment: float) -> int:
        """See System."""
        return self.system.start_before(pid, moment)

    def fault_site(self, component: Component, event: Event) -> str:
        """See Traces."""
        return self.traces.site(component, event)

    def was_oom(self, event: Event) -> bool:
        """See Traces."""
        return self.traces.was_oom(event.integer("old"))

    def last_line(self, component: Component, event: Event) -> str:
        """Of its output."""
        return last_line(self.traces.words(component, event))

    def crashed(self, component: Component, event: Event, decision: str) -> None:
        """Into the ring, after the next commit."""
        if self.evidence.note(component, event, decision, self.traces.said(component, event)):
            self.later("evidence")

    def others(self, component: Component, rung: str) -> list[str]:
        """See Known."""
        return self.known.others(component, rung)

    def lacking(self, component: Component) -> list[str]:
        """See Known."""
        return self.known.lacking(component)

    def restart_others(self, names: list[str]) -> None:
        """Dependents first, as at a shutdown."""
        for name in reversed(names):
            component = self.known.components[name]
            component.by, component.after = "ladder", "start"
            transitions.handle(component, "stop")

    def came_back(self, component: Component) -> list[str]:
        """Those that need it are told, or restarted, as they want it; the names of the latter."""
        restarted = []
        for dependent, fate in self.known.fates(component):
            dependent.owed = fate
            self.owed(dependent)
            restarted += [dependent.name] if fate == "restart" else []
        return restarted

    def owed(self, component: Component) -> None:
        """Tell or restart it, after the next commit."""
        self.actions.append(Action("fate", component))

    def last_resort(self, component: Component) -> None:
        """Reboot, or the safe state, by the device's ladder in this turn."""
        self.lost.append(component.name)
