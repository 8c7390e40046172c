# SPDX-License-Identifier: MIT
"""The ladder's last rungs, which are the device's: reboots, and the safe state."""

from __future__ import annotations

import json

import pytest
from koboshi.control import answer
from koboshi.supervisor import Supervisor

from tests.unit.device.fake_system import ETC, RUN, FakeSystem, Killed, World, boot, pump, sleep
from tests.unit.device.state.test_ladder import (
    DISK,
    MANIFEST,
    STEPS,
    climb,
    fail,
    lasting,
    pids,
    world,
)

__all__ = ["world"]


def next_boot(world: World) -> Supervisor:
    """The machine has rebooted."""
    world.restart()
    return boot(world)


def test_a_device_never_reboots_for_ever(world: World) -> None:
    """As many reboots as allowed, then the safe state; and there it stays, also over further boots."""
    supervisor = boot(world, MANIFEST + DISK)
    for count in (1, 2):
        climb(world, supervisor)
        assert world.reboots == count
        assert lasting(world)["phase"] == "ladder"
        supervisor = next_boot(world)
        reset = next(r for r in world.records() if r.event == "reset")
        assert (reset.keys["reason"], reset.keys["component"]) == ("ladder", "a")
        assert (reset.keys["reboots"], reset.keys["of"]) == (str(count), "2")
    climb(world, supervisor)
    sleep(supervisor, 20)
    assert world.reboots == 2
    assert set(pids(world)) == {"e"}
    assert supervisor.committed.status()["device"] == {
        "reset": "ladder",
        "safe": "2 reboots have not helped",
        "reboots": 2,
        "storage": None,
    }
    for _ in range(3):
        supervisor = next_boot(world)
        sleep(supervisor, 1000)
        assert set(pids(world)) == {"e"}
        assert supervisor.components["a"].state == "stopped"
    assert world.reboots == 2


def test_an_operator_ends_the_safe_state(world: World) -> None:
    """`resume` starts everything and gives all budgets back, for this boot and the next ones."""
    supervisor = boot(world, MANIFEST + DISK.replace("reboots = 2", "reboots = 0"))
    climb(world, supervisor)
    sleep(supervisor, 20)
    assert set(pids(world)) == {"e"}
    assert answer(supervisor, "resume", None) == {"ok": True}
    pump(supervisor)
    assert set(pids(world)) == set("abcde")
    assert answer(supervisor, "resume", None)["ok"] is False
    sleep(supervisor, 70)
    next_boot(world)
    assert set(pids(world)) == set("abcde")


@pytest.mark.parametrize("reason", ["absent", "none", "full"])
def test_without_storage_there_is_no_reboot(world: World, reason: str) -> None:
    """Where nothing would outlive a reboot, the safe state comes instead, and this is told, loudly."""
    text = MANIFEST if reason == "none" else MANIFEST + DISK
    world.volatile = "is on tmpfs, which a reboot empties" if reason == "absent" else ""
    supervisor = boot(world, text)
    told = "full" if reason == "full" else "storage"
    assert (told in [record.event for record in world.records()]) == (reason != "full")
    world.disk_error = "No space left on device" if reason == "full" else ""
    climb(world, supervisor)
    sleep(supervisor, 20)
    assert world.reboots == 0
    assert set(pids(world)) == {"e"}
    assert "storage" in [record.event for record in world.records()]


def test_out_of_service_too_long(world: World) -> None:
    """A vital component that does not come into service in its time is as good as given up."""
    world.slow = {"a"}
    supervisor = boot(world, MANIFEST + DISK)
    sleep(supervisor, 49)
    assert world.reboots == 0
    sleep(supervisor, 2)
    assert world.reboots == 1
    assert "out of service" in str(lasting(world)["why"])


def test_what_an_operator_stopped_is_not_missed(world: World) -> None:
    """A vital component that an operator stopped is no reason to reboot."""
    supervisor = boot(world, MANIFEST + DISK)
    answer(supervisor, "stop", "a")
    pump(supervisor)
    sleep(supervisor, 500)
    assert world.reboots == 0


def test_good_service_brings_reboots_back(world: World) -> None:
    """The budget of reboots leaks while all is well, and only then."""
    supervisor = boot(world, MANIFEST + DISK)
    climb(world, supervisor)
    supervisor = next_boot(world)
    assert lasting(world)["reboots"] == 1
    sleep(supervisor, 61)
    assert lasting(world)["phase"] == "good"
    sleep(supervisor, 501)
    assert lasting(world)["reboots"] == 0


def test_a_reboot_that_does_not_happen(world: World) -> None:
    """It is tried again, and the watchdog is not fed any more."""
    watched = DISK.replace("reboots = 2", 'reboots = 2\nwatchdog = "/dev/watchdog"')
    supervisor = boot(world, MANIFEST + watched)
    sleep(supervisor, 60)
    assert world.fed >= 5
    climb(world, supervisor)
    assert world.reboots >= 1
    fed = world.fed
    sleep(supervisor, 60)
    assert world.fed == fed
    assert world.reboots > 5


