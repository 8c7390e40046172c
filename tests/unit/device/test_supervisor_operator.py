# SPDX-License-Identifier: MIT
"""Operators: what they start, stop and restart, and what they are refused."""

from __future__ import annotations

import pytest
from koboshi.control import answer
from koboshi.state import transitions

from tests.unit.device.fake_system import ETC, ONE, World, boot, pump, sleep, states


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


def test_a_second_stop_kills(world: World) -> None:
    """A component that takes its time to stop is killed at once by the operator's second request."""
    supervisor = boot(world, ONE)
    world.stubborn = {"a"}
    answer(supervisor, "stop", "a")
    pump(supervisor)
    assert states(supervisor) == {"a": "stopping"}
    assert answer(supervisor, "stop", "a")["ok"]
    pump(supervisor)
    assert states(supervisor) == {"a": "stopped"}
    assert supervisor.components["a"].status == "signal:SIGKILL"
    assert world.sigkilled == []


def test_the_first_stop_of_an_operator_is_not_the_second(world: World) -> None:
    """A stop by the ladder that is under way does not make an operator's first stop kill."""
    supervisor = boot(world, ONE)
    world.stubborn = {"a"}
    supervisor.components["a"].by = "ladder"
    transitions.handle(supervisor.components["a"], "stop")
    supervisor.settle()
    answer(supervisor, "stop", "a")
    pump(supervisor)
    assert states(supervisor) == {"a": "stopping"}
    answer(supervisor, "stop", "a")
    pump(supervisor)
    assert states(supervisor) == {"a": "stopped"}


@pytest.mark.parametrize(
    ("command", "name", "word"),
    [("stop", "x", "no component 'x'"), ("jump", "a", "unknown command"), (None, None, "unknown")],
)
def test_wrong_requests(world: World, command: object, name: object, word: str) -> None:
    """A request that makes no sense is refused with what would."""
    reply = answer(boot(world, ONE), command, name)
    assert reply["ok"] is False
    assert word in str(reply["error"])


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
