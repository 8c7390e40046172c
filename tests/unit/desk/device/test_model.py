# SPDX-License-Identifier: MIT
"""The model that records build."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koboshi_desk.console.decoder import KernelLine, Record, Reply
from koboshi_desk.device.model import Model, spread

Event = tuple[str, dict[str, object]]


def told(*events: Event) -> Model:
    """A model that was told these events."""
    model = Model()
    for seq, (event, fields) in enumerate(events, 1):
        model.take(Record(seq, float(seq), event, {key: str(value) for key, value in fields.items()}, 1))
    return model


BOOT: list[Event] = [
    ("boot", {"id": "1a2b3c4d", "kernel": "6.12.1", "rfork": "kernel", "components": 1}),
    ("supervisor", {"pid": 60, "start": 1, "adopted": 0}),
    ("declared", {"component": "gps", "needs": "syslogd,clock"}),
    ("starting", {"component": "gps"}),
    ("started", {"component": "gps", "runner": 70, "pid": 71, "backend": "kernel", "boot": "1a2b3c4d"}),
]
READY: Event = ("ready", {"component": "gps", "pid": 71, "gen": 0, "downtime_us": 0})
RESTART: Event = (
    "restart",
    {
        "component": "gps", "gen": 1, "level": "warm", "backend": "kernel", "cause": "error",
        "status": "signal:SIGSEGV", "old": 71, "pid": 80, "fail_us": 1, "start_us": 144, "latency_us": 143,
    },
)  # fmt: skip
BACK: Event = ("ready", {"component": "gps", "pid": 80, "gen": 1, "downtime_us": 900})


def test_first_start() -> None:
    """A component goes from declared to ready, with its PIDs, backend and needs."""
    model = told(*BOOT)
    assert not model.settled()
    model = told(*BOOT, READY, ("all-ready", {"components": 1}))
    gps = model.components["gps"]
    assert (gps.state, gps.pid, gps.runner, gps.backend) == ("ready", 71, 70, "kernel")
    assert gps.needs == ("syslogd", "clock")
    assert model.settled()
    assert model.all_ready


def test_restart() -> None:
    """A restart changes PID and generation, keeps cause, level and latency, and is not ready yet."""
    model = told(*BOOT, READY, RESTART)
    gps = model.components["gps"]
    assert (gps.state, gps.pid, gps.generation, gps.level, gps.cause) == ("running", 80, 1, "warm", "error")
    assert gps.latencies == [143]
    gps = told(*BOOT, READY, RESTART, BACK).components["gps"]
    assert (gps.state, gps.downtime_us) == ("ready", 900)


def test_adoption_keeps_the_state() -> None:
    """The next supervisor's adoption leaves a ready component ready and is no second copy."""
    model = told(
        *BOOT, READY, ("supervisor", {"pid": 90, "start": 2, "adopted": 1}),
        ("adopted", {"component": "gps", "runner": 70, "pid": 71}),
    )  # fmt: skip
    assert model.components["gps"].state == "ready"
    assert (model.supervisor_pid, model.supervisor_starts, model.adopted) == (90, 2, 1)
    assert model.duplicates == 0


def test_second_runner_is_a_duplicate() -> None:
    """A runner that begins while another has not ended is counted as a duplicate."""
    again: Event = ("started", {"component": "gps", "runner": 99, "pid": 100, "backend": "user"})
    assert told(*BOOT, READY, again).duplicates == 1
    ended: Event = ("end", {"component": "gps", "reason": "burst", "status": "signal:SIGSEGV", "old": 71})
    assert told(*BOOT, READY, ended, again).duplicates == 0


def test_end_cold_given_up() -> None:
    """After its runner's end a component waits for its cold start, or is given up; both are different."""
    ended: Event = ("end", {"component": "gps", "reason": "burst", "status": "signal:SIGSEGV", "old": 71})
    cold: Event = ("cold", {"component": "gps", "delay_ms": 500, "attempt": 1})
    assert told(*BOOT, ended, cold).components["gps"].state == "restarting"
    waiting: Event = ("waiting", {"component": "gps", "needs": "log"})
    assert told(*BOOT, ended, waiting).components["gps"].state == "waiting"
    model = told(*BOOT, ended, ("given-up", {"component": "gps", "attempts": 5}))
    assert model.components["gps"].state == "given-up"
    assert not model.settled()


