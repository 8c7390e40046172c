# SPDX-License-Identifier: MIT
"""What the supervisor knows: the manifest in effect, the components, and their dependencies."""

from __future__ import annotations

from koboshi.manifest.model import Manifest
from koboshi.state.component import Component
from koboshi.state.transitions import LIVE


class Known:
    """All components by name, and the state of this boot."""

    def __init__(self, boot: str, manifest: Manifest) -> None:
        self.boot = boot
        self.manifest = manifest
        self.components: dict[str, Component] = {}
        self.starts = 0
        self.adopted = 0
        self.all_ready = False
        self.shutting_down = False

    def at_rest(self) -> bool:
        """Return whether no component runs."""
        return not any(c.state in LIVE for c in self.components.values())

    def held(self, component: Component) -> bool:
        """Return whether a shutdown keeps this component from starting."""
        return self.shutting_down and component.state not in LIVE

    def unneeded(self) -> list[Component]:
        """Return running components that no running component needs, in reverse order of the manifest."""
        live = [c for c in self.components.values() if c.state in LIVE]
        needed = {name for c in live if c.spec is not None for name in c.spec.needs}
        return [c for c in reversed(live) if c.name not in needed]

    def dependents(self, names: set[str]) -> set[str]:
        """Return these components and their direct and indirect dependents."""
        found = set(names)
        for name, spec in self.manifest.components.items():  # needs come first
            if found.intersection(spec.needs):
                found.add(name)
        return found

    def others(self, component: Component, rung: str) -> list[str]:
        """Return its dependents; on the group rung, also its group and the dependents of every member."""
        if rung == "cold" or component.spec is None:
            return []
        names, group = {component.name}, component.spec.get("group")
        if rung == "group" and group is None:
            return []
        if rung == "group":
            names = {n for n, c in self.manifest.components.items() if c.get("group") == group}
        found = self.dependents(names) - {component.name}
        # Only running ones: what an operator has stopped stays stopped.
        return [
            n
            for n, c in self.components.items()
            if n in found and c.state in ("starting", "running", "ready")
        ]

    def fates(self, component: Component) -> list[tuple[Component, str]]:
        """Return the dependents to `notify` or `restart` when this component is ready again."""
        found = []
        for dependent in self.components.values():
            fate = (
                dependent.spec.table("on_restart").get(component.name) if dependent.spec is not None else None
            )
            if fate in ("notify", "restart") and dependent.state in ("running", "ready"):
                found.append((dependent, str(fate)))
        return found

    def satisfied(self, component: Component) -> bool:
        """Return whether all components that it needs are ready."""
        needed = [self.components.get(name) for name in _needs(component)]
        return all(need is not None and need.satisfies for need in needed)

    def lacking(self, component: Component) -> list[str]:
        """Return the needed components that are not ready; [] if waiting is useless: one is given up."""
        if self.hopeless_needs(component):
            return []
        needs = [name for name in _needs(component) if name in self.components]
        return [name for name in needs if not self.components[name].satisfies]

    def hopeless_needs(self, component: Component) -> list[str]:
        """Return the needed components that are given up, or wait for one that is."""
        return [name for name in _needs(component) if self._hopeless(name)]

    def _hopeless(self, name: str) -> bool:
        component = self.components.get(name)
        if component is None or component.state == "given-up":
            return component is not None
        return component.state == "waiting" and bool(self.hopeless_needs(component))


def _needs(component: Component) -> list[str]:
    return [] if component.spec is None else list(component.spec.needs)
