# SPDX-License-Identifier: MIT
"""`koboshictl rehearse` with the real supervisor and the real rfork-run, at user level."""

from __future__ import annotations

import json
import signal
import subprocess

import pytest
from koboshi.manifest import check
from koboshi.manifest import model as manifest
from koboshi.rehearsal import claims as rehearsal
from koboshi.rehearsal import run as rehearse
from koboshi.system.calls import System
from koboshi.wire import line
from koboshi.wire.event import Event

from tests.unit.device.test_supervisor_live import Device, device, rfork_run, until

__all__ = ["device", "rfork_run"]

MANIFEST = """\
version = 1
[component.base]
command = ["PYTHON", "-S", "-c", "import signal; signal.pause()", "MARK", "base"]
restart = { burst = 50, window_s = 1, probation_s = 0 }
cold = { delay_s = 0.01, delay_max_s = 0.02 }
ladder = { same_fault = 3 }
[component.steady]
command = ["PYTHON", "-S", "-c", "LOOP", "MARK", "steady"]
needs = ["base"]
on_restart = { base = "restart" }
ready = "notify"
heartbeat_s = 2.0
limits = { files = 64, memory_mb = 2000 }
restart = { burst = 50, window_s = 1, probation_s = 0 }
cold = { delay_s = 0.01, delay_max_s = 0.02 }
ladder = { same_fault = 3 }
"""
LOOP = (
    "import os, socket, time; k = bytearray(); s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM);"
    " n = os.environ['NOTIFY_SOCKET']; n = chr(0) + n[1:] if n[0] == '@' else n; s.sendto(b'READY=1', n)\\n"
    "while True: s.sendto(b'WATCHDOG=1', n); os.close(os.open('/dev/null', 0)); k += bytes(1 << 16);"
    " time.sleep(0.1)"
)


def results(device: Device) -> dict[tuple[str, str], tuple[str, str]]:
    """What the records tell of each claim: the result, and what was seen or why not."""
    told = [r.keys for r in device.records() if r.event == "rehearsal"]
    return {
        (keys.get("component", "-"), keys["fault"]): (keys["result"], keys.get("saw", keys.get("why", "")))
        for keys in told
        if keys["result"] not in ("begun", "done")
    }


def test_all_claims(device: Device) -> None:
    """Each claim of a right manifest is done and passes, what is not claimed is skipped, budgets stay."""
    device.manifest(MANIFEST.replace("LOOP", LOOP))
    device.start()
    until(lambda: device.count("all-ready"), "all ready")
    done = device.ctl("rehearse")
    assert done.returncode == 0, done.stdout + done.stderr
    found = results(device)
    steady = {fault: result for (name, fault), (result, _saw) in found.items() if name == "steady"}
    assert steady == dict.fromkeys(rehearsal.FAULTS, "passed")
    base = {fault: result for (name, fault), (result, _saw) in found.items() if name == "base"}
    skipped = {"hang", "leak", "descriptors", "needs"}
    assert base == {fault: "skipped" if fault in skipped else "passed" for fault in rehearsal.FAULTS}
    assert "operator" in found["steady", "needs"][1]
    assert found["-", "supervisor"] == (
        "skipped",
        "PID 1 has not started it: nobody would start the next one",
    )
    assert device.status()["steady"]["left"] == {"cold": 5, "dependents": 1, "group": 1}
    assert [len(device.copies(f"{device.mark} {name}")) for name in ("base", "steady")] == [1, 1]


WRONG = """\
version = 1
[component.base]
command = ["PYTHON", "-S", "-c", "import signal; signal.pause()", "MARK", "base"]
restart = { probation_s = 0 }
[component.deaf]
command = ["PYTHON", "-S", "-c", "import signal as s; s.signal(11, s.SIG_IGN); s.pause()", "MARK"]
needs = ["base"]
on_restart = { base = "notify" }
restart = { probation_s = 0 }
"""


def test_a_wrong_claim(device: Device) -> None:
    """A component that dies of the notice that its manifest asks for has failed; no such name is refused."""
    device.manifest(WRONG)
    device.start()
    until(lambda: device.count("all-ready"), "all ready")
    assert device.ctl("rehearse", "nobody").returncode == 1
    done = device.ctl("--json", "rehearse", "deaf")
    assert done.returncode == 1, done.stdout + done.stderr
    told = {line["fault"]: line for line in map(json.loads, done.stdout.splitlines())}
    assert (told["needs"]["result"], told["abort"]["result"]) == ("failed", "passed")
    assert "signal:SIGHUP" in told["needs"]["saw"]
    assert device.records()[-1].keys["failed"] == str(sum(t["result"] == "failed" for t in told.values()))


