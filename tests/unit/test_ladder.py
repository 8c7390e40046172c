# SPDX-License-Identifier: MIT
"""The ladder: each rung when the ones below have not helped, and an end to it."""

from __future__ import annotations

import json

import pytest
from koboshi.control import answer
from koboshi.lasting import decode
from koboshi.supervisor import Supervisor

from tests.unit.fake_system import ETC, RUN, FakeSystem, Killed, World, boot, pump, sleep

DISK = '[device]\nrecord = "/data"\nreboots = 2\nreboot_window_s = 1000\nvital_s = 50\n'
# a is what fails; b needs it; c is of its group, and d needs that; e is on its own.
MANIFEST = """\
version = 1
[component.a]
command = ["/a"]
group = "g"
vital = true
cold = { attempts = 2, window_s = 60, delay_s = 1, delay_max_s = 2 }
ladder = { same_fault = 3, good_run_s = 10, dependents = 1, group = 1, window_s = 100 }
[component.b]
command = ["/b"]
needs = ["a"]
[component.c]
command = ["/c"]
group = "g"
[component.d]
command = ["/d"]
needs = ["c"]
[component.e]
command = ["/e"]
safe = true
"""
STEPS = 4  # cold, cold, with dependents, group


@pytest.fixture
def world() -> World:
    """A made-up Linux with a disk."""
    world = World()
    world.volatile = ""
    return world


def fail(world: World, supervisor: Supervisor) -> None:
    """The runner of a gives up; then there is time to come back."""
    world.runner("a").finish("burst", "signal:SIGSEGV")
    pump(supervisor)
    sleep(supervisor, 3)


def pids(world: World) -> dict[str, int]:
    """Who runs, by runner."""
    return {runner.name: runner.pid for runner in world.runners.values() if runner.alive}


def changed(world: World, supervisor: Supervisor) -> set[str]:
    """Whose runner is another one after a failure of a."""
    before = pids(world)
    fail(world, supervisor)
    after = pids(world)
    assert set(after) == set(before)
    return {name for name in before if after[name] != before[name]}


def rungs(world: World) -> list[str]:
    """What the records say about the ladder."""
    return [record.keys["rung"] for record in world.records() if record.event == "ladder"]


def climb(world: World, supervisor: Supervisor) -> None:
    """Fail until the device reboots or is in the safe state."""
    for _ in range(STEPS + 1):
        if world.holder("a") is not None:
            fail(world, supervisor)


def lasting(world: World) -> dict[str, object]:
    """What is on the disk."""
    slots = [decode(world.files[path][1]) for path in world.files if path.startswith("/data/ladder.")]
    found = [slot for slot in slots if slot is not None]
    return max(found)[1]


def test_each_rung_in_turn(world: World) -> None:
    """Cold alone, then with those that need it, then with its group and those that need that."""
    supervisor = boot(world, MANIFEST + DISK)
    assert changed(world, supervisor) == {"a"}
    assert changed(world, supervisor) == {"a"}
    assert changed(world, supervisor) == {"a", "b"}
    assert changed(world, supervisor) == {"a", "b", "c", "d"}
    assert rungs(world) == ["dependents", "group"]
    assert world.reboots == 0
    fail(world, supervisor)
    assert rungs(world)[-1] == "reboot"
    assert world.reboots == 1
    assert pids(world) == {}


def test_dependents_stop_before_what_they_need(world: World) -> None:
    """On the way down a dependent goes first, and on the way up it comes last."""
    supervisor = boot(world, MANIFEST + DISK)
    for _ in range(STEPS):
        before = len(world.records())
        fail(world, supervisor)
    told = [(r.component, r.event) for r in world.records()[before:]]
    assert told.index(("d", "stopping")) < told.index(("c", "stopping"))
    assert told.index(("a", "ready")) < told.index(("b", "starting"))


def test_rungs_that_would_change_nothing_are_left_out(world: World) -> None:
    """A component that nothing needs, of no group, goes from cold starts to given up."""
    text = 'version = 1\n[component.a]\ncommand = ["/a"]\ncold = { attempts = 1, delay_s = 1 }\n'
    supervisor = boot(world, text)
    fail(world, supervisor)
    fail(world, supervisor)
    assert supervisor.components["a"].state == "given-up"
    assert rungs(world) == []


