# SPDX-License-Identifier: MIT
"""The supervisor's part of a fault rehearsal: it writes the records, and restores the budgets."""

from __future__ import annotations

from koboshi.state.component import Component
from koboshi.supervisor import Supervisor

RESULTS = ("begun", "passed", "withstood", "skipped", "failed", "done")
_KEYS = (
    *("component", "fault", "result", "expected", "saw", "why"),
    *("passed", "withstood", "skipped", "failed"),
)


class Rehearsed:
    """Serves `koboshictl rehearse`."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.supervisor = supervisor
        # Budgets from before the rehearsal. They are not kept: a new supervisor does not know them.
        self.before: dict[str, tuple[dict[str, float], int, int]] = {}

    def start(self, name: object) -> str:
        """Start a rehearsal as a process of its own; return an error, or ""."""
        names = [str(name)] if name else []
        if names and names[0] not in (*self.supervisor.components, "supervisor"):
            return f"no component {name!r}; there are " + ", ".join(self.supervisor.components)
        pid = self.supervisor.runners.start_program(["rehearse", *names])
        return "" if pid > 0 else f"koboshictl cannot be started (errno {-pid})"

    def note(self, keys: object) -> bool:
        """Write one of its records; return False for anything else."""
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
        """Restore budgets after a rehearsal: like an operator's restart, it does not count."""
        if begun:
            self.before[component.name] = (dict(component.used), component.streak, component.same)
        elif component.name in self.before:
            component.used, component.streak, component.same = self.before.pop(component.name)
