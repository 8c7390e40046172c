# SPDX-License-Identifier: MIT
"""What becomes of those that need what has restarted."""

from __future__ import annotations

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
