# SPDX-License-Identifier: MIT
"""The ladder: each rung when the ones below have not helped, and an end to it."""

from __future__ import annotations

import pytest
from koboshi.control import answer
from koboshi.supervisor import Supervisor
from koboshi.wire.slot import decode

from tests.unit.device.fake_system import World, boot, pump, sleep

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


def test_a_place_that_the_kernel_did_not_tell(world: World) -> None:
    """The kernel limits the rate of its lines: a fault without a place goes on with the row."""
    supervisor = boot(world, MANIFEST + DISK)
    for line in (HERE, "", HERE):
        crash(world, supervisor, line)
    assert rungs(world) == ["cold"]
