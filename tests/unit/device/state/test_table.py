# SPDX-License-Identifier: MIT
"""States and events: every cell of the table does what it says, and the docs say the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from koboshi.manifest.check import parse
from koboshi.state import table as states
from koboshi.state.component import Component, Outbox
from koboshi.state.transitions import EVENTS, LIVE, STATES, TABLE, handle

ROOT = Path(__file__).resolve().parents[4]
SPEC = parse(
    'version = 1\n[component.a]\ncommand = ["/a"]\n[component.b]\ncommand = ["/b"]\n', "f"
).components["a"]
CELLS = [(state, event) for state in STATES for event in EVENTS]


class Notes(Outbox):
    """Notes what a component wants."""

    def __init__(self, orphan: bool = False, lacks: object = ()) -> None:
        self.records: list[str] = []
        self.spawned = 0
        self.signals: list[tuple[int, int]] = []
        self.orphan = orphan
        self.lacks = lacks

    def now(self) -> float:
        """Always the same moment."""
        return 100.0

    def record(self, event, keys, time=None):
        """Note it."""
        self.records.append(event)

    def spawn(self, component):
        """Count it."""
        self.spawned += 1

    def signal(self, pid, start, number):
        """Note it."""
        self.signals.append((pid, number))

    def start_before(self, pid, moment):
        """The instance is there only where it has outlived its runner."""
        return 7 if self.orphan else 0

    def fault_site(self, component, event):
        """The kernel told nothing."""
        return ""

    def was_oom(self, event):
        """It killed nobody."""
        return False

    def last_line(self, component, event):
        """It said nothing."""
        return ""

    def others(self, component, rung):
        """Nobody."""
        return []

    def lacking(self, component):
        """What the test wants."""
        return self.lacks

    def restart_others(self, names):
        """Nobody."""

    def crashed(self, component, event, decision):
        """Nobody looks."""

    def came_back(self, component):
        """Nobody cares."""

    def last_resort(self, component):
        """Not vital."""


def component(state: str, **kept: object) -> tuple[Component, Notes]:
    """A component in this state, with a runner where there is one."""
    notes = Notes(orphan=bool(kept.pop("orphan", False)), lacks=kept.pop("lacks", ()))
    runner = (
        {"runner": 5, "runner_start": 50, "pid": 6, "pid_start": 7}
        if state in LIVE
        else {"pid": 6, "pid_start": 7}
    )
    return Component("a", SPEC, notes, {"state": state, "by": "operator", **runner, **kept}), notes


# What decides between the states that may follow.
VARIANTS: list[dict[str, object]] = [
    {},
    {"after": "start"},
    {"after": "start", "by": "ladder"},
    {"after": "climb"},
    {"after": "climb", "used": {"cold": 50.0}},
    {"reason": "exit", "status": "exit:0"},
    {"used": {"cold": 50.0}},
    {"orphan": True},
    {"lacks": ["other"]},
]


@pytest.mark.parametrize(("state", "event"), CELLS)
def test_cell(state: str, event: str) -> None:
    """Whatever a component's past, an event leads where the table says; without a cell it does nothing."""
    cell = TABLE[state].get(event)
    reached = set()
    for variant in VARIANTS:
        item, notes = component(state, **variant)
        before = item.kept()
        handle(item, event)
        reached.add(item.state)
        if cell is None:
            assert item.kept() == before
            assert (notes.records, notes.spawned, notes.signals) == ([], 0, [])
        # Exactly one copy: nothing is started while something may run.
        assert notes.spawned == (item.state == "starting" and state != "starting")
        if item.state not in LIVE:
            assert item.runner == 0
    if cell is not None:
        allowed = set(cell[1])
        assert reached <= allowed
        assert reached == allowed


def test_nothing_starts_what_an_operator_stopped() -> None:
    """Of all events only a start, by whatever name, leads from stopped to a component that runs."""
    for event in EVENTS:
        item, notes = component("stopped")
        handle(item, event)
        assert notes.spawned == 0
        assert item.state == ("waiting" if event in ("start", "restart-now") else item.state)
        assert item.state in ("waiting", "stopping", "stopped")


def test_docs() -> None:
    """docs/states.md is what the code's table says."""
    assert (ROOT / "docs" / "states.md").read_text() == states.markdown()


def test_every_state_can_be_reached_and_left() -> None:
    """No state is a trap, and none is for show."""
    reached = {name for cells in TABLE.values() for _action, names in cells.values() for name in names}
    assert reached == set(STATES)
    for state in STATES:
        assert any(set(names) - {state} for _action, names in TABLE[state].values())
