# SPDX-License-Identifier: MIT
"""The image as it is shipped: it boots, every fault is recovered from, and a real reboot is seen as one."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from koboshi_desk.console.control import Control, Outcome
from koboshi_desk.console.decoder import Item, Record
from koboshi_desk.core.deadline import Deadline
from tests.image.conftest import settle
from workbench.core.repository import REPOSITORY
from workbench.guest import faults
from workbench.guest.booted import BOOT_S, Guest
from workbench.guest.faults import KINDS, Fault
from workbench.guest.observer import Observer

MANIFEST = "/etc/koboshi/koboshi.toml"


def victims(guest: Guest, kind: str) -> list[str]:
    """The components that a fault of this kind suits."""
    components = faults.traits(guest.shell.run(f"cat {MANIFEST}").output)
    return [c.name for c in components if kind != "hang" or c.heartbeat]


def test_boots_once(guest: Guest) -> None:
    """One boot, counted by the records and by the kernel's banner, with no record lost."""
    counts = guest.console.decoder.counts
    assert (counts.record_boots, counts.kernel_boots) == (1, 1)
    assert (counts.lost, counts.garbled) == (0, 0)


def test_every_component_is_ready(guest: Guest) -> None:
    """All components of the manifest were declared and became ready, each after what it needs."""
    names = [trait.name for trait in faults.traits(guest.shell.run(f"cat {MANIFEST}").output)]
    assert sorted(guest.model.components) == sorted(names)
    ready: set[str] = set()
    for record in guest.model.events:
        if record.event == "starting":
            assert set(guest.model.components[record.component].needs) <= ready
        if record.event == "ready":
            ready.add(record.component)
    assert ready == set(names)


def test_one_process_each(guest: Guest, observer: Observer) -> None:
    """/proc has exactly one instance of each component, the one that the records name."""
    assert observer.settled() == {name: [c.pid] for name, c in guest.model.components.items()}


