# SPDX-License-Identifier: MIT
"""What the supervisor knows: the manifest that is in effect, the components, and who needs whom."""

from __future__ import annotations

from koboshi.manifest.model import Manifest
from koboshi.state.component import Component
from koboshi.state.transitions import LIVE


class Known:
    """All components by name, and what is true of all of them together."""

    def __init__(self, boot: str, manifest: Manifest) -> None:
        self.boot = boot
        self.manifest = manifest
        self.components: dict[str, Component] = {}
        self.starts = 0
        self.adopted = 0
        self.all_ready = False
        self.shutting_down = False

    def at_rest(self) -> bool:
        """Whether nothing runs any more."""
        return not any(c.state in LIVE for c in self.components.values())

    def held(self, component: Component) -> bool:
        """Whether a shutdown keeps this component from starting."""
        return self.shutting_down and component.state not in LIVE

    def unneeded(self) -> list[Component]:
        """What runs and is needed by nothing that runs, the last one of the manifest first."""
        live = [c for c in self.components.values() if c.state in LIVE]
        needed = {name for c in live if c.spec is not None for name in c.spec.needs}
        return [c for c in reversed(live) if c.name not in needed]

    def dependents(self, names: set[str]) -> set[str]:
        """These, and all that need them, directly or not."""
        found = set(names)
        for name, spec in self.manifest.components.items():  # each after those it needs
            if found.intersection(spec.needs):
                found.add(name)
        return found

    def others(self, component: Component, rung: str) -> list[str]:
        """Those that need it; on the rung above, its group too and all that need one of that."""
        if rung == "cold" or component.spec is None:
            return []
        names, group = {component.name}, component.spec.get("group")
        if rung == "group" and group is None:
            return []
        if rung == "group":
            names = {n for n, c in self.manifest.components.items() if c.get("group") == group}
        found = self.dependents(names) - {component.name}
        # Those that run: what an operator has stopped stays so.
        return [
            n
            for n, c in self.components.items()
            if n in found and c.state in ("starting", "running", "ready")
        ]

    def fates(self, component: Component) -> list[tuple[Component, str]]:
        """Who is to be told or restarted when this component is ready again: `notify` or `restart`."""
        found = []
        for dependent in self.components.values():
            fate = (
                dependent.spec.table("on_restart").get(component.name) if dependent.spec is not None else None
            )
            if fate in ("notify", "restart") and dependent.state in ("running", "ready"):
                found.append((dependent, str(fate)))
        return found

    def satisfied(self, component: Component) -> bool:
        """Whether everything that it needs is ready."""
        needed = [self.components.get(name) for name in _needs(component)]
        return all(need is not None and need.satisfies for need in needed)

    def lacking(self, component: Component) -> list[str]:
        """What it needs and is not there. Nothing, where it would wait in vain: then the failure counts."""
        if self.hopeless_needs(component):
            return []
        needs = [name for name in _needs(component) if name in self.components]
        return [name for name in needs if not self.components[name].satisfies]

    def hopeless_needs(self, component: Component) -> list[str]:
        """What it needs and only an operator can make ready: it, or what it waits for, is given up."""
        return [name for name in _needs(component) if self._hopeless(name)]

    def _hopeless(self, name: str) -> bool:
        component = self.components.get(name)
        if component is None or component.state == "given-up":
            return component is not None
        return component.state == "waiting" and bool(self.hopeless_needs(component))


def _needs(component: Component) -> list[str]:
    return [] if component.spec is None else list(component.spec.needs)
