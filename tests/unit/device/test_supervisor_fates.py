# SPDX-License-Identifier: MIT
"""What becomes of those that need what has restarted."""

from __future__ import annotations

from koboshi.control import answer
from koboshi.supervisor import Supervisor

from tests.unit.device.fake_system import FakeSystem, Killed, World, boot, pump, sleep

FATES = """\
version = 1
[component.a]
command = ["/a"]
[component.b]
command = ["/b"]
needs = ["a"]
on_restart = { a = "restart" }
[component.c]
command = ["/c"]
needs = ["a"]
on_restart = { a = "leave" }
"""


def test_fates_of_dependents(world: World) -> None:
    """What wants to be restarted with what it needs is, once that is ready again; others are left alone."""
    supervisor = boot(world, FATES)
    assert world.names("b") == ["declared", "starting", "started", "ready"]
    world.runner("a").crash()
    pump(supervisor)
    assert world.names("b")[4:] == ["restart", "ready"]
    world.runner("a").finish("burst")
    pump(supervisor)
    sleep(supervisor, 2)
    assert world.names("b")[6:] == ["restart", "ready"]
    assert world.names("c") == ["declared", "starting", "started", "ready"]


def test_a_fate_outlives_the_supervisor(world: World) -> None:
    """A dependent's restart that was owed when the supervisor was killed is made by the next one."""
    supervisor = boot(world, FATES)
    system = supervisor.system
    assert isinstance(system, FakeSystem)
    world.runner("a").crash()
    calls = system.calls
    pump(supervisor)
    needed = system.calls - calls
    for kill_at in range(1, needed + 1):
        world = World()
        supervisor = boot(world, FATES)
        system = supervisor.system
        assert isinstance(system, FakeSystem)
        world.runner("a").crash()
        system.kill_at = system.calls + kill_at
        try:
            pump(supervisor)
        except Killed:
            boot(world)
        assert "restart" in world.names("b"), f"killed at call {kill_at} of {needed}"


def failing(world: World, supervisor: Supervisor, name: str, times: int) -> None:
    """Its runner gives it up so often, with time for another start in between, but not for a good run."""
    for _ in range(times):
        if world.holder(name) is not None:
            world.runner(name).finish("burst")
        pump(supervisor)
        sleep(supervisor, 4)


def test_waits_for_what_it_needs(world: World) -> None:
    """A failure while what it needs is not ready is not charged: it waits, and comes back with that."""
    supervisor = boot(world, FATES)
    world.slow = {"a"}
    world.runner("a").crash()
    pump(supervisor)
    before = supervisor.components["b"].used["cold"]
    failing(world, supervisor, "b", 40)
    assert supervisor.components["b"].state == "waiting"
    assert supervisor.components["b"].used["cold"] == before
    waiting = [record.keys for record in world.records() if record.event == "waiting"]
    assert waiting == [{"component": "b", "needs": "a"}]
    world.slow = set()
    world.runner("a").ready()
    pump(supervisor)
    assert supervisor.components["b"].state == "ready"
    assert "cold" not in world.names("b")


def test_waits_while_an_operator_has_stopped_it(world: World) -> None:
    """What an operator has stopped is missed by those that need it; that is no fault of theirs."""
    supervisor = boot(world, FATES)
    answer(supervisor, "stop", "a")
    pump(supervisor)
    failing(world, supervisor, "b", 40)
    assert supervisor.components["b"].state == "waiting"
    answer(supervisor, "start", "a")
    pump(supervisor)
    assert supervisor.components["b"].state == "ready"


def test_nobody_waits_for_what_is_given_up(world: World) -> None:
    """What it needs will not come back by itself, so it climbs its own ladder to the end."""
    supervisor = boot(world, FATES.replace('["/a"]', '["/a"]\ncold.attempts = 0\nladder.dependents = 0'))
    world.runner("a").finish("burst")
    pump(supervisor)
    assert supervisor.components["a"].state == "given-up"
    failing(world, supervisor, "b", 40)
    assert supervisor.components["b"].state == "given-up"


def test_a_vital_one_does_not_wait_for_ever(world: World) -> None:
    """It waits for what restarts; when that is given up, so is the device."""
    text = FATES.replace('["/b"]', '["/b"]\nvital = true')
    supervisor = boot(world, text.replace("[component.a]", "[component.a]\ncold.attempts = 1"))
    world.slow = {"a"}
    world.runner("a").crash()
    pump(supervisor)
    failing(world, supervisor, "b", 1)
    assert supervisor.components["b"].state == "waiting"
    failing(world, supervisor, "a", 40)
    assert supervisor.components["a"].state == "given-up"
    assert "given-up" in world.names("b")
    assert ("safe-state", "b") in [(record.event, record.component) for record in world.records()]


def test_restarts_of_others_are_counted(world: World) -> None:
    """Each restart that restarts another component is charged to the one that caused it, to the end."""
    supervisor = boot(world, FATES)
    for count in range(60):
        if world.holder("a") is not None:
            world.runner("a").crash("status", f"exit:{1 + count % 2}")
        pump(supervisor)
        sleep(supervisor, 2)
    assert supervisor.components["a"].state == "given-up"
    assert world.names("b").count("restart") <= 8
    ladder = [record.keys for record in world.records() if record.event == "ladder"]
    assert {"component": "a", "rung": "cold", "with": "b"} in ladder


def test_an_operator_may_restart_others(world: World) -> None:
    """An operator's restart is counted to nobody, also where it restarts others."""
    supervisor = boot(world, FATES)
    for _ in range(20):
        answer(supervisor, "restart", "a")
        pump(supervisor)
        sleep(supervisor, 1)
    assert supervisor.components["a"].used["cold"] == 0
    assert world.names("b").count("restart") == 20