def test_control_agrees_with_the_console(guest: Guest) -> None:
    """`koboshictl status` and the records tell the same."""
    status = json.loads(guest.shell.run("koboshictl --json status").output)
    told = {name: (c["state"], c["pid"]) for name, c in status["components"].items()}
    assert told == {name: (c.state, c.pid) for name, c in guest.model.components.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_fault(guest: Guest, observer: Observer, kind: str) -> None:
    """A component so broken is back once, with the right cause, warm exactly if it made a checkpoint."""
    for name in victims(guest, kind):
        component = guest.model.components[name]
        before, warm = component.pid, component.checkpointed
        outcome = faults.inject(guest, Fault(name, KINDS[kind]))
        assert outcome.problem == "", name
        assert outcome.restart is not None
        assert outcome.restart.level == ("warm" if warm else "cold"), name
        assert outcome.restart.old == before
        settle(guest)
    assert observer.settled() == {name: [c.pid] for name, c in guest.model.components.items()}


def test_crash_record_has_registers_and_callers(guest: Guest) -> None:
    """Where the manifest asks for them, the kernel tells the registers, and the stack who called whom."""
    guest.shell.run(f"cp {MANIFEST} /tmp/right.toml")
    guest.shell.run(f"printf '[device]\\nregisters = true\\nstacks = true\\n' >>{MANIFEST}")
    try:
        guest.shell.run("koboshictl reload")
        guest.shell.run("sleep 6")  # records of crashes are that far apart
        outcome = faults.inject(guest, Fault("gps", KINDS["wild"]))
        settle(guest)
    finally:
        guest.shell.run(f"cp /tmp/right.toml {MANIFEST}; koboshictl reload")
    assert outcome.problem == ""
    assert outcome.restart is not None
    found = json.loads(guest.shell.run("koboshictl --json crashes").output)["crashes"]
    (record,) = (one for one in found if one["pid"] == outcome.restart.old)
    assert record["registers"].keys() >= {"rip", "rsp", "rax", "r15"}
    places = [place.partition("+") for place in record["stack"]]
    assert places
    assert {path for path, _plus, _offset in places} == {"/usr/bin/koboshi-gps"}
    assert guest.shell.run("cat /proc/sys/kernel/core_pattern").output == "core"


def test_wrong_manifest_is_refused(guest: Guest) -> None:
    """A manifest with a mistake is refused with file, line and key, and nothing is stopped."""
    pids = {name: c.pid for name, c in guest.model.components.items()}
    guest.shell.run(f"cp {MANIFEST} /tmp/right.toml")
    guest.shell.run(f"echo 'no_such_key = 1' >>{MANIFEST}; wc -l <{MANIFEST}")
    line = int(guest.shell.run(f"wc -l <{MANIFEST}").output)
    try:
        result = guest.shell.run("koboshictl reload", check=False)
    finally:
        guest.shell.run(f"cp /tmp/right.toml {MANIFEST}")
    assert result.status != 0
    assert f"{MANIFEST}:{line}" in result.output
    assert "no_such_key" in result.output
    refused = [record for record in guest.model.events if record.event == "manifest"][-1]
    assert (refused.fields["result"], refused.fields["line"]) == ("refused", str(line))
    assert {name: c.pid for name, c in guest.model.components.items()} == pids
    assert all(c.state == "ready" for c in guest.model.components.values())


def test_nothing_was_lost(guest: Guest) -> None:
    """After all that: no record lost, no second runner, nothing given up, still the first boot."""
    assert guest.console.decoder.counts.lost == 0
    assert (guest.model.duplicates, guest.model.given_up) == (0, 0)
    assert guest.console.decoder.boots == 1


def asked(guest: Guest, verb: str, component: str = "", master: str = "") -> Outcome:
    """A request over the console, by this person or another master, and what became of it."""
    control = Control(master=master) if master else Control()
    guest.console.listen(control.take)
    control.ask(verb, component)

    def ended() -> bool:
        if data := control.step():
            guest.console.write(data)
        return bool(control.done)

    guest.console.until(ended, Deadline(60.0, "reply"), "reply")
    return control.done.popleft()


def test_requests_over_the_console(guest: Guest) -> None:
    """Status, a restart, and the refusal of a second master go over the line that the shell is on."""
    guest.shell.run("true")
    status = asked(guest, "status")
    assert {part["component"] for part in status.parts} == set(guest.model.components)
    name = victims(guest, "kill")[0]
    before = guest.model.components[name].generation
    assert asked(guest, "restart", name).result == "ok"
    settle(guest)
    guest.console.until(
        lambda: guest.model.components[name].generation > before, Deadline(60.0, "restart"), "restart"
    )
    assert asked(guest, "restart", name, "another").fields["code"] == "locked"
    settle(guest)


def test_reboot_is_counted_and_no_failure(guest: Guest) -> None:
    """On the way down every component is stopped, none taken for dead; it is a second boot, all ready."""
    first = guest.model.boot_id
    told: list[Item] = []
    guest.console.listen(told.append)
    guest.shell.send("reboot")
    guest.shell.forget()
    guest.wait_all_ready(guest.model.boots + 1, Deadline(BOOT_S, "orderly reboot"))
    events = [item for item in told if isinstance(item, Record)]
    stopped = {r.component for r in events if r.event == "stopped" and r.fields.get("by") == "shutdown"}
    assert stopped == set(guest.model.components)
    assert not {"cold", "given-up"} & {r.event for r in events}
    counts = guest.console.decoder.counts
    assert (counts.record_boots, counts.kernel_boots, guest.model.boots) == (2, 2, 2)
    assert guest.model.boot_id != first
    assert guest.model.settled()
    assert counts.lost == 0


def test_board(guest: Guest) -> None:
    """The tests of a board pass on a guest that is found running, by a socket as of a console server.

    The last one: what is told meanwhile, others have read.
    """
    guest.console.transport.close()
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        str(REPOSITORY / "tests/board"),
    ]
    port = ["--port", f"unix:{guest.qemu.folder / 'console'}"]
    port += ["--console-log", str(guest.log.with_suffix(".board.log"))]
    # One fault of many: test_fault has them all, by the same code.
    chosen = ["-k", "wild or supervisor or line or healthy"]
    done = subprocess.run([*command, *port, *chosen], cwd=REPOSITORY, capture_output=True, text=True)
    guest.console.reopen(guest.qemu.connect("console"))
    assert done.returncode == 0, f"{done.stdout}\nthe console: {port[-1]}"
    assert "4 passed" in done.stdout
