# SPDX-License-Identifier: MIT
"""Supervisors that come after one that has died, or after its files have."""

from __future__ import annotations

import json

import pytest

from tests.unit.device.fake_system import CHAIN, ONE, RUN, World, boot, pump, sleep, states


def test_adoption(world: World) -> None:
    """A new supervisor finds what runs by PID and start time, leaves it alone, and says so."""
    boot(world, CHAIN)
    before = {name: world.runner(name).pid for name in "abc"}
    world.runner("b").crash()
    supervisor = boot(world)
    assert {name: world.runner(name).pid for name in "abc"} == before
    assert supervisor.known.adopted == 3
    names = [record.event for record in world.records()]
    assert names.count("boot") == 1
    assert names.count("restart") == 1
    assert names[-6:] == ["adopted", "adopted", "adopted", "restart", "ready", "manifest"]


def test_a_reused_pid_is_not_adopted(world: World) -> None:
    """A process that has a runner's PID and another start time is not the runner: it is left alone."""
    boot(world, ONE)
    runner = world.runner("a")
    runner.end(-9)
    world.processes[runner.pid] = 999_999
    supervisor = boot(world)
    assert supervisor.known.adopted == 0
    sleep(supervisor, 2)
    assert world.runner("a").pid != runner.pid
    assert world.processes[runner.pid] == 999_999


def test_a_dead_runner_without_a_start_time_is_not_adopted(world: World) -> None:
    """A runner that was gone before its start time could be noted is not there."""
    boot(world, ONE)
    world.runner("a").end(-9)
    inode, data = world.files[f"{RUN}/state.json"]
    state = json.loads(data)
    state["components"]["a"]["runner_start"] = 0
    world.files[f"{RUN}/state.json"] = (inode, json.dumps(state).encode())
    assert boot(world).known.adopted == 0


def test_rotated_logs(world: World) -> None:
    """A runner's log that was rotated between two looks is read without loss or repetition."""
    supervisor = boot(world, ONE)
    for rotated in (True, False, True):
        world.runner("a").crash()
        if rotated:
            world.rotate("a")
        world.runner("a").crash()
        pump(supervisor)
    assert world.names("a").count("restart") == 6
    assert "lost" not in world.names("a")


def test_events_rotated_away_are_counted(world: World) -> None:
    """Events that nobody could read are counted, not passed over."""
    supervisor = boot(world, ONE)
    world.runner("a").crash()
    world.rotate("a")
    world.runner("a").crash()
    world.rotate("a")
    world.runner("a").crash()
    pump(supervisor)
    lost = next(record for record in world.records() if record.event == "lost")
    assert lost.keys == {"component": "a", "count": "2"}


def test_a_manifest_changed_while_it_was_dead(world: World) -> None:
    """A new supervisor acts on a changed manifest as on a reload."""
    boot(world, CHAIN)
    before = {name: world.runner(name).pid for name in "abc"}
    supervisor = boot(world, CHAIN.replace('["/b"]', '["/b", "-x"]'))
    assert states(supervisor) == {"a": "ready", "b": "ready", "c": "ready"}
    assert world.runner("b").pid != before["b"]
    assert world.runner("c").pid == before["c"]


def test_another_boot_begins_at_one(world: World) -> None:
    """State and log of an earlier boot are not this boot's."""
    boot(world, ONE)
    state = json.loads(world.files[f"{RUN}/state.json"][1])
    world.write(f"{RUN}/state.json", json.dumps({**state, "boot_id": "0therb00"}).encode())
    for runner in list(world.runners.values()):
        runner.end(-9)
    supervisor = boot(world)
    assert world.records()[0].seq == 1
    assert states(supervisor) == {"a": "ready"}


def test_a_lost_state_file(world: World) -> None:
    """Even without state.json what runs is found by its log, and no second copy is started."""
    boot(world, ONE)
    before, told = world.runner("a").pid, world.records()
    del world.files[f"{RUN}/state.json"]
    supervisor = boot(world)
    sleep(supervisor, 10)
    assert states(supervisor) == {"a": "ready"}
    assert [runner.pid for runner in world.runners.values() if runner.alive] == [before]
    # A reader of this boot's records takes a number that it has seen for a repetition.
    assert world.records()[: len(told)] == told
    numbers = [record.seq for record in world.records()]
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_log_that_was_removed(world: World) -> None:
    """Where numbers begin at 1 again, events are told apart by their times."""
    supervisor = boot(world, ONE)
    world.runner("a").crash()
    pump(supervisor)
    del world.files[f"{RUN}/a/events"]
    world.events["a"].clear()
    world.runner("a").crash()
    pump(supervisor)
    assert states(supervisor) == {"a": "ready"}
    assert world.names("a").count("restart") == 2
    supervisor = boot(world)
    world.runner("a").crash()
    pump(supervisor)
    assert world.names("a").count("restart") == 3
    assert "lost" not in world.names("a")


def test_a_log_that_was_made_again_with_the_same_inode(world: World) -> None:
    """A file shorter than what has been read of it is another one."""
    supervisor = boot(world, ONE + "ladder = { same_fault = 0 }\n")
    for _ in range(5):
        world.runner("a").crash()
    pump(supervisor)
    inode, _data = world.files[f"{RUN}/a/events"]
    world.files[f"{RUN}/a/events"] = (inode, b"")
    world.runner("a").crash()
    pump(supervisor)
    assert world.names("a").count("restart") == 6
    assert "lost" not in world.names("a")


@pytest.mark.parametrize("torn", ["rfork-run/1 3 101.5 end reason=bu torn !", "rfork-run/1 3 torn !"])
def test_half_a_line_that_was_ended(world: World, torn: str) -> None:
    """What rfork-run appends to half a line that it cannot cut off makes the line invalid."""
    supervisor = boot(world, ONE)
    inode, data = world.files[f"{RUN}/a/events"]
    world.files[f"{RUN}/a/events"] = (inode, data + torn.encode() + b"\n")
    world.runner("a").crash()
    pump(supervisor)
    assert states(supervisor) == {"a": "ready"}
    assert world.names("a").count("restart") == 1
    assert "end" not in world.names("a")


@pytest.mark.parametrize("missing", ["started", "restart"])
def test_a_lost_event_about_an_instance(world: World, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    """An instance that is ready is known, though the event that named it is lost with the log."""
    log = World.log

    def lossy(self: World, name: str, event: str, keys: str) -> None:
        if event == missing:
            self.events.setdefault(name, []).append((event, "lost"))
        else:
            log(self, name, event, keys)

    monkeypatch.setattr(World, "log", lossy)
    supervisor = boot(world, ONE)
    world.runner("a").crash()
    pump(supervisor)
    a = supervisor.components["a"]
    assert (a.state, a.pid, a.generation) == ("ready", world.runner("a").instance, 1)
    assert world.names("a").count("lost") == 1
