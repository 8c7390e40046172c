# SPDX-License-Identifier: MIT
"""What the supervisor decides, on a made-up system: starts, restarts, ends."""

from __future__ import annotations

import pytest
from koboshi.control import answer

from tests.unit.device.fake_system import CHAIN, ONE, RUN, World, boot, pump, sleep, states


def test_first_records(world: World) -> None:
    """A boot is told in order: boot, the supervisor, the manifest, each component, and then what happens."""
    boot(world, ONE)
    records = world.records()
    expected = ["boot", "supervisor", "manifest", "declared", "starting", "started", "ready", "all-ready"]
    assert [record.event for record in records] == expected
    assert [record.seq for record in records] == list(range(1, 9))
    assert records[0].keys == {"id": "b0071d00", "kernel": "6.12.1", "rfork": "kernel", "components": "1"}
    assert world.console.decode().splitlines() == world.files[f"{RUN}/events"][1].decode().splitlines()


def test_budget_is_told(world: World) -> None:
    """What the ladder allows, and what of it is left at each cold start, is in the records."""
    supervisor = boot(world, ONE)
    world.runner("a").finish("burst", "signal:SIGSEGV")
    pump(supervisor)
    sleep(supervisor, 2)
    told = {record.event: record.keys for record in world.records()}
    assert told["declared"]["budget"] == "cold:3/60,dependents:1/3600,group:1/3600"
    assert told["cold"]["left"] == told["starting"]["left"] == "cold:2,dependents:1,group:1"


def test_order(world: World) -> None:
    """A component starts when all that it needs is ready, and not before."""
    world.slow = {"a"}
    supervisor = boot(world, CHAIN)
    assert states(supervisor) == {"a": "running", "b": "waiting", "c": "waiting"}
    world.runner("a").event("ready", "pid=1 gen=0 downtime_us=0")
    pump(supervisor)
    assert states(supervisor) == {"a": "ready", "b": "ready", "c": "ready"}
    starting = [record.component for record in world.records() if record.event == "starting"]
    assert starting == ["a", "b", "c"]


def test_independent_components_start_at_once(world: World) -> None:
    """What needs nothing does not wait for a slow neighbour."""
    world.slow = {"a"}
    supervisor = boot(world, 'version = 1\n[component.a]\ncommand = ["/a"]\n[component.b]\ncommand = ["/b"]')
    assert states(supervisor) == {"a": "running", "b": "ready"}
    assert "all-ready" not in [record.event for record in world.records()]


def test_warm_restart_is_told(world: World) -> None:
    """A restart by the kernel is recorded with all its keys and changes nothing but the figures."""
    supervisor = boot(world, ONE)
    world.runner("a").crash()
    pump(supervisor)
    restart = next(record for record in world.records() if record.event == "restart")
    assert restart.keys["cause"] == "error"
    assert restart.keys["latency_us"] == "143"
    shown = supervisor.components["a"].shown()
    assert shown["state"] == "ready"
    assert shown["restarts"] == {"warm": 1, "cold": 0}
    assert (shown["latency_us"], shown["downtime_us"], shown["generation"]) == (143, 5, 1)


def test_a_normal_end_is_an_end(world: World) -> None:
    """A component that ends normally is not started again, and what needs it may start."""
    world.slow = {"a"}
    supervisor = boot(world, CHAIN)
    world.runner("a").finish("exit")
    pump(supervisor)
    assert states(supervisor) == {"a": "ended", "b": "ready", "c": "ready"}


@pytest.mark.parametrize("status", ["exit:3", "signal:SIGKILL"])
def test_a_crash_is_no_normal_end(world: World, status: str) -> None:
    """A component that fails in a way that restart.on leaves out is started anew, and satisfies nothing."""
    world.slow = {"a"}
    supervisor = boot(world, CHAIN)
    world.runner("a").finish("exit", status)
    pump(supervisor)
    assert states(supervisor) == {"a": "restarting", "b": "waiting", "c": "waiting"}
    assert world.records()[-1].event == "cold"


def test_cold_back_off_and_given_up(world: World) -> None:
    """After its runner has ended a component is started anew with a growing delay, then given up."""
    supervisor = boot(world, ONE)
    for _ in range(4):
        world.runner("a").finish("burst", "signal:SIGSEGV")
        pump(supervisor)
        sleep(supervisor, 3)
    cold = [record.keys for record in world.records() if record.event == "cold"]
    assert [(keys["delay_ms"], keys["attempt"]) for keys in cold] == [
        ("1000", "1"),
        ("2000", "2"),
        ("2000", "3"),
    ]
    assert states(supervisor) == {"a": "given-up"}
    assert world.records()[-1].keys == {"component": "a", "attempts": "3"}