def test_from_the_line(device: Device) -> None:
    """The supervisor starts one when the line asks for it, and goes on with its own work."""
    device.manifest(MANIFEST.replace("LOOP", LOOP))
    device.start()
    until(lambda: device.count("all-ready"), "all ready")
    request = line.encode(7, "test", "rehearse", "base").split(" ", 2)[2]
    assert " ok state=begun" in device.ctl("line", *request.split(" ")).stdout
    until(lambda: any(r.keys.get("result") == "done" for r in device.records()), "the rehearsal's end")
    found = results(device)
    assert {result for result, _saw in found.values()} == {"passed", "skipped"}, found


def spec(text: str) -> manifest.Component:
    """One component."""
    return check.parse(f'version = 1\n[component.a]\ncommand = ["/a"]\n{text}', "x").components["a"]


def event(name: str, **keys: str) -> Event:
    """One of a runner's."""
    return Event(1, 1.0, name, keys)


READY = event("ready", pid="2")
ENDED = event("end", reason="exit", status="signal:SIGKILL")


@pytest.mark.parametrize(
    ("fault", "text", "events", "result"),
    [
        ("kill", "", [event("restart", cause="signal"), READY], "passed"),
        ("kill", 'restart.on = ["request", "error"]', [event("restart", cause="signal"), READY], "failed"),
        ("kill", 'restart.on = ["request", "error"]', [ENDED, event("started"), READY], "passed"),
        ("kill", "", [ENDED], "failed"),
        ("kill", "", [event("restart", cause="signal")], "failed"),
        ("hang", "heartbeat_s = 1", [event("restart", cause="signal"), READY], "failed"),
        ("hang", "heartbeat_s = 1", [], "failed"),
        ("leak", "limits.memory_mb = 9", [], "withstood"),
        ("leak", "cgroup.memory_mb = 9", [event("restart", cause="oom"), READY], "passed"),
        ("runner", "", [event("restart", cause="signal"), READY], "failed"),
    ],
)
def test_verdicts(fault: str, text: str, events: list[Event], result: str) -> None:
    """What happened is held against what is declared."""
    claim = next(claim for claim in rehearsal.claims(spec(text)) if claim.fault == fault)
    assert rehearsal.judge(claim, events)[0] == result


def test_supervisor_may_learn_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """A runner's log has the next process before the supervisor knows of it: that is no other process."""
    answers = iter(
        [{"state": "ready", "pid": 1}, {"state": "running", "pid": 2}, {"state": "ready", "pid": 2}]
    )
    monkeypatch.setattr(rehearse.Rehearsal, "status", lambda self, name: next(answers))
    doing = object.__new__(rehearse.Rehearsal)
    assert doing.agreed(spec(""), [event("restart", pid="2"), READY], "a restart") == ("passed", "a restart")


@pytest.mark.parametrize("stranger", [True, False])
def test_only_the_component_is_hit(monkeypatch: pytest.MonkeyPatch, stranger: bool) -> None:
    """A PID that has become another process's is not signalled, nor is 0, which means our own group."""
    doing = object.__new__(rehearse.Rehearsal)
    doing.system = System("/dev/null")
    with subprocess.Popen(["/bin/sleep", "60"], start_new_session=True) as other:
        start = doing.system.start_time(other.pid)
        kept = {"pid": other.pid, "pid_start": start - stranger, "runner": 0, "runner_start": 0}
        monkeypatch.setattr(doing, "_state", lambda: {"components": {"a": kept}})
        doing.strike("runner", doing.process("a", "runner"))
        doing.strike("kill", doing.process("a", "pid"))
        doing.strike("kill", doing.process("gone", "pid"))
        if stranger:
            assert doing.system.start_time(other.pid) == start
            other.kill()
        assert other.wait() == -signal.SIGKILL


def test_what_is_not_claimed() -> None:
    """Without a heartbeat, limits or needs there is nothing to rehearse of these."""
    skipped = {claim.fault for claim in rehearsal.claims(spec("")) if claim.skip}
    assert skipped == {"hang", "leak", "descriptors", "needs"}
    assert [
        c.skip
        for c in rehearsal.claims(spec("restart.burst = 90\nladder.same_fault = 0"))
        if c.fault == "burst"
    ]
