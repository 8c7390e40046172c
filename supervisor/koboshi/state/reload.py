# SPDX-License-Identifier: MIT
"""From one manifest to the next: start what is new, stop what is gone, both for what is changed."""

from __future__ import annotations

from koboshi.manifest.model import Manifest
from koboshi.state import ladder, transitions
from koboshi.state.component import Component, Outbox, told_budget
from koboshi.state.transitions import AT_REST, LIVE
from koboshi.wire.event import Event


def change(out: Outbox, components: dict[str, Component], old: Manifest, new: Manifest) -> list[str]:
    """Tell the components what has become of them; the names of those that are to be made."""
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
    """How far the log of a component without a state is of no interest: to its end, unless its runner lives.

    That is so when state.json was lost, and the component was not.
    """
    for event in reversed(events):
        if event.name == "started":
            mine = event.keys.get("boot") == boot
            if mine and out.start_before(event.integer("runner"), event.time):
                return event.number - 1
            break
    return events[-1].number if events else 0


def _replace(component: Component) -> None:
    """Its manifest has changed: what runs is stopped and started, what has ended is started."""
    if component.state == "stopping" and not component.after:
        return  # on its way to where an operator, or the safe state, wants it
    if component.state in LIVE:
        component.by, component.after = "reload", "start"
        if component.state != "stopping":
            transitions.handle(component, "stop")
    elif component.state in ("ended", "given-up"):
        ladder.wait(component)


def _retire(component: Component) -> None:
    """It is no longer in the manifest."""
    component.by, component.after = "reload", "remove"
    if component.state in AT_REST:
        component.after = "removed"
    elif component.state != "stopping":
        transitions.handle(component, "stop")