def test_budgets_of_the_ladder() -> None:
    """What is left on the ladder is what the device said last, and more with time in service, up to all."""
    declared: Event = ("declared", {"component": "gps", "budget": "cold:5/10,group:1/100"})
    cold: Event = ("cold", {"component": "gps", "delay_ms": 500, "attempt": 3, "left": "cold:2.5,group:0"})
    model = told(declared)
    assert model.components["gps"].left(99.0) == {"cold": 5, "group": 1}
    model = told(declared, cold, ("starting", {"component": "gps", "left": "cold:2.5,group:0"}))
    assert model.components["gps"].left(99.0) == {
        "cold": 2.5,
        "group": 0,
    }  # not in service: nothing comes back
    model = told(declared, cold, READY)
    assert model.components["gps"].left(5.0) == {"cold": 3.5, "group": 0.02}
    model = told(declared, cold, READY, RESTART, BACK)
    assert model.components["gps"].left(6.0) == {"cold": 3.5, "group": pytest.approx(0.02)}
    assert model.components["gps"].left(5000.0) == {"cold": 5, "group": 1}


def test_rehearsal_gives_back_what_it_took() -> None:
    """As on the device, what is left after a rehearsal is what was left before."""
    events: list[Event] = [
        ("declared", {"component": "gps", "budget": "cold:5/10"}),
        ("rehearsal", {"component": "gps", "fault": "runner", "result": "begun"}),
        ("cold", {"component": "gps", "left": "cold:4"}),
    ]
    assert told(*events).components["gps"].left(3.0) == {"cold": 4}
    ended: Event = ("rehearsal", {"component": "gps", "fault": "runner", "result": "passed"})
    assert told(*events, ended).components["gps"].left(3.0) == {"cold": 5}


def test_budgets_from_a_reply() -> None:
    """A reply to `status` says what is left, too."""
    model = told(("declared", {"component": "gps", "budget": "cold:5/10,group:1/100"}), READY)
    model.take(Reply(7, "desk", "part", {"component": "gps", "left": "cold:4,group:1"}))
    assert model.components["gps"].left(3.0) == {"cold": 4.5, "group": 1}


@given(st.text("cold:/,.5-infgroup", max_size=30), st.floats(0, 1e9))
def test_any_text_is_a_budget(text: str, seconds: float) -> None:
    """Whatever a garbled device says, what is left is numbers."""
    model = told(
        ("declared", {"component": "gps", "budget": text}),
        ("cold", {"component": "gps", "left": text}),
        READY,
    )
    assert all(math.isfinite(value) for value in model.components["gps"].left(seconds).values())


def test_normal_end_is_settled() -> None:
    """A component that ended with status 0 is done, not lost."""
    model = told(*BOOT, READY, ("end", {"component": "gps", "reason": "exit", "status": "exit:0", "old": 71}))
    assert model.components["gps"].state == "ended"
    assert model.settled()


def test_reboot_begins_anew() -> None:
    """A new boot forgets states, but not the restarts that were measured."""
    model = told(*BOOT, READY, RESTART, BACK, *BOOT)
    assert model.boots == 2
    assert model.components["gps"].restarts == []
    assert len(model.history) == 1
    assert not model.all_ready


def test_only_records_count() -> None:
    """Kernel lines change nothing."""
    model = Model()
    model.take(KernelLine(1.0, "Linux version"))
    assert model == Model()


def test_spread() -> None:
    """Median, 99th percentile and maximum are values that occurred."""
    result = spread(range(1, 201))
    assert (result.p50, result.p99, result.max, result.n) == (100, 198, 200, 200)
    assert spread([7]).p99 == 7


def test_a_start_that_failed_is_no_restart() -> None:
    """A cold restart is counted when the component runs again."""
    cold: Event = ("cold", {"component": "gps", "delay_ms": 500, "attempt": 1})
    assert told(*BOOT, cold, cold).components["gps"].cold_starts == 0
    started: Event = ("started", {"component": "gps", "runner": 80, "pid": 81, "backend": "kernel"})
    assert told(*BOOT, cold, cold, started, started).components["gps"].cold_starts == 1
