# SPDX-License-Identifier: MIT
"""Recorded consoles (by hand, where the name says so): what is read from them stays the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from koboshi_desk.console.decoder import Counts
from koboshi_desk.console.session import Console
from koboshi_desk.console.transport import LogFile
from koboshi_desk.device.model import Model

LOGS = Path(__file__).resolve().parents[3] / "data/console"

# name: counts, restarts by component in all boots, kinds of findings
WANTED: dict[str, tuple[Counts, dict[str, int], list[str]]] = {
    # A whole ./dev demo; after the supervisor was killed, the next one wrote two of its last records again.
    "quick-6.12-user": (
        Counts(records=75, repeated=2, record_boots=2, kernel_boots=2),
        {"syslogd": 2, "httpd": 1, "gps": 2, "tide": 1, "pilot": 1},
        [],
    ),
    "quick-6.12-kernel": (
        Counts(records=75, repeated=2, record_boots=2, kernel_boots=2),
        {"syslogd": 2, "httpd": 1, "gps": 2, "tide": 1, "pilot": 1},
        [],
    ),
    # A demo up to its reboot, at kernel level: the picture in the README is made from it.
    "demo": (
        Counts(records=48, repeated=2, record_boots=1, kernel_boots=1),
        {"syslogd": 2, "httpd": 1, "gps": 2, "tide": 1, "pilot": 1},
        [],
    ),
    # Three boots up the ladder, to the safe state and out of it again, at kernel level.
    "ladder-6.12": (
        Counts(records=172, record_boots=3, kernel_boots=3),
        {"crashing": 6, "leaving": 4},
        [],
    ),
    # One record broken up and whole again, one cut off by an oops, one with a wrong check.
    "handmade-oops": (
        Counts(records=6, garbled=2, lost=3, spliced=1, record_boots=1, kernel_boots=1),
        {},
        ["bug", "oops", "tainted"],
    ),
}


def test_every_log_is_tried() -> None:
    """No recorded console lies there unused."""
    assert {path.stem for path in LOGS.glob("*.log")} == set(WANTED)


@pytest.mark.parametrize("name", WANTED)
def test_recorded_console(name: str) -> None:
    """Counts, restarts and findings of a recorded console are what they were."""
    counts, restarts, findings = WANTED[name]
    console, model = Console(LogFile(LOGS / f"{name}.log")), Model()
    console.listen(model.take)
    console.drain()
    console.close()
    found: dict[str, int] = {}
    for restart in model.history:
        found[restart.component] = found.get(restart.component, 0) + 1
    assert console.closed
    assert console.decoder.counts == counts
    assert found == restarts
    assert [finding.kind for finding in console.findings] == findings
