# SPDX-License-Identifier: MIT
"""Nothing is done before it is committed; shutdowns; a console and files that take nothing."""

from __future__ import annotations

import json
import signal

import pytest
from koboshi.control import answer
from koboshi.wire.records import find

from tests.unit.device.fake_system import CHAIN, ONE, RUN, World, boot, pump, sleep, states


def test_shutdown_in_reverse_order(world: World) -> None:
    """SIGTERM stops everything, dependents first; the next supervisor starts it again."""
    supervisor = boot(world, CHAIN)
    supervisor.turn([("signal", 15)])
    pump(supervisor)
    assert supervisor.done()
    stopped = [record.component for record in world.records() if record.event == "stopped"]
    assert stopped == ["c", "b", "a"]
    assert states(boot(world)) == {"a": "ready", "b": "ready", "c": "ready"}


def test_a_runner_stopped_by_the_shutdown_itself(world: World) -> None:
    """Where a power-off sends SIGTERM to everything at once, a runner that ends first is no failure."""
    supervisor = boot(world, CHAIN)
    for name in "abc":
        world.runner(name).signal(signal.SIGTERM)
    supervisor.turn([("signal", signal.SIGTERM), ("signal", signal.SIGCHLD)])
    pump(supervisor)
    assert supervisor.done()
    assert [world.names(name)[-1] for name in "abc"] == ["stopped"] * 3
    assert not {"cold", "given-up"} & {record.event for record in world.records()}


def test_a_runner_that_somebody_stops(world: World) -> None:
    """A SIGTERM to one runner alone is nobody's wish: the component is started anew."""
    supervisor = boot(world, ONE)
    world.runner("a").signal(signal.SIGTERM)
    pump(supervisor)
    assert states(supervisor) == {"a": "restarting"}


def test_nothing_is_done_before_it_is_committed(world: World) -> None:
    """On a full /run a wish is refused and held back, and carried out once there is space again."""
    supervisor = boot(world, ONE)
    world.full = True
    before = len(world.records())
    assert "cannot be written" in str(answer(supervisor, "stop", "a")["error"])
    pump(supervisor)
    sleep(supervisor, 3)
    assert world.runner("a").alive
    assert len(world.records()) == before
    world.full = False
    sleep(supervisor, 2)
    assert states(supervisor) == {"a": "stopped"}
    assert world.names("a")[-3:] == ["stopping", "end", "stopped"]
    assert supervisor.timeout() is None


def test_held_back_starts_are_one(world: World) -> None:
    """A start that was held back, taken back and wanted again starts one runner."""
    supervisor = boot(world, ONE)
    answer(supervisor, "stop", "a")
    pump(supervisor)
    world.full = True
    for wish in ("start", "stop", "start"):
        answer(supervisor, wish, "a")
        pump(supervisor)
        # Its runner never began: noticed at the next look.
        supervisor.runners.catch_up()
        supervisor.settle()
    world.full = False
    sleep(supervisor, 10)
    assert states(supervisor) == {"a": "ready"}
    assert len(world.runners) == 2


def test_shutdown_with_a_full_disk(world: World) -> None:
    """A shutdown does not wait for space."""
    supervisor = boot(world, CHAIN)
    world.full = True
    supervisor.turn([("signal", signal.SIGTERM)])
    pump(supervisor)
    assert supervisor.done()
    assert not any(runner.alive for runner in world.runners.values())


def test_no_wake_ups_when_nothing_happens(world: World) -> None:
    """With everything ready there is no deadline to wake up for."""
    assert boot(world, CHAIN).timeout() is None


def test_slow_console(world: World) -> None:
    """A line that the console takes in pieces comes out whole; lines that never fit are counted."""
    world.console_takes = 10
    supervisor = boot(world, ONE + "ladder = { same_fault = 0 }\n")
    console = supervisor.journal.console
    console.limit = 2000
    for _ in range(20):
        world.runner("a").crash()
        pump(supervisor)
    assert console.lost > 0
    world.console_takes = 1 << 30
    supervisor.turn([("console", 0)])
    lines = world.console.decode().splitlines()
    lost = world.records()[-1]
    assert lost.event == "lost"
    assert [record.seq for record in world.records()] == list(range(1, len(world.records()) + 1))
    assert len(lines) + int(lost.keys["count"]) == len(world.records())
    assert lines[0] == world.files[f"{RUN}/events"][1].decode().splitlines()[0]


def test_status_file(world: World) -> None:
    """status.json is the reply to `status`, and is there after every change."""
    supervisor = boot(world, ONE)
    status = json.loads(world.files[f"{RUN}/status.json"][1])
    assert status["components"] == supervisor.committed.status()["components"]
    assert status["components"]["a"]["state"] == "ready"
    assert status["supervisor"]["start"] == 1


@pytest.mark.parametrize("room", [0, 1, 70, 71, 500])
@pytest.mark.parametrize("killed", [False, True])
def test_a_log_that_takes_not_all(world: World, room: int, *, killed: bool) -> None:
    """What does not fit on a full disk is in the log once there is room, once, also after a kill."""
    supervisor = boot(world, ONE)
    world.log_takes = room
    for _ in range(3):
        world.runner("a").crash()
        pump(supervisor)
    world.log_takes = 1 << 30
    if killed:
        supervisor = boot(world)
    sleep(supervisor, 2)
    told = [record.seq for record in world.records()]
    assert told == list(range(1, len(told) + 1))
    assert world.names("a").count("restart") == 3
    assert supervisor.committed.log_at is None


def test_a_status_file_that_was_not_taken(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk with room for state.json only gets status.json later, without another change."""
    supervisor = boot(world, ONE)
    replace = supervisor.system.replace

    def short(path: str, data: bytes, durable: bool = True, private: bool = True) -> bool:
        return not path.endswith("status.json") and replace(path, data, durable, private)

    monkeypatch.setattr(supervisor.system, "replace", short)
    answer(supervisor, "stop", "a")
    pump(supervisor)
    assert json.loads(world.files[f"{RUN}/status.json"][1])["components"]["a"]["state"] == "ready"
    monkeypatch.undo()
    sleep(supervisor, 2)
    assert json.loads(world.files[f"{RUN}/status.json"][1])["components"]["a"]["state"] == "stopped"
    assert supervisor.committed.log_at is None


def test_half_a_record_in_the_log(world: World) -> None:
    """Half a line at the end of the log counts for nothing, and the next record is a line of its own."""
    boot(world, ONE)
    inode, data = world.files[f"{RUN}/events"]
    count = len(world.records())
    world.files[f"{RUN}/events"] = (inode, data + b"koboshi/1 9999 1.0 ready component=a")
    supervisor = boot(world)
    lines = world.files[f"{RUN}/events"][1].decode().splitlines()
    assert len(lines) == len(world.records()) > count
    assert [find(line) for line in supervisor.journal.recent(len(lines) + 9)] == world.records()
    assert supervisor.journal.recent(2) == lines[-2:]


def test_a_record_without_its_newline(world: World) -> None:
    """A kill within the last byte loses no record: what the next write cuts off is written again."""
    boot(world, ONE)
    before = world.records()
    inode, data = world.files[f"{RUN}/events"]
    world.files[f"{RUN}/events"] = (inode, data[:-1])
    boot(world)
    assert world.records()[: len(before)] == before
