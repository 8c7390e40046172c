# SPDX-License-Identifier: MIT
"""The demo's plan, its judgement, and its look at the guest's processes."""

from __future__ import annotations

import io
import json

import pytest

from koboshi_desk.device.model import Restart
from workbench.demo import summary
from workbench.demo.summary import Summary
from workbench.guest.faults import KINDS, Fault, Outcome, Traits, judge, plan, traits
from workbench.guest.observer import Process, parse

MANIFEST = """
version = 1
[component.log]
command = ["/sbin/syslogd"]
[component.gps]
command = ["/usr/bin/gps"]
heartbeat_s = 1.0
limits = { memory_mb = 64 }
"""


def restart(cause: str = "error", status: str = "signal:SIGSEGV", latency_us: int = 143) -> Restart:
    """A restart of gps."""
    return Restart("gps", 1, "warm", "kernel", cause, status, 71, 80, latency_us, 1)


def test_traits_from_the_manifest() -> None:
    """What suits a component is read from the manifest that the guest has."""
    assert traits(MANIFEST) == [Traits("log", heartbeat=False, limited=False), Traits("gps", True, True)]


def test_plan_covers_kinds_and_components() -> None:
    """Every kind of fault and every component is in the plan, a hang only with a heartbeat."""
    components = [Traits(f"c{n}", heartbeat=n == 4, limited=False) for n in range(9)]
    faults = plan(components)
    assert {fault.kind.name for fault in faults} == set(KINDS)
    assert {fault.component for fault in faults} == {c.name for c in components}
    assert [fault.component for fault in faults if fault.kind.name == "hang"] == ["c4"]


def test_no_heartbeat_no_hang() -> None:
    """Where no component has a heartbeat, a hang could never be noticed and is left out."""
    assert "hang" not in {fault.kind.name for fault in plan([Traits("a", False, False)])}


@pytest.mark.parametrize(
    ("kind", "cause", "status", "right"),
    [
        ("wild", "error", "signal:SIGSEGV", True),
        ("wild", "signal", "signal:SIGKILL", False),
        ("request", "request", "exit:85", True),
        ("hang", "signal", "signal:SIGKILL", False),
        ("kill", "signal", "signal:SIGTERM", False),
    ],
)
def test_restart_must_have_the_right_cause(kind: str, cause: str, status: str, right: bool) -> None:
    """A restart for another reason than the fault is a problem."""
    assert (judge(KINDS[kind], restart(cause, status)) == "") is right


PS = """\
PID   PPID  STAT COMMAND
    1     0 S    /sbin/init
   70    60 S    /usr/bin/rfork-run --name gps -- /usr/bin/gps --port /dev/ttyS1
   71    70 S    /usr/bin/gps --port /dev/ttyS1
   72    70 S    /usr/bin/gps --port /dev/ttyS1
    2     0 SW   [kthreadd]

/proc/72/status
"""


def test_processes_and_templates() -> None:
    """Processes come with their command line, and a template is told from its instance."""
    processes = {process.pid: process for process in parse(PS)}
    assert processes[71] == Process(71, 70, "S", "/usr/bin/gps --port /dev/ttyS1", template=False)
    assert processes[72].template
    assert len(processes) == 5


def passed() -> Summary:
    """A summary with nothing wrong in it."""
    outcome = Outcome(Fault("gps", KINDS["wild"]), restart(), 900)
    both = [restart(), restart(latency_us=300)]
    return Summary(outcomes=[outcome], restarts=both, boots=1, reboot_s=5.0, supervisor_kills=1)


def test_summary_as_json() -> None:
    """The JSON has the counts, and latencies by level and backend."""
    content = json.loads(summary.to_json(passed()))
    assert content["passed"] is True
    assert content["latency_us"] == {"warm": {"kernel": {"p50": 143, "p99": 300, "max": 300, "n": 2}}}
    for key in ("boots", "faults", "restarts", "supervisor_kills"):
        assert content[key] >= 1
    assert (content["lost"], content["duplicates"], content["reboot_s"]) == (0, 0, 5.0)


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("lost", 1),
        ("duplicates", 1),
        ("records_lost", 2),
        ("boots", 2),
        ("reboot_s", None),
        ("findings", ["bug: x"]),
        ("problems", ["x"]),
        ("outcomes", []),
    ],
)
def test_anything_wrong_fails(attribute: str, value: object) -> None:
    """Each thing that can go wrong makes the demo fail."""
    result = passed()
    setattr(result, attribute, value)
    assert not result.passed


def test_summary_for_people() -> None:
    """The printed summary has the verdict, the latency and what it is measured between."""
    out = io.StringIO()
    summary.print_summary(passed(), out)
    text = " ".join(out.getvalue().split())
    assert "passed" in text
    assert "median 143 µs, worst 300 µs" in text
    assert "from the failure to the new instance's start" in text
