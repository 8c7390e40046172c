# SPDX-License-Identifier: MIT
"""Time out of service against what the manifest declares."""

from __future__ import annotations

import pytest
from koboshi.control import answer
from koboshi.manifest.check import parse
from koboshi.manifest.model import ManifestRefusedError
from koboshi.supervisor import Supervisor

from tests.unit.device.fake_system import World, boot, pump, sleep

ONE = 'version = 1\n[component.a]\ncommand = ["/a"]\ncold = { attempts = 9, delay_s = 1, delay_max_s = 1 }\n'
BUDGET = ONE + "downtime = { budget_s = 3, window_s = 300 }\n"


def told(world: World) -> list[dict[str, str]]:
    """The records of exceeded budgets."""
    return [record.keys for record in world.records() if record.event == "downtime"]


def outage(world: World, supervisor: Supervisor) -> None:
    """It fails, and is back after the delay of a second."""
    world.runner("a").finish("burst", "signal:SIGSEGV")
    pump(supervisor)
    sleep(supervisor, 1.1)


def test_all_outages_count(world: World) -> None:
    """Warm restarts and cold starts add up, and the budget's end is told once."""
    supervisor = boot(world, BUDGET)
    world.runner("a").crash()
    pump(supervisor)
    for _ in range(2):
        outage(world, supervisor)
    assert told(world) == []
    for _ in range(2):
        outage(world, supervisor)
    (record,) = told(world)
    assert (record["component"], record["budget_ms"], record["window_s"]) == ("a", "3000", "300")
    assert 3000 <= int(record["used_ms"]) < 3300
    shown = supervisor.components["a"].shown()
    assert 4000 <= int(str(shown["out_ms"])) < 4500


def test_an_outage_without_end_is_told_when_the_budget_is_gone(world: World) -> None:
    """Nobody has to come back for it to be told: a component that is given up is out of service."""
    supervisor = boot(world, BUDGET.replace("attempts = 9", "attempts = 0"))
    world.runner("a").finish("burst", "signal:SIGSEGV")
    pump(supervisor)
    assert supervisor.components["a"].state == "given-up"
    sleep(supervisor, 2.9)
    assert told(world) == []
    sleep(supervisor, 0.5)
    sleep(supervisor, 20)
    answer(supervisor, "reload", None)
    assert len(told(world)) == 1
    assert supervisor.timeout() is None


def test_time_brings_it_back(world: World) -> None:
    """After half of it has come back, the next excess is told again."""
    supervisor = boot(world, BUDGET)
    for _ in range(4):
        outage(world, supervisor)
    sleep(supervisor, 290)
    for _ in range(4):
        outage(world, supervisor)
    assert len(told(world)) == 2


@pytest.mark.parametrize("wish", ["stop", "restart"])
def test_an_operators_wish_is_no_outage(world: World, wish: str) -> None:
    """What is wanted is not held against the component."""
    supervisor = boot(world, BUDGET)
    answer(supervisor, wish, "a")
    pump(supervisor)
    sleep(supervisor, 30)
    answer(supervisor, "start", "a")
    pump(supervisor)
    assert supervisor.components["a"].state == "ready"
    assert (told(world), supervisor.components["a"].downtime.since) == ([], None)


def test_the_next_supervisor_goes_on(world: World) -> None:
    """An outage and what is used up outlive the supervisor; nothing is told twice."""
    supervisor = boot(world, BUDGET)
    for _ in range(4):
        outage(world, supervisor)
    used = supervisor.components["a"].downtime.kept()
    supervisor = boot(world)
    assert supervisor.components["a"].downtime.kept() == used
    sleep(supervisor, 5)
    assert len(told(world)) == 1


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("{ budget_s = 60, window_s = 60 }", "never trips"),
        ("{ window_s = 60 }", "has no effect"),
        ("{ budget_s = 0 }", "budget_s"),
    ],
)
def test_a_budget_that_means_nothing(table: str, words: str) -> None:
    """A budget that could never be exceeded is refused."""
    with pytest.raises(ManifestRefusedError, match=words):
        parse(ONE + f"downtime = {table}\n", "x")
