# SPDX-License-Identifier: MIT
"""Memory that a component uses up: it harms neither the supervisor nor another component."""

from __future__ import annotations

import pytest

from koboshi_desk.core.deadline import Deadline
from tests.image.conftest import HERE, oom_scores
from workbench.guest.booted import Guest
from workbench.guest.faults import KINDS, Fault, inject, kill_supervisor
from workbench.image import quick as quickimage
from workbench.image.bootable import Image

LIMIT_S = 120.0
# Of `hoarder`, whatever it leaves in memory and however often it is started.
LIMIT_KIB = 12 << 10
MANIFEST = """\
version = 1
[component.beside]
command = ["/bin/busybox", "sleep", "100000"]
user = "koboshi"
[component.filler]
command = ["/bin/sh", "-c", "until [ -e /run/go-fill ]; do usleep 50000; done; exec python3 -S /fill.py"]
user = "www-data"
[component.hoarder]
command = ["/bin/sh", "/hoard.sh"]
user = "nobody"
cgroup = { memory_mb = 12 }
restart = { burst = 1, window_s = 600 }
cold = { attempts = 2, delay_s = 0.1, delay_max_s = 0.1 }
"""
HOARD = b"""\
until [ -e /run/go-hoard ]; do usleep 50000; done
exec dd if=/dev/zero of=/dev/shm/hoard.$$ bs=64k
"""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """The quick image with components that use up what they get."""
    manifest = tmp_path_factory.mktemp("memory") / "koboshi.toml"
    manifest.write_text(MANIFEST)
    return quickimage.build(manifest, {"/fill.py": HERE / "fill.py", "/hoard.sh": HOARD})


def pids(guest: Guest) -> dict[str, int]:
    """What must not change."""
    found = {name: component.pid for name, component in guest.model.components.items() if name != "hoarder"}
    return {**found, "supervisor": guest.model.supervisor_pid}


def total_kib(guest: Guest) -> int:
    """The guest's memory."""
    return int(guest.shell.run("sed -n 's/MemTotal: *\\([0-9]*\\).*/\\1/p' /proc/meminfo").output)


def test_order_of_the_oom_killer(guest: Guest) -> None:
    """The supervisor and the runners come last, in every life of theirs; a component never does."""
    for again in (False, True):
        if again:
            kill_supervisor(guest)
            assert inject(guest, Fault("beside", KINDS["kill"])).problem == ""
        last, usual = oom_scores(guest)
        assert guest.model.supervisor_pid in last
        assert len(last) >= 2 + len(guest.model.components)  # with the keeper
        assert {component.pid for component in guest.model.components.values()} <= usual


def test_filled_memory(guest: Guest) -> None:
    """A component without limits fills all that it may write to, and everything else runs on."""
    before = pids(guest)
    guest.shell.run("touch /run/go-fill")
    output = "/run/koboshi/filler/output"
    guest.shell.run(f"until grep -q full {output}; do usleep 100000; done", LIMIT_S)
    got = {words[0]: [int(word) for word in words[1:]] for words in lines(guest, output)}
    ipc = got.pop("ipc")
    assert sum(kib for kib, _files in got.values()) + ipc[0] < total_kib(guest) // 2, got
    assert sum(files for _kib, files in got.values()) < 10000, got
    assert ipc[1] < 100
    assert {folder for folder, used in got.items() if used[0]} == {"/tmp", "/dev/shm"}
    assert "filler" in guest.shell.run("koboshictl status").output
    assert pids(guest) == before
    assert inject(guest, Fault("beside", KINDS["kill"])).problem == ""
    guest.shell.run("rm -f /run/go-fill /tmp/fill /tmp/fill.* /dev/shm/fill*; koboshictl restart filler")


def lines(guest: Guest, path: str) -> list[list[str]]:
    """The words of a file's lines but the last."""
    return [line.split() for line in guest.shell.run(f"cat {path}").output.splitlines()[:-1]]


def test_a_limit_holds_over_cold_starts(guest: Guest) -> None:
    """What a component has left in memory stays charged to it, until it is given up."""
    before = pids(guest)
    guest.shell.run("touch /run/go-hoard")
    guest.console.until(
        lambda: guest.model.components["hoarder"].state == "given-up",
        Deadline(LIMIT_S, "given up"),
        "given up",
    )
    held = int(guest.shell.run("du -sk /dev/shm").output.split()[0])
    assert LIMIT_KIB // 2 < held <= LIMIT_KIB
    assert pids(guest) == before
