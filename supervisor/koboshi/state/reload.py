# SPDX-License-Identifier: MIT
"""A change of the manifest: start new components, stop removed ones, restart changed ones."""

from __future__ import annotations

from koboshi.manifest.model import Manifest
from koboshi.state import ladder, transitions
from koboshi.state.component import Component, Outbox, told_budget
from koboshi.state.transitions import AT_REST, LIVE
from koboshi.wire.event import Event


def change(out: Outbox, components: dict[str, Component], old: Manifest, new: Manifest) -> list[str]:
    """Apply the new manifest to the components; return the names of the new ones."""
    made: list[str] = []
    for name, spec in new.components.items():
        component = components.get(name)
        if component is not None and old.components.get(name) == spec and component.after != "remove":
            continue
        needs = ",".join(spec.needs) or "-"
        out.record("declared", {"component": name, "needs": needs, "budget": told_budget(spec)})
        if component is None:
            made.append(name)
        else:
            component.spec = spec
            _replace(component)
    for component in components.values():
        if component.name not in new.components:
            _retire(component)
    return made


def taken_over(out: Outbox, events: list[Event], boot: str) -> int:
    """Return the last event to skip in the log of a component without state: all, unless its runner is alive.

    A runner may be alive when only state.json was lost.
    """
    for event in reversed(events):
        if event.name == "started":
            mine = event.keys.get("boot") == boot
            if mine and out.start_before(event.integer("runner"), event.time):
                return event.number - 1
            break
    return events[-1].number if events else 0


def _replace(component: Component) -> None:
    """Restart a component whose manifest has changed, if it runs; start it if it has ended."""
    if component.state == "stopping" and not component.after:
        return  # an operator or the safe state has ordered the stop
    if component.state in LIVE:
        component.by, component.after = "reload", "start"
        if component.state != "stopping":
            transitions.handle(component, "stop")
    elif component.state in ("ended", "given-up"):
        ladder.wait(component)


def _retire(component: Component) -> None:
    """Stop and remove a component that is no longer in the manifest."""
    component.by, component.after = "reload", "remove"
    if component.state in AT_REST:
        component.after = "removed"
    elif component.state != "stopping":
        transitions.handle(component, "stop")