def test_service_brings_budgets_back(world: World) -> None:
    """Time in service refills the lower rungs; time spent waiting does not."""
    supervisor = boot(world, MANIFEST + DISK)
    for _ in range(3):
        fail(world, supervisor)
    assert rungs(world) == ["dependents"]
    sleep(supervisor, 70)
    assert changed(world, supervisor) == {"a"}
    assert changed(world, supervisor) == {"a"}
    assert rungs(world) == ["dependents"]


def test_an_operator_starts_at_the_bottom(world: World) -> None:
    """What an operator starts has all its budgets; what he restarts is not counted."""
    supervisor = boot(world, MANIFEST + DISK)
    for _ in range(STEPS):
        fail(world, supervisor)
    answer(supervisor, "stop", "a")
    pump(supervisor)
    answer(supervisor, "start", "a")
    pump(supervisor)
    for _ in range(20):
        answer(supervisor, "restart", "a")
        pump(supervisor)
    assert changed(world, supervisor) == {"a"}


def test_what_an_operator_stopped_is_not_taken_along(world: World) -> None:
    """A stopped dependent is not started by another's ladder."""
    supervisor = boot(world, MANIFEST + DISK)
    answer(supervisor, "stop", "b")
    pump(supervisor)
    for _ in range(STEPS):
        fail(world, supervisor)
    assert supervisor.components["b"].state == "stopped"
    assert "b" not in pids(world)


def test_the_next_supervisor_goes_on(world: World) -> None:
    """The ladder stands where it stood when the supervisor is killed."""
    supervisor = boot(world, MANIFEST + DISK)
    for _ in range(3):
        fail(world, supervisor)
        supervisor = boot(world)
    assert changed(world, supervisor) == {"a", "b", "c", "d"}


# The same fault


def crash(world: World, supervisor: Supervisor, line: str = "") -> None:
    """A crash that the kernel restarts, with what it may have said about it."""
    runner = world.runner("a")
    if line:
        world.kmsg.append(line.format(pid=runner.instance))
    runner.crash()
    pump(supervisor)


HERE = (
    "a[{pid}]: segfault at 0 ip 0000000000401136 sp 00007ffc error 4 in a[1136,401000+1000] likely on CPU 0"
)
THERE = HERE.replace("1136", "1f00")


def test_the_same_fault_again_and_again(world: World) -> None:
    """Faults alike, however slowly they come, end in a cold start and then climb; the place is told."""
    supervisor = boot(world, MANIFEST + DISK)
    for _ in range(3):
        assert rungs(world) == []
        crash(world, supervisor, HERE)
        sleep(supervisor, 5)
    record = next(r for r in world.records() if r.event == "ladder")
    assert record.keys["fault"] == "error signal:SIGSEGV a+0x1136"
    assert (record.keys["rung"], record.keys["same"]) == ("cold", "3")
    assert supervisor.components["a"].state == "ready"
    crash(world, supervisor, HERE)  # known by now: no three more
    sleep(supervisor, 5)
    crash(world, supervisor, HERE)
    sleep(supervisor, 5)
    assert "dependents" in rungs(world)


def test_another_fault_counts_anew(world: World) -> None:
    """Faults in different places are restarted by the kernel as ever."""
    supervisor = boot(world, MANIFEST + DISK)
    for line in (HERE, HERE, THERE, HERE, HERE, THERE):
        crash(world, supervisor, line)
    assert rungs(world) == []


def test_a_good_run_ends_the_row(world: World) -> None:
    """The same fault once a while is no row."""
    supervisor = boot(world, MANIFEST + DISK)
    for _ in range(9):
        crash(world, supervisor, HERE)
        sleep(supervisor, 11)
    assert rungs(world) == []


def test_a_stop_while_it_is_stopped_for_a_cold_start(world: World) -> None:
    """An operator's stop wins over the ladder."""
    supervisor = boot(world, MANIFEST + DISK)
    world.stubborn = {"a"}
    for _ in range(3):
        crash(world, supervisor)
    assert supervisor.components["a"].state == "stopping"
    answer(supervisor, "stop", "a")
    sleep(supervisor, 30)
    assert supervisor.components["a"].state == "stopped"


# Reboots and the safe state


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
    assert supervisor.status()["device"] == {
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
