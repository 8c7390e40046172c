# SPDX-License-Identifier: MIT
"""The ladder to its end, with real reboots, a watchdog and a disk: a device never reboots for ever."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from koboshi_desk.console.decoder import Record
from koboshi_desk.core.deadline import Deadline
from tests.image.conftest import Device
from workbench.buildroot import build as buildroot
from workbench.guest.booted import BOOT_S, Guest
from workbench.guest.qemu import Options
from workbench.image import cpio
from workbench.image import quick as quickimage
from workbench.image.bootable import Image

REBOOTS = 3
LIMIT_S = 3 * BOOT_S
AT_REST = {"stopped", "given-up", "ended"}
TOLD: list[Record] = []  # all boots of the module's guest; the model keeps the last records only
# `count` counts the boots on the disk; in each of them another vital component fails in another way.
# `crashing` waits for `beside`: the ladder has a rung for dependents only while one of them runs.
MANIFEST = """\
version = 1
[device]
record = "/data/koboshi"
reboots = 3
registers = true
watchdog = "/dev/watchdog"
watchdog_s = 20
[component.log]
command = ["/bin/busybox", "syslogd", "-n", "-O", "/run/log/messages"]
safe = true
[component.count]
command = ["/bin/sh", "-c", "echo $(($(cat /data/boots) + 1)) >/data/boots; sync; echo >/run/counted"]
ready = "file:/run/counted"
[component.crashing]
command = ["/bin/sh", "-c", '''
[ $(cat /data/boots) != 2 ] || { until [ -e /run/beside ]; do usleep 50000; done; kill -SEGV $$; }
exec sleep 100000''']
needs = ["count"]
vital = true
restart = { burst = 2 }
cold = { attempts = 1, delay_s = 0.2, delay_max_s = 0.2 }
[component.beside]
command = ["/bin/sh", "-c", ">/run/beside; exec sleep 100001"]
needs = ["crashing"]
[component.hanging]
command = ["/bin/sh", "-c", "[ $(cat /data/boots) = 3 ] || exit 0; >/run/hanging; exec sleep 100002"]
needs = ["count"]
vital = true
ready = "file:/run/hanging"
heartbeat_s = 0.5
cold = { attempts = 1, delay_s = 0.2, delay_max_s = 0.2 }
ladder = { same_fault = 2 }
[component.leaving]
command = ["/bin/sh", "-c", "[ $(cat /data/boots) != 4 ] || exit 3; exec sleep 100003"]
needs = ["count"]
vital = true
restart = { burst = 2 }
cold = { attempts = 0 }
"""


@pytest.fixture(scope="module", params=["quick", "core2-linux-2.6.23"])
def image(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Image:
    """The quick image, and Buildroot's of the older kernel where there is one, with this manifest."""
    folder = tmp_path_factory.mktemp("ladder")
    if request.param == "quick":
        (folder / "koboshi.toml").write_text(MANIFEST)
        return quickimage.build(folder / "koboshi.toml")
    if request.param not in buildroot.names():
        pytest.skip(f"{request.param} has not been built: ./dev image --board core2 --line linux-2.6.23")
    built = buildroot.find(request.param)
    shutil.copyfile(built.initrd, folder / "initrd")
    with (folder / "initrd").open("ab") as out:  # the kernel unpacks one archive after the other
        more = cpio.Writer(out)
        more.add("etc/koboshi/koboshi.toml", stat.S_IFREG | 0o644, MANIFEST.encode())
        more.close()
    return replace(built, initrd=folder / "initrd")


@pytest.fixture(scope="module")
def device(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Device]:
    """A guest with a small disk."""
    disk = tmp_path_factory.mktemp("disk") / "data"
    mke2fs = shutil.which("mke2fs") or "/sbin/mke2fs"
    subprocess.run(
        [mke2fs, "-q", "-t", "ext3", "-L", "koboshi-data", str(disk), "8M"], check=True, timeout=60
    )
    bus = "virtio" if image.name.startswith("quick") else "ide"
    # One CPU: these boots are about what outlives them.
    with Guest(image, Options(smp=1, drive=disk, drive_bus=bus)) as guest:
        device = Device(guest)
        TOLD.clear()
        guest.listen(lambda item: TOLD.append(item) if isinstance(item, Record) else None)
        device.boot()
        yield device
    disk.unlink()


