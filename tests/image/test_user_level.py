# SPDX-License-Identifier: MIT
"""The image at user level, whatever the kernel has."""

from __future__ import annotations

import pytest

from tests.image.conftest import oom_scores
from workbench.guest import faults
from workbench.guest.booted import Guest
from workbench.guest.faults import KINDS, Fault
from workbench.guest.observer import Observer
from workbench.guest.qemu import Options

OPTIONS = Options(append="RFORK_BACKEND=user")


def test_backend(guest: Guest) -> None:
    """All components run under the user-level backend."""
    assert {component.backend for component in guest.model.components.values()} == {"user"}


@pytest.mark.parametrize("kind", KINDS)
def test_fault(guest: Guest, observer: Observer, kind: str) -> None:
    """Each kind of fault is recovered from by the user-level monitor."""
    manifest = guest.shell.run("cat /etc/koboshi/koboshi.toml").output
    fault = next(fault for fault in faults.plan(faults.traits(manifest)) if fault.kind.name == kind)
    outcome = faults.inject(guest, fault)
    assert outcome.problem == ""
    assert outcome.restart is not None
    assert outcome.restart.backend == "user"
    assert observer.settled() == {name: [c.pid] for name, c in guest.model.components.items()}


def test_supervisor(guest: Guest) -> None:
    """The next supervisor adopts every component, and notices the next fault."""
    faults.kill_supervisor(guest)
    assert guest.model.adopted == len(guest.model.components)
    assert faults.inject(guest, Fault("gps", KINDS["wild"])).problem == ""


def test_order_of_the_oom_killer(guest: Guest) -> None:
    """No component that came from a spare or from a checkpoint has the protection of its monitor."""
    _last, usual = oom_scores(guest)
    assert {component.pid for component in guest.model.components.values()} <= usual
