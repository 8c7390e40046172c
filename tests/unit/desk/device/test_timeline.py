# SPDX-License-Identifier: MIT
"""What was when: spans, outages and the strip that shows them."""

from __future__ import annotations

from typing import Any

from koboshi_desk.console.decoder import Record
from koboshi_desk.device.strip import span_for, strip
from koboshi_desk.device.timeline import Timeline, cause_of
from tests.unit.desk.device.test_model import BACK, BOOT, READY, RESTART, told


def line_of(*records: tuple[float, str, Any], keep: int | None = None):
    """The timeline of gps after these records."""
    timeline = Timeline(keep)
    for seq, (time, event, fields) in enumerate(records, 1):
        texts = {key: str(value) for key, value in fields.items()}
        timeline.take(Record(seq, time, event, {"component": "gps"} | texts, 1))
    return timeline, timeline.lines["gps"]


def crash(fail: float, start: float) -> tuple[float, str, dict[str, object]]:
    """A restart after a failure at `fail`."""
    fields = {"fail_us": round(fail * 1e6), "start_us": round(start * 1e6), "level": "warm"}
    return start, "restart", fields | {"cause": "error", "status": "signal:SIGSEGV"}


def test_restart_is_an_outage_from_the_failure_to_readiness() -> None:
    """The outage begins when the component failed, not when the record was written, and ends with ready."""
    _, line = line_of((1, "started", {}), (2, "ready", {}), crash(5.0, 5.2), (6.5, "ready", {}))
    assert [(o.begin, o.end, o.cause) for o in line.outages] == [(5.0, 6.5, "error SIGSEGV")]
    assert [(s.state, s.begin, s.end) for s in line.spans] == [
        ("running", 1, 2), ("ready", 2, 5.0), ("down", 5.0, 5.2), ("running", 5.2, 6.5), ("ready", 6.5, None),
    ]  # fmt: skip
    assert line.down_s(100.0) == 1.5


def test_outage_goes_on_through_restarts_that_do_not_get_ready() -> None:
    """Three crashes before it is ready again are one outage, and one that goes on counts until now."""
    _, line = line_of((1, "ready", {}), crash(5, 5.1), crash(6, 6.1), crash(7, 7.1))
    assert [(o.begin, o.end) for o in line.outages] == [(5, None)]
    assert line.down_s(15.0) == 10.0


def test_operators_stop_is_no_outage() -> None:
    """Neither a stop, nor the time until the operator's start, counts as down."""
    _, line = line_of(
        (1, "ready", {}), (5, "stopping", {}), (6, "end", {"reason": "stop"}), (6, "stopped", {})
    )
    assert not line.outages
    assert line.worst(8, 9) == "stopped"


def test_given_up_stays_down() -> None:
    """After the last attempt the outage goes on, and the boot's end closes it as cut off by a reboot."""
    timeline, line = line_of(
        (1, "ready", {}), (5, "end", {"reason": "burst", "status": "signal:SIGSEGV"}), (9, "given-up", {})
    )
    assert line.worst(9.5, 10) == "given-up"
    timeline.finish()
    assert [(o.begin, o.end, o.reboot, o.cause) for o in line.outages] == [(5, 9, True, "burst SIGSEGV")]


def test_normal_end_is_no_outage() -> None:
    """A component that ended with status 0 is ended, not down."""
    _, line = line_of((1, "ready", {}), (5, "end", {"reason": "exit", "status": "exit:0"}))
    assert not line.outages
    assert line.worst(6, 7) == "ended"


def test_old_outages_are_summed_when_they_are_forgotten() -> None:
    """With a bound on what is kept, the total downtime stays right."""
    many = [record for n in range(10) for record in (crash(n + 1, n + 1.1), (n + 1.5, "ready", {}))]
    _, line = line_of(*many, keep=3)
    assert len(line.outages) == 3
    assert line.down_s(100) == 5.0


def test_strip_shows_the_worst_of_each_slice() -> None:
    """Each character is the worst of its slice: readiness, a restart too short to see, an outage, nothing."""
    records = [(2, "ready", {}), crash(5.2, 5.3), (5.4, "ready", {}), (8, "end", {"reason": "burst"})]
    _, line = line_of(*records)
    assert strip(line, 10.0, 10.0, 10).plain == "  ▁▁▁╳▁▁▇▇"
    assert strip(line, 10.0, 10.0, 10, ascii_only=True).plain == "  ---x--##"


def test_span_fits_what_is_known() -> None:
    """A short recording fills its strip; a long one shows its last minutes."""
    assert [span_for(seconds) for seconds in (3, 45, 250, 90000)] == [30, 60, 300, 300]


def test_causes_in_words() -> None:
    """A cause is told without the record's prefixes."""
    assert (
        cause_of(Record(1, 1, "restart", {"cause": "request", "status": "exit:85"}, 1)) == "request exit 85"
    )
    assert cause_of(Record(1, 1, "restart", {"cause": "operator"}, 1)) == "operator"


def test_model_keeps_the_timeline_of_the_boot() -> None:
    """The model has a timeline, and a new boot begins a new one."""
    model = told(*BOOT, READY, RESTART, BACK)
    assert len(model.timeline.lines["gps"].outages) == 1
    assert not told(*BOOT, READY, RESTART, BACK, BOOT[0]).timeline.lines