@pytest.fixture
def guest(device: Device) -> Iterator[Guest]:
    """The guest as it is: here not everything is to run. The kernel must have had nothing to say."""
    assert device.failure is None, device.failure
    yield device.guest
    assert device.guest.verdict() == []


def records(event: str) -> list[Record]:
    """Those of this kind, of all boots."""
    return [record for record in TOLD if record.event == event]


def until_boot(guest: Guest, count: int) -> Record:
    """Wait for the `count`-th boot, and for what it says of how the last one ended."""
    guest.console.until(
        lambda: guest.model.boots >= count and len(records("reset")) >= count,
        Deadline(LIMIT_S, f"boot {count}"),
        f"boot {count}",
    )
    guest.shell.forget()
    return records("reset")[-1]


def status(guest: Guest) -> dict[str, Any]:
    """What koboshictl says."""
    found: dict[str, Any] = json.loads(guest.shell.run("koboshictl --json status", 60).output)
    return found


def test_every_crash_loop_ends(guest: Guest) -> None:
    """Every crash loop leads to the safe state in the end, which lasts until an operator ends it.

    One test, for each step begins where the one before has left the device.
    """
    crash_loops_end(guest)
    safe_state_lasts(guest)
    operator_ends_it(guest)


def crash_loops_end(guest: Guest) -> None:
    """A stopped supervisor, crashes and hangs each lead to a reboot; then exits to the safe state."""
    assert records("storage") == []
    assert records("reset")[0].fields["reason"] == "first"
    # The watchdog is not fed by a supervisor that stands still.
    guest.shell.run(f"kill -STOP {guest.model.supervisor_pid}")
    reset = until_boot(guest, 2)
    # Linux 2.6.23's i6300esb driver looks at the wrong bit for whether the watchdog has fired.
    reason = "unknown" if "2.6.23" in guest.image.name else "watchdog"
    assert (reset.fields["reason"], reset.fields["reboots"]) == (reason, "1")
    for count, name in ((2, "crashing"), (3, "hanging")):
        reset = until_boot(guest, count + 1)
        assert (reset.fields["reason"], reset.fields["component"]) == ("ladder", name)
        assert reset.fields["reboots"] == str(count)
    guest.console.until(lambda: bool(records("safe-state")), Deadline(LIMIT_S, "safe"), "the safe state")
    assert records("safe-state")[0].fields["component"] == "leaving"
    rungs = [(r.component, r.fields["rung"]) for r in records("ladder")]
    assert ("crashing", "dependents") in rungs
    assert ("hanging", "cold") in rungs
    assert [name for name, rung in rungs if rung == "reboot"] == ["crashing", "hanging"]


def safe_state_lasts(guest: Guest) -> None:
    """It can be logged into, only what is safe runs, and a reboot does not end it."""
    for boots in (REBOOTS + 1, REBOOTS + 2):
        guest.console.until(
            lambda: {c.state for name, c in guest.model.components.items() if name != "log"} <= AT_REST,
            Deadline(LIMIT_S, "at rest"),
            "what is not safe at rest",
        )
        now = status(guest)
        running = {name for name, c in now["components"].items() if c["state"] in ("running", "ready")}
        assert running == {"log"}
        assert now["device"]["safe"]
        assert guest.model.boots == boots
        if boots == REBOOTS + 1:
            guest.shell.send("reboot -f")
            until_boot(guest, boots + 1)


def operator_ends_it(guest: Guest) -> None:
    """After `resume` everything runs, and nothing is held against it."""
    guest.shell.run("echo 99 >/data/boots; koboshictl resume")  # and the fault is mended
    wanted = {"log", "crashing", "beside", "leaving"}
    guest.console.until(
        lambda: all(guest.model.components[name].state == "ready" for name in wanted),
        Deadline(LIMIT_S, "resume"),
        "all ready",
    )
    assert status(guest)["device"] == {"reset": "unknown", "safe": "", "reboots": 0, "storage": None}
    assert guest.console.decoder.counts.lost == 0