def test_a_component_that_does_not_stop(world: World) -> None:
    """A reboot waits for nobody for ever."""
    supervisor = boot(world, MANIFEST + DISK)
    world.stubborn = {"e"}
    for _ in range(STEPS + 1):
        fail(world, supervisor)
    sleep(supervisor, 15)
    assert world.reboots >= 1


@pytest.mark.parametrize(
    ("phase", "fired", "reason", "count"),
    [
        ("booting", False, "unknown", 1),
        ("good", False, "unknown", 0),
        ("good", True, "watchdog", 1),
        ("booting", True, "watchdog", 1),
        ("ordered", False, "ordered", 0),
    ],
)
def test_resets(world: World, phase: str, fired: bool, reason: str, count: int) -> None:
    """A reset before a good run, and one by the watchdog, counts; a power cut in good service does not."""
    watched = DISK.replace("reboots = 2", 'reboots = 2\nwatchdog = "/dev/watchdog"')
    supervisor = boot(world, MANIFEST + watched)
    if phase == "good":
        sleep(supervisor, 62)
    if phase == "ordered":
        supervisor.turn([("signal", 15)])
        pump(supervisor)
    assert lasting(world)["phase"] == phase
    world.fired = fired
    next_boot(world)
    reset = next(r for r in world.records() if r.event == "reset")
    assert (reset.keys["reason"], reset.keys["reboots"]) == (reason, str(count))


def test_resets_that_no_ladder_ordered_end_too(world: World) -> None:
    """A device that is reset before each good run ends in the safe state."""
    boot(world, MANIFEST + DISK)
    for _ in range(2):
        supervisor = next_boot(world)
        assert supervisor.device.safe == ""
    supervisor = next_boot(world)
    pump(supervisor)
    assert set(pids(world)) == {"e"}


def test_sigterm_to_the_supervisor_alone(world: World) -> None:
    """Its successor takes the boot up again: a power cut after that is not taken for an ordered reboot."""
    supervisor = boot(world, MANIFEST + DISK)
    supervisor.turn([("signal", 15)])
    pump(supervisor)
    assert supervisor.done()
    boot(world)
    assert lasting(world)["phase"] == "booting"


def test_killed_at_every_call_of_a_reboot(world: World) -> None:
    """Wherever the supervisor is killed on the way to a reboot, it happens, and is counted once."""

    def last_step(kill_at: int) -> tuple[World, int]:
        world = World()
        world.volatile = ""
        supervisor = boot(world, MANIFEST + DISK)
        for _ in range(STEPS):
            fail(world, supervisor)
        system = supervisor.system
        assert isinstance(system, FakeSystem)
        system.kill_at = system.calls + kill_at if kill_at else 0
        before = system.calls
        try:
            fail(world, supervisor)
        except Killed:
            supervisor = boot(world)
            sleep(supervisor, 30)
        return world, system.calls - before

    plain, calls = last_step(0)
    assert plain.reboots == 1
    assert calls > 10
    for kill_at in range(1, calls + 1):
        killed, _calls = last_step(kill_at)
        # One who was killed just after the reboot was ordered orders it again: the first one had no effect.
        assert killed.reboots >= 1, f"killed at call {kill_at} of {calls}"
        assert lasting(killed)["reboots"] == 1, f"killed at call {kill_at} of {calls}"
        assert pids(killed) == {}


def test_state_of_a_reboot_is_committed_first(world: World) -> None:
    """What state.json says about the device is what the next supervisor goes on with."""
    supervisor = boot(world, MANIFEST + DISK)
    climb(world, supervisor)
    state = json.loads(world.files[f"{RUN}/state.json"][1])
    assert state["device"]["reboot"] == ["a", "given-up"]


def test_a_reload_of_the_device_table(world: World) -> None:
    """Storage and watchdog named later are used from then on."""
    supervisor = boot(world, MANIFEST)
    assert [r.keys["error"] for r in world.records() if r.event == "storage"] == ["none is configured"]
    world.write(f"{ETC}/koboshi.toml", (MANIFEST + DISK).encode())
    assert answer(supervisor, "reload", None) == {"ok": True}
    climb(world, supervisor)
    assert world.reboots == 1


def test_a_record_that_another_supervisor_has(world: World) -> None:
    """Two supervisors do not write the same sectors: the second one says why it keeps nothing."""
    world.volatile = ""
    world.locked_by["/data/lock"] = 4711
    supervisor = boot(world, 'version = 1\n[component.a]\ncommand = ["/a"]\n[device]\nrecord = "/data"\n')
    assert supervisor.device.lasting is None
    assert supervisor.device.error == "is in use by the supervisor with PID 4711"
    assert not any(path.startswith("/data/ladder") for path in world.files)
