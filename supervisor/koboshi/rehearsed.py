# SPDX-License-Identifier: MIT
"""The supervisor's part of a fault rehearsal: its records, and budgets as they were (docs/supervisor.md)."""

from __future__ import annotations

from koboshi.state.component import Component
from koboshi.supervisor import Supervisor

RESULTS = ("begun", "passed", "withstood", "skipped", "failed", "done")
_KEYS = (
    *("component", "fault", "result", "expected", "saw", "why"),
    *("passed", "withstood", "skipped", "failed"),
)


class Rehearsed:
    """What `koboshictl rehearse` asks of the supervisor."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.supervisor = supervisor
        # The budgets of the components that are being hit; a successor of this supervisor does not know them.
        self.before: dict[str, tuple[dict[str, float], int, int]] = {}

    def start(self, name: object) -> str:
        """Begin one, as a program of its own; what is wrong with the wish, or nothing."""
        names = [str(name)] if name else []
        if names and names[0] not in (*self.supervisor.components, "supervisor"):
            return f"no component {name!r}; there are " + ", ".join(self.supervisor.components)
        pid = self.supervisor.runners.start_program(["rehearse", *names])
        return "" if pid > 0 else f"koboshictl cannot be started (errno {-pid})"

    def note(self, keys: object) -> bool:
        """One of its records; False for anything else."""
        if not isinstance(keys, dict) or keys.get("result") not in RESULTS or not set(keys) <= set(_KEYS):
            return False
        component = self.supervisor.components.get(str(keys.get("component")))
        if "component" in keys and component is None:
            return False
        if component is not None:
            self._budgets(component, keys["result"] == "begun")
        self.supervisor.decided.record("rehearsal", {key: keys[key] for key in _KEYS if key in keys})
        return True

    def _budgets(self, component: Component, begun: bool) -> None:
        """What a rehearsal took is given back: it was ordered, as an operator's restart is."""
        if begun:
            self.before[component.name] = (dict(component.used), component.streak, component.same)
        elif component.name in self.before:
            component.used, component.streak, component.same = self.before.pop(component.name)
