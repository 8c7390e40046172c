# SPDX-License-Identifier: MIT
"""The image with one CPU."""

from __future__ import annotations

import pytest

from workbench.guest import faults
from workbench.guest.booted import Guest
from workbench.guest.faults import KINDS, Fault
from workbench.guest.observer import Observer
from workbench.guest.qemu import Options

OPTIONS = Options(smp=1)


def test_has_one_cpu(guest: Guest) -> None:
    """The guest boots, all components ready, on a single CPU."""
    assert guest.shell.run("nproc").output == "1"


@pytest.mark.parametrize("kind", KINDS)
def test_fault(guest: Guest, observer: Observer, kind: str) -> None:
    """Each kind of fault is recovered from where nothing runs at the same time."""
    manifest = guest.shell.run("cat /etc/koboshi/koboshi.toml").output
    fault = next(fault for fault in faults.plan(faults.traits(manifest)) if fault.kind.name == kind)
    assert faults.inject(guest, fault).problem == ""
    assert observer.settled() == {name: [c.pid] for name, c in guest.model.components.items()}


def test_supervisor(guest: Guest) -> None:
    """The next supervisor adopts every component, and notices the next fault."""
    faults.kill_supervisor(guest)
    assert guest.model.adopted == len(guest.model.components)
    assert faults.inject(guest, Fault("gps", KINDS["wild"])).problem == ""
