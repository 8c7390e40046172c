# SPDX-License-Identifier: MIT
"""What must hold on a real board as it does in QEMU."""

from __future__ import annotations

import pytest

from workbench.guest import faults
from workbench.guest.faults import KINDS, Fault
from workbench.trial.board import Board

MANIFEST = "/etc/koboshi/koboshi.toml"
pytestmark = pytest.mark.board


@pytest.mark.parametrize("kind", KINDS)
def test_a_broken_component_comes_back(board: Board, kind: str) -> None:
    """Broken in this way, a component comes back with the right cause, and all others stay as they were."""
    components = faults.traits(board.shell.run(f"cat {MANIFEST}").output)
    suits = {
        "hang": [c.name for c in components if c.heartbeat],
        "leak": [c.name for c in components if c.limited],
    }
    names = suits.get(kind, [c.name for c in components])
    if not names:
        pytest.skip(f"the manifest has no component that {KINDS[kind].text} suits")
    others = {name: c.pid for name, c in board.model.components.items() if name != names[0]}
    outcome = faults.inject(board, Fault(names[0], KINDS[kind]))
    assert not outcome.problem
    board.learn()
    assert {name: c.pid for name, c in board.model.components.items() if name != names[0]} == others


def test_killed_supervisor_costs_nothing(board: Board) -> None:
    """After kill -9 of the supervisor the next one adopts every component as it was."""
    before = {name: c.pid for name, c in board.model.components.items()}
    faults.kill_supervisor(board)
    board.ready()
    assert {name: c.pid for name, c in board.model.components.items()} == before


def test_line_loses_nothing(board: Board) -> None:
    """A thousand records over the line: none garbled, none lost."""
    counts = board.console.decoder.counts
    lost, garbled = counts.lost, counts.garbled
    board.shell.run("koboshictl events -n 1000", seconds=300.0)
    assert (counts.lost, counts.garbled) == (lost, garbled)


def test_kernel_is_healthy(board: Board) -> None:
    """The kernel has said nothing that it should not have since the boot."""
    assert board.verdict() == []
