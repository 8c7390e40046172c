# SPDX-License-Identifier: MIT
"""Images that Buildroot has made (./dev image --board), from their own boot loader."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.image.conftest import settle
from workbench.buildroot import boards
from workbench.buildroot import build as buildroot
from workbench.guest import faults
from workbench.guest.booted import Guest
from workbench.guest.faults import KINDS, Fault
from workbench.trial import powercut

DISKS = [
    f"{board.name}-{line}{buildroot.DISK}"
    for board in boards.BOARDS.values()
    for line in sorted(board.append)
]
CUTS = 2  # ./dev powercut makes a hundred


def skip_unless_built(name: str) -> None:
    """A build takes long: the tests take what there is."""
    if name not in buildroot.names():
        pytest.skip(f"{name} has not been built: ./dev image --board core2 --line LINE")


@pytest.fixture(scope="module", params=DISKS)
def booted(request: pytest.FixtureRequest) -> Iterator[Guest]:
    """A guest of each image, come from its own boot loader, all components ready."""
    skip_unless_built(request.param)
    with Guest(buildroot.find(request.param)) as guest:
        guest.boot()
        yield guest


def test_boots_with_a_clean_log(booted: Guest) -> None:
    """All components are ready, no record was lost, the kernel had nothing to say."""
    settle(booted)
    counts = booted.console.decoder.counts
    assert (counts.record_boots, counts.lost, counts.garbled) == (1, 0, 0)
    assert booted.verdict() == []
    assert "keeper" in booted.model.components


def test_restarts_are_the_kernels(booted: Guest) -> None:
    """The image's own kernel has rfork(2): a crash is answered by a restart in it."""
    outcome = faults.inject(booted, Fault("gps", KINDS["wild"]))
    assert outcome.problem == ""
    assert outcome.restart is not None
    assert (outcome.restart.level, outcome.restart.backend) == ("warm", "kernel")


def test_root_is_read_only_and_data_is_not(booted: Guest) -> None:
    """What runs can't change the root; /data is a partition of its own."""
    mounts = [line.split() for line in booted.shell.run("cat /proc/mounts").output.splitlines()]
    roots = [fields for fields in mounts if fields[1] == "/" and fields[0] != "rootfs"]
    assert roots
    assert all("ro" in fields[3].split(",") for fields in roots)
    assert booted.shell.run("touch /etc/x", check=False).status != 0
    data = [fields for fields in mounts if fields[1] == "/data"]
    assert [fields[0] for fields in data] == ["/dev/sda2"]
    booted.shell.run("touch /data/x")


def test_data_outlives_a_reboot(booted: Guest) -> None:
    """A reboot comes back through the boot loader, and finds what was written before."""
    settle(booted)
    booted.shell.run("echo kept >/data/outlives && sync")
    booted.reboot()
    assert booted.shell.run("cat /data/outlives").output == "kept"


@pytest.mark.parametrize("name", DISKS)
def test_power_cuts(name: str) -> None:
    """A disk whose power goes while it writes boots again, and has every acknowledged record once."""
    skip_unless_built(name)
    result = powercut.cut_power(buildroot.find(name), CUTS, seed=2)
    assert result.problems == []
    assert (result.cuts, result.lost) == (CUTS, 0)