def test_the_delay_starts_over_after_a_good_run(world: World) -> None:
    """After a whole window without a cold start the next one has the first delay again, and all attempts."""
    supervisor = boot(world, ONE)
    for _ in range(5):
        world.runner("a").finish("burst")
        pump(supervisor)
        sleep(supervisor, 62)
    cold = [record.keys for record in world.records() if record.event == "cold"]
    assert [(keys["delay_ms"], keys["attempt"]) for keys in cold] == [("1000", "1")] * 5


def test_dependents_survive_a_given_up_need(world: World) -> None:
    """What needs a component that is given up keeps running."""
    supervisor = boot(world, CHAIN.replace('["/a"]', '["/a"]\ncold.attempts = 0\nladder.dependents = 0'))
    world.runner("a").finish("no-image")
    pump(supervisor)
    assert states(supervisor) == {"a": "given-up", "b": "ready", "c": "ready"}


def test_a_component_that_never_gets_ready_is_given_up(world: World) -> None:
    """However long each attempt takes: that it was never ready does not age."""
    world.slow = {"a"}
    supervisor = boot(world, ONE)
    for _ in range(4):
        sleep(supervisor, 100)
        world.runner("a").finish("burst", "signal:SIGKILL")
        pump(supervisor)
        sleep(supervisor, 3)
    assert states(supervisor) == {"a": "given-up"}


def test_what_waits_for_a_given_up_need_is_told(world: World) -> None:
    """Dependents not yet started are recorded as blocked, each once, and start when an operator helps."""
    world.slow = {"a"}
    supervisor = boot(world, CHAIN.replace('["/a"]', '["/a"]\ncold.attempts = 0'))
    world.runner("a").finish("burst")
    pump(supervisor)
    sleep(supervisor, 3)
    supervisor = boot(world)
    blocked = [record.keys for record in world.records() if record.event == "blocked"]
    assert sorted(blocked, key=lambda keys: keys["component"]) == [
        {"component": "b", "needs": "a"},
        {"component": "c", "needs": "b"},
    ]
    world.slow = set()
    answer(supervisor, "start", "a")
    pump(supervisor)
    assert states(supervisor) == {"a": "ready", "b": "ready", "c": "ready"}


def test_killed_runner(world: World) -> None:
    """A runner that is killed leaves no `end` record; the component comes back all the same, once."""
    supervisor = boot(world, ONE)
    world.runner("a").end(-9)
    pump(supervisor)
    assert states(supervisor) == {"a": "restarting"}
    sleep(supervisor, 2)
    assert states(supervisor) == {"a": "ready"}
    assert len([r for r in world.runners.values() if r.alive]) == 1


def test_an_instance_that_outlives_its_runner(world: World) -> None:
    """Exactly one copy: an instance whose runner was killed is ended before the next one is started."""
    supervisor = boot(world, ONE)
    runner = world.runner("a")
    orphan, start = runner.instance, world.processes[runner.instance]
    runner.end(-9)
    world.processes[orphan] = start
    pump(supervisor)
    sleep(supervisor, 2)
    assert orphan not in world.processes
    assert states(supervisor) == {"a": "ready"}


def test_no_rfork_run(world: World) -> None:
    """A runner that cannot be started is a cold attempt like any other; the reason is in the status."""
    world.no_rfork_run = True
    supervisor = boot(world, ONE)
    sleep(supervisor, 10)
    assert states(supervisor) == {"a": "given-up"}
    assert "cannot be started" in str(supervisor.components["a"].error)


def test_runner_that_refuses(world: World) -> None:
    """What rfork-run says when it fails is in the status."""
    world.slow = {"a"}
    supervisor = boot(world, ONE)
    world.write(f"{RUN}/a/errors", b"rfork-run: open /run/koboshi/a/lock: No space left on device\n")
    world.runner("a").end(111)
    pump(supervisor)
    assert supervisor.components["a"].error == "rfork-run: open /run/koboshi/a/lock: No space left on device"
    assert world.records()[-1].keys["error"] == "rfork-run: open /run/koboshi/a/lock: No space left on device"


