# SPDX-License-Identifier: MIT
"""kill -9 of the supervisor between any two system calls that change something: no loss, no duplicate."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from koboshi.control import answer
from koboshi.supervisor import Supervisor
from koboshi.wire.records import find

from tests.unit.device.fake_system import ETC, FakeSystem, Killed, World, boot, pump, sleep

MANIFEST = """\
version = 1
[component.a]
command = ["/a"]
cold = { attempts = 2, window_s = 60, delay_s = 1, delay_max_s = 1 }
[component.b]
command = ["/b"]
needs = ["a"]
[component.once]
command = ["/once"]
"""
CHANGED = MANIFEST.replace('"/b"', '"/b", "-x"').replace("component.once", "component.new")
OF_RUNNERS = ("started", "ready", "restart", "end")

Step = Callable[[World, Supervisor], None]


def _crash(world: World, _supervisor: Supervisor) -> None:
    world.runner("a").crash()
    world.runner("b").crash()


def _kill_runner(world: World, _supervisor: Supervisor) -> None:
    world.runner("b").end(-9)


def _burst(world: World, _supervisor: Supervisor) -> None:
    world.runner("a").finish("burst")


def _finish(world: World, _supervisor: Supervisor) -> None:
    holder = world.holder("once")
    if holder is not None:
        holder.finish("exit")


def _wait(_world: World, supervisor: Supervisor) -> None:
    sleep(supervisor, 3)


def _stop(_world: World, supervisor: Supervisor) -> None:
    answer(supervisor, "stop", "b")


def _start(_world: World, supervisor: Supervisor) -> None:
    answer(supervisor, "start", "b")


def _reload(world: World, supervisor: Supervisor) -> None:
    world.write(f"{ETC}/koboshi.toml", CHANGED.encode())
    answer(supervisor, "reload", None)


SCRIPTS: dict[str, list[Step]] = {
    "boot and crashes": [_crash, _crash],
    "the runner is killed": [_kill_runner, _wait, _crash],
    "cold starts, given up": [_burst, _wait, _burst, _wait, _burst, _wait],
    "a normal end": [_finish],
    "an operator": [_stop, _wait, _start, _wait],
    "reload": [_reload, _wait],
}


def _play(world: World, script: list[Step], kill_at: int) -> Supervisor | None:
    """The script with the supervisor killed once. None: it ended before that call."""
    world.write(f"{ETC}/koboshi.toml", MANIFEST.encode())
    killed = False
    try:
        supervisor = boot(world, kill_at=kill_at)
    except Killed:
        killed = True
        supervisor = boot(world)
    for step in script:
        try:
            if world.holder("b") is None and step in (_crash, _kill_runner):
                sleep(supervisor, 6)
            step(world, supervisor)
            pump(supervisor)
        except Killed:
            killed = True
            supervisor = boot(world)
            if step in (_stop, _start, _reload):
                # Whoever asked saw the connection break, and asks again.
                step(world, supervisor)
                pump(supervisor)
            _wait(world, supervisor)
    sleep(supervisor, 30)
    return supervisor if killed else None


def _check(world: World, supervisor: Supervisor) -> None:
    records = world.records()
    assert [record.seq for record in records] == list(range(1, len(records) + 1))
    for name, events in world.events.items():
        told = [(r.event, f"{r.time:.6f}") for r in records if r.component == name and r.event in OF_RUNNERS]
        assert told == events, f"{name}: not each event once and in order"
    seen = {record.seq for line in world.console.decode().splitlines() if (record := find(line))}
    assert seen == set(range(1, len(records) + 1))
    for name in ("boot", "all-ready"):
        assert [record.event for record in records].count(name) <= 1
    live = [runner for runner in world.runners.values() if runner.alive]
    assert sorted(runner.name for runner in live) == sorted(
        name for name, component in supervisor.components.items() if component.state == "ready"
    )
    assert all(runner.instance for runner in live)
    assert not world.sigkilled, "a stop that was committed was not carried out in time"


@pytest.mark.parametrize("name", SCRIPTS)
def test_killed_at_every_call(name: str) -> None:
    """Wherever the supervisor is killed, every event is logged once, and one copy of each component runs."""
    plain = World()
    calls = _count(plain, SCRIPTS[name])
    expected = _outcome(plain)
    assert calls > 20
    for kill_at in range(1, calls + 1):
        world = World()
        supervisor = _play(world, SCRIPTS[name], kill_at)
        assert supervisor is not None, f"call {kill_at} was never reached"
        try:
            _check(world, supervisor)
            assert _outcome(world) == expected
        except AssertionError as error:
            raise AssertionError(f"killed at call {kill_at} of {calls}: {error}") from error


def _count(world: World, script: list[Step]) -> int:
    world.write(f"{ETC}/koboshi.toml", MANIFEST.encode())
    supervisor = boot(world)
    for step in script:
        step(world, supervisor)
        pump(supervisor)
    system = supervisor.system
    assert isinstance(system, FakeSystem)
    calls = system.calls
    sleep(supervisor, 30)
    _check(world, supervisor)
    return calls


def _outcome(world: World) -> dict[str, tuple[str, ...]]:
    """Who runs in the end, with which command."""
    return {r.name: tuple(r.argv[r.argv.index("--") :]) for r in world.runners.values() if r.alive}
