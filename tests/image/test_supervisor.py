# SPDX-License-Identifier: MIT
"""The supervisor's own death costs nothing."""

from __future__ import annotations

import itertools
import json
import os

from koboshi_desk.core.deadline import Deadline
from tests.image.conftest import settle
from workbench.guest import faults
from workbench.guest.booted import Guest
from workbench.guest.faults import KINDS, Fault
from workbench.guest.observer import Observer

KILLS = int(os.environ.get("KOBOSHI_KILLS", "5"))
SIMPLE = ("wild", "abort", "request", "kill")


def logged_restarts(guest: Guest) -> dict[str, int]:
    """How many restarts each component's own runner has in its log, which no supervisor writes."""
    names = " ".join(guest.model.components)
    script = f"for n in {names}; do echo $n $(cat /run/koboshi/$n/events* | grep -c ' restart '); done"
    lines = guest.shell.run(script).output.split("\n")
    return {name: int(count) for name, count in (line.split() for line in lines)}


def crash_around_kill(guest: Guest, first: Fault, second: Fault) -> None:
    """Break one component, kill the supervisor, break another; wait until both and a supervisor are back."""
    told, starts = len(guest.model.history), guest.model.supervisor_starts
    guest.shell.run(
        f"koboshi-fault {first.component} {first.kind.name} && kill -9 {guest.model.supervisor_pid} && "
        f"koboshi-fault {second.component} {second.kind.name}"
    )
    guest.console.until(
        lambda: guest.model.supervisor_starts > starts and len(guest.model.history) >= told + 2,
        Deadline(faults.RECOVERY_S),
        "next supervisor and two restarts",
    )
    settle(guest)


def test_killed_while_components_crash(guest: Guest, observer: Observer) -> None:
    """However often it is killed -9 while components crash, nothing is lost or doubled or goes unrecorded."""
    pairs = itertools.cycle(guest.model.components)
    kinds = itertools.cycle(KINDS[kind] for kind in SIMPLE)
    before = logged_restarts(guest)
    for _ in range(KILLS):
        crash_around_kill(guest, Fault(next(pairs), next(kinds)), Fault(next(pairs), next(kinds)))
    after = logged_restarts(guest)
    assert sum(after.values()) - sum(before.values()) == 2 * KILLS
    assert len(guest.model.history) == sum(after.values())
    assert guest.console.decoder.counts.lost == 0
    assert (guest.model.duplicates, guest.model.given_up) == (0, 0)
    assert guest.model.adopted == len(guest.model.components)
    assert observer.settled() == {name: [c.pid] for name, c in guest.model.components.items()}


def test_alive_afterwards(guest: Guest) -> None:
    """The last of the supervisors notices a fault like the first, and answers koboshictl."""
    name = next(iter(guest.model.components))
    assert faults.inject(guest, Fault(name, KINDS["wild"])).problem == ""
    assert name in guest.shell.run("koboshictl status").output


def test_an_operators_stop_survives_it(guest: Guest) -> None:
    """What an operator stopped stays stopped when the supervisor is killed, and can be started again."""
    name = list(guest.model.components)[-1]
    guest.shell.run(f"koboshictl stop {name}")
    guest.console.until(
        lambda: guest.model.components[name].state == "stopped", Deadline(30), f"{name} stopped"
    )
    faults.kill_supervisor(guest)
    assert guest.model.components[name].state == "stopped"
    guest.shell.run(f"koboshictl start {name}")
    settle(guest)


def test_rehearsal(guest: Guest, observer: Observer) -> None:
    """What the manifest of a warm component claims happens, and the supervisor's own death costs nothing."""
    lines = ""
    for name in ("gps", "supervisor"):
        lines += guest.shell.run(f"koboshictl --json rehearse {name}", 300, check=False).output + "\n"
    found = [json.loads(line) for line in lines.splitlines() if line.startswith("{")]
    told = {result["fault"]: result for result in found}
    assert {fault: r["result"] for fault, r in told.items() if r["result"] != "passed"} == {
        "leak": "withstood",  # it asks for no memory once it runs
        "descriptors": "skipped",
    }, told
    assert "warm restart" in told["segv"]["saw"]
    settle(guest)
    assert observer.settled()["gps"] == [guest.model.components["gps"].pid]