def test_a_program_that_cannot_be_executed(world: World) -> None:
    """It is given up at once, with the reason in record and status, however many attempts are left."""
    world.slow = {"a"}
    supervisor = boot(world, ONE)
    world.runner("a").refuse("cannot%20execute%20/a:%20No%20such%20file%20or%20directory")
    pump(supervisor)
    assert world.names("a") == ["declared", "starting", "started", "end", "given-up"]
    assert world.records()[-1].keys["error"] == "cannot execute /a: No such file or directory"
    component = supervisor.components["a"]
    assert (component.state, component.error) == ("given-up", world.records()[-1].keys["error"])
    assert not supervisor.evidence.records()


def test_what_needs_it_is_not_started(world: World) -> None:
    """A program that cannot be executed was never ready; an operator's start tries it again."""
    world.slow = {"a"}
    supervisor = boot(world, CHAIN)
    world.runner("a").refuse("chdir%20/x:%20No%20such%20file%20or%20directory", "exit:111")
    pump(supervisor)
    assert states(supervisor) == {"a": "given-up", "b": "waiting", "c": "waiting"}
    world.slow = set()
    answer(supervisor, "start", "a")
    pump(supervisor)
    assert states(supervisor) == {"a": "ready", "b": "ready", "c": "ready"}
    assert supervisor.components["a"].error is None


def test_a_log_that_could_not_be_written(world: World) -> None:
    """The record of the end is lost, and what rfork-run complained of takes its place."""
    supervisor = boot(world, ONE)
    reason = "rfork-run: write /run/koboshi/a/events: Read-only file system"
    world.write(f"{RUN}/a/errors", f"{reason}\n".encode())
    world.runner("a").end(1)
    pump(supervisor)
    assert (world.records()[-1].event, world.records()[-1].keys["error"]) == ("cold", reason)


def test_why_it_is_given_up(world: World) -> None:
    """The last line of its output is in `cold` and in `given-up`, and not that of an earlier failure."""
    supervisor = boot(world, ONE.replace("attempts = 3", "attempts = 1"))
    world.says["a"] = b"Traceback\nModuleNotFoundError: No module named 'gps'\n"
    world.runner("a").finish("exit", "exit:1")
    pump(supervisor)
    sleep(supervisor, 2)
    world.says["a"] = b""
    world.runner("a").finish("exit", "exit:1")
    pump(supervisor)
    told = {r.event: r.keys.get("said") for r in world.records() if r.event in ("cold", "given-up")}
    assert told == {"cold": "ModuleNotFoundError: No module named 'gps'", "given-up": None}


def test_runner_used_wrongly(world: World) -> None:
    """After wrong use the reason is told, and not the hint after it."""
    supervisor = boot(world, ONE.replace("attempts = 3", "attempts = 0"))
    hint = b"(rfork-run --help lists the options)\n"
    world.write(f"{RUN}/a/errors", b"rfork-run: --user: 'nobdy' is not in /etc/passwd\n" + hint)
    world.runner("a").end(100)
    pump(supervisor)
    assert world.records()[-1].event == "given-up"
    assert world.records()[-1].keys["error"] == "rfork-run: --user: 'nobdy' is not in /etc/passwd"


def test_its_own_words(world: World) -> None:
    """What a component says of itself is recorded and shown."""
    supervisor = boot(world, ONE)
    world.runner("a").event("status", "pid=1 text=3%20satellites")
    pump(supervisor)
    assert supervisor.components["a"].shown()["says"] == "3 satellites"


def test_times_of_records_only_grow(world: World) -> None:
    """What the ladder decides is recorded after everything that the runner had told by then."""
    supervisor = boot(world, ONE + "\nladder.same_fault = 3")
    for _ in range(3):
        world.runner("a").crash()
    pump(supervisor)
    records = [record for record in world.records() if record.component == "a"]
    assert "ladder" in [record.event for record in records]
    assert [record.time for record in records] == sorted(record.time for record in records)


def test_a_start_that_failed_is_no_restart(world: World) -> None:
    """A cold restart is counted when the component runs again; UP is for what runs."""
    supervisor = boot(world, ONE)
    world.runner("a").finish("burst")
    pump(supervisor)
    world.no_rfork_run = True
    sleep(supervisor, 600)
    component = supervisor.components["a"]
    assert (component.state, component.cold) == ("given-up", 0)
    world.no_rfork_run = False
    answer(supervisor, "start", "a")
    pump(supervisor)
    assert component.cold == 0
    world.runner("a").finish("burst")
    pump(supervisor)
    sleep(supervisor, 3)
    assert (component.state, component.cold) == ("ready", 1)
