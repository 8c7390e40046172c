# SPDX-License-Identifier: MIT
"""What the supervisor decides, on a made-up system."""

from __future__ import annotations

import json
import signal

import pytest
from koboshi.control import answer
from koboshi.supervisor import Supervisor

from tests.unit.fake_system import ETC, RUN, FakeSystem, Killed, World, boot, pump, sleep

CHAIN = """\
version = 1
[component.c]
command = ["/c"]
needs = ["b"]
[component.b]
command = ["/b"]
needs = ["a"]
[component.a]
command = ["/a"]
"""
ONE = (
    'version = 1\n[component.a]\ncommand = ["/a"]\n'
    + "cold = { attempts = 3, window_s = 60, delay_s = 1, delay_max_s = 2 }\n"
)


@pytest.fixture
def world() -> World:
    """A made-up Linux."""
    return World()


def states(supervisor: Supervisor) -> dict[str, str]:
    """Every component's state."""
    return {name: component.state for name, component in supervisor.components.items()}


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
    world.write(f"{RUN}/a/errors", b"rfork-run: chdir /nowhere: No such file or directory\n")
    world.runner("a").end(111)
    pump(supervisor)
    assert supervisor.components["a"].error == "rfork-run: chdir /nowhere: No such file or directory"
    assert world.records()[-1].keys["error"] == "rfork-run: chdir /nowhere: No such file or directory"


def test_runner_used_wrongly(world: World) -> None:
    """After wrong use the reason is told, and not the hint after it."""
    supervisor = boot(world, ONE.replace("attempts = 3", "attempts = 0"))
    hint = b"(rfork-run --help lists the options)\n"
    world.write(f"{RUN}/a/errors", b"rfork-run: --user: 'nobdy' is not in /etc/passwd\n" + hint)
    world.runner("a").end(100)
    pump(supervisor)
    assert world.records()[-1].event == "given-up"
    assert world.records()[-1].keys["error"] == "rfork-run: --user: 'nobdy' is not in /etc/passwd"


def test_operator_stop_and_start(world: World) -> None:
    """A stop stops, is recorded as the operator's, and lasts; a start begins anew."""
    supervisor = boot(world, ONE)
    assert answer(supervisor, "stop", "a")["ok"]
    pump(supervisor)
    assert states(supervisor) == {"a": "stopped"}
    assert world.names("a")[-3:] == ["stopping", "end", "stopped"]
    supervisor = boot(world)
    assert states(supervisor) == {"a": "stopped"}
    assert answer(supervisor, "start", "a")["ok"]
    pump(supervisor)
    assert states(supervisor) == {"a": "ready"}


def test_operator_restart(world: World) -> None:
    """A restart is the runner's work, and is not counted as a cold attempt."""
    supervisor = boot(world, ONE)
    assert answer(supervisor, "restart", "a")["ok"]
    pump(supervisor)
    assert world.names("a")[-2:] == ["restart", "ready"]
    assert supervisor.components["a"].used["cold"] == 0


def test_start_after_given_up(world: World) -> None:
    """An operator may start what was given up."""
    supervisor = boot(world, ONE.replace("attempts = 3", "attempts = 0"))
    world.runner("a").finish("burst")
    pump(supervisor)
    assert states(supervisor) == {"a": "given-up"}
    answer(supervisor, "start", "a")
    pump(supervisor)
    assert states(supervisor) == {"a": "ready"}


def test_a_runner_that_does_not_stop_is_killed(world: World) -> None:
    """A stop ends within its time limit and a little more."""
    supervisor = boot(world, ONE)
    world.stubborn = {"a"}
    answer(supervisor, "stop", "a")
    sleep(supervisor, 6)
    assert states(supervisor) == {"a": "stopping"}
    sleep(supervisor, 4)
    assert states(supervisor) == {"a": "stopped"}
    assert world.holder("a") is None


@pytest.mark.parametrize(
    ("command", "name", "word"),
    [("stop", "x", "no component 'x'"), ("jump", "a", "unknown command"), (None, None, "unknown")],
)
def test_wrong_requests(world: World, command: object, name: object, word: str) -> None:
    """A request that makes no sense is refused with what would."""
    reply = answer(boot(world, ONE), command, name)
    assert reply["ok"] is False
    assert word in str(reply["error"])


def test_adoption(world: World) -> None:
    """A new supervisor finds what runs by PID and start time, leaves it alone, and says so."""
    boot(world, CHAIN)
    before = {name: world.runner(name).pid for name in "abc"}
    world.runner("b").crash()
    supervisor = boot(world)
    assert {name: world.runner(name).pid for name in "abc"} == before
    assert supervisor.adopted == 3
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
    assert supervisor.adopted == 0
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
    assert boot(world).adopted == 0


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


def test_refused_at_the_first_start(world: World) -> None:
    """A manifest refused at boot is told with file, line and key; the supervisor waits for a better one."""
    supervisor = boot(world, "version = 1\n[component.a]\ncomand = []")
    refused = [record.keys for record in world.records() if record.event == "manifest"]
    assert [(keys["result"], keys["line"], keys["key"]) for keys in refused] == [
        ("refused", "2", "component.a.command"),
        ("refused", "3", "component.a.comand"),
    ]
    world.write(f"{ETC}/koboshi.toml", ONE.encode())
    assert answer(supervisor, "reload", None) == {"ok": True}
    pump(supervisor)
    assert states(supervisor) == {"a": "ready"}


