# SPDX-License-Identifier: MIT
"""Booted guests for the tests of the image; the kernel's log is part of every test's verdict."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from koboshi_desk.console.findings import Finding
from koboshi_desk.core.deadline import Deadline
from koboshi_desk.core.errors import KoboshiError
from workbench.guest.booted import Guest
from workbench.guest.observer import Observer
from workbench.guest.qemu import Options
from workbench.image import quick as quickimage
from workbench.image.bootable import Image

HERE = Path(__file__).parent
SETTLE_S = 60.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of these boot a guest."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.image)


class Device:
    """A module's guest, or the reason why there is none; the findings of earlier tests are known."""

    def __init__(self, guest: Guest) -> None:
        self.guest = guest
        self.failure: KoboshiError | None = None
        self.told = False
        self.known: set[Finding] = set()
        self._observer: Observer | None = None

    def boot(self) -> None:
        """Boot; a failure is kept for the first test that wants the guest."""
        try:
            self.guest.boot()
        except KoboshiError as error:
            self.failure = error

    @property
    def observer(self) -> Observer:
        """Knows the components as they were when it was first asked for."""
        if self._observer is None:
            self._observer = Observer(
                self.guest.shell, {name: c.pid for name, c in self.guest.model.components.items()}
            )
        return self._observer


@pytest.fixture(scope="session")
def image() -> Image:
    """The quick image of the working tree."""
    return quickimage.build()


@pytest.fixture(scope="module")
def device(image: Image, request: pytest.FixtureRequest) -> Iterator[Device]:
    """The module's guest, run with the module's OPTIONS."""
    module = request.module
    assert isinstance(module, ModuleType)
    with Guest(image, getattr(module, "OPTIONS", Options())) as guest:
        device = Device(guest)
        device.boot()
        yield device


@pytest.fixture
def guest(device: Device) -> Iterator[Guest]:
    """The guest with all components ready; afterwards the kernel must have had nothing to say.

    A guest that did not boot fails one test and skips the others of its module.
    """
    if device.failure is not None:
        if device.told:
            pytest.skip("the guest did not boot: see the first failure of this module")
        device.told = True
        pytest.fail(str(device.failure), pytrace=False)
    settle(device.guest)
    yield device.guest
    new = set(device.guest.verdict()) - device.known
    device.known |= new
    assert not new, "the kernel said:\n" + "\n".join(str(finding) for finding in new)


@pytest.fixture
def observer(guest: Guest, device: Device) -> Observer:
    """An independent look at the guest's processes."""
    return device.observer


def settle(guest: Guest) -> None:
    """Wait until all components are ready."""
    guest.console.until(guest.model.settled, Deadline(SETTLE_S), "all components ready")


def oom_scores(guest: Guest) -> tuple[set[int], set[int]]:
    """The processes that the OOM killer takes last, and those that it takes as usual.

    Only the supervisor and rfork-run may be among the first.
    """
    each = "s=$(cat $p/oom_score_adj) && echo ${p#/proc/} $s $(tr '\\0' ' ' <$p/cmdline)"
    script = f"for p in /proc/[0-9]*; do {each}; done 2>/dev/null; true"
    last, usual = set(), set()
    for pid, score, *words in map(str.split, guest.shell.run(script).output.splitlines()):
        if not words:
            continue
        if score == "0":
            usual.add(int(pid))
            continue
        assert score == "-999", words
        assert words[0].endswith("rfork-run") or int(pid) == guest.model.supervisor_pid, words
        last.add(int(pid))
    return last, usual