def test_refused_at_a_later_start(world: World) -> None:
    """A supervisor that finds a wrong manifest goes on with the one accepted before, cold starts included."""
    boot(world, ONE)
    supervisor = boot(world, "version = 2")
    assert states(supervisor) == {"a": "ready"}
    world.runner("a").finish("burst")
    pump(supervisor)
    sleep(supervisor, 2)
    assert states(supervisor) == {"a": "ready"}


def test_refused_reload_changes_nothing(world: World) -> None:
    """A reload of a wrong manifest is answered with its mistakes, and every component keeps its PID."""
    supervisor = boot(world, CHAIN)
    before = {name: world.runner(name).pid for name in "abc"}
    world.write(f"{ETC}/koboshi.toml", b"version = 1\n[component.a]\n")
    reply = answer(supervisor, "reload", None)
    pump(supervisor)
    assert reply["errors"] == [
        f"{ETC}/koboshi.toml:2: component.a.command: is missing; "
        'command = ["/bin/program"], or python = "module"'
    ]
    assert {name: world.runner(name).pid for name in "abc"} == before


def test_a_reload_with_an_unknown_user(world: World) -> None:
    """A user whom this device does not have is refused before anything is stopped."""
    world.write("/etc/passwd", b"root:x:0:0::/:/bin/sh\nkoboshi:x:100:100::/:/bin/false\n")
    supervisor = boot(world, ONE + 'user = "koboshi"\n')
    before = world.runner("a").pid
    world.write(f"{ETC}/koboshi.toml", (ONE + 'user = "kobo"\n').encode())
    reply = answer(supervisor, "reload", None)
    pump(supervisor)
    assert reply["errors"] == [
        f"{ETC}/koboshi.toml:5: component.a.user: kobo is no user of this device; one in /etc/passwd"
    ]
    assert world.runner("a").pid == before


def test_reload(world: World) -> None:
    """What is new is started, what is gone stopped, what is changed both, what is the same left alone."""
    supervisor = boot(world, CHAIN)
    before = {name: world.runner(name).pid for name in "abc"}
    changed = CHAIN.replace('["/b"]', '["/b", "-x"]').replace("component.c", "component.d")
    world.write(f"{ETC}/koboshi.toml", changed.encode())
    answer(supervisor, "reload", None)
    pump(supervisor)
    assert states(supervisor) == {"a": "ready", "b": "ready", "d": "ready"}
    assert world.runner("a").pid == before["a"]
    assert world.runner("b").pid != before["b"]
    assert world.runner("b").argv[-2:] == ["/b", "-x"]
    assert world.holder("c") is None
    assert world.names("c")[-3:] == ["stopping", "end", "stopped"]


def test_a_manifest_changed_while_it_was_dead(world: World) -> None:
    """A new supervisor acts on a changed manifest as on a reload."""
    boot(world, CHAIN)
    before = {name: world.runner(name).pid for name in "abc"}
    supervisor = boot(world, CHAIN.replace('["/b"]', '["/b", "-x"]'))
    assert states(supervisor) == {"a": "ready", "b": "ready", "c": "ready"}
    assert world.runner("b").pid != before["b"]
    assert world.runner("c").pid == before["c"]


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
        supervisor.catch_up()
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
    assert status["components"] == supervisor.status()["components"]
    assert status["components"]["a"]["state"] == "ready"
    assert status["supervisor"]["start"] == 1


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
    before = world.runner("a").pid
    del world.files[f"{RUN}/state.json"]
    supervisor = boot(world)
    sleep(supervisor, 10)
    assert states(supervisor) == {"a": "ready"}
    assert [runner.pid for runner in world.runners.values() if runner.alive] == [before]


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


def test_its_own_words(world: World) -> None:
    """What a component says of itself is recorded and shown."""
    supervisor = boot(world, ONE)
    world.runner("a").event("status", "pid=1 text=3%20satellites")
    pump(supervisor)
    assert supervisor.components["a"].shown()["says"] == "3 satellites"


def test_a_stop_that_takes_longer(world: World) -> None:
    """A component that was granted more time to stop is not killed before that."""
    supervisor = boot(world, ONE)
    world.stubborn = {"a"}
    answer(supervisor, "stop", "a")
    pump(supervisor)
    world.runner("a").event("extend", "pid=1 ms=60000")
    sleep(supervisor, 50)
    assert world.holder("a") is not None
    sleep(supervisor, 20)
    assert world.holder("a") is None


def test_a_reload_while_an_operators_stop_is_under_way(world: World) -> None:
    """A changed manifest does not start what an operator is just stopping."""
    supervisor = boot(world, ONE)
    world.stubborn = {"a"}
    answer(supervisor, "stop", "a")
    pump(supervisor)
    world.write(f"{ETC}/koboshi.toml", ONE.replace("/a", "/a2").encode())
    answer(supervisor, "reload", None)
    sleep(supervisor, 20)
    assert states(supervisor) == {"a": "stopped"}
