# SPDX-License-Identifier: MIT
"""The live view, rendered to text at several widths, and what watch prints without a terminal."""

from __future__ import annotations

import io
import json
import os
import re
from pathlib import Path

import pytest
from koboshi.wire import records
from rich.console import Console as Terminal

from koboshi_desk.console.decoder import Counts
from koboshi_desk.console.notes import Running, running_guest
from koboshi_desk.core.errors import PortError
from koboshi_desk.device.observed import Device
from koboshi_desk.device.view import View, columns_for, duration, left_of
from koboshi_desk.watch.desk import Desk
from koboshi_desk.watch.live import Consoles, export_svg, watch
from koboshi_desk.watch.screen import Screen
from tests.unit.desk.device.test_model import BACK, BOOT, READY, RESTART, Event, told


def rendered(width: int, counts: Counts | None = None) -> str:
    """The view of a model with one restarted component."""
    terminal = Terminal(file=io.StringIO(), record=True, width=width)
    terminal.print(View(told(*BOOT, READY, RESTART, BACK), counts or Counts(), "/dev/ttyUSB0"))
    return terminal.export_text()


def test_wide_view_has_everything() -> None:
    """On a wide terminal each component shows state, cause, latencies and PID."""
    text = rendered(140)
    for part in ("gps", "ready", "error SIGSEGV", "warm", "143 µs", "8.00 s", "80", "6.12.1", "/dev/ttyUSB0"):
        assert part in text


@pytest.mark.parametrize("width", [40, 60, 80, 100, 200])
def test_every_width_fits(width: int) -> None:
    """However narrow the terminal, no line is wider and name and state are there."""
    text = rendered(width)
    assert max(len(line) for line in text.splitlines()) <= width
    assert "gps" in text
    assert "ready" in text


def test_narrow_view_drops_the_least_important() -> None:
    """Columns go in the order of their rank."""
    assert len(columns_for(60)) < len(columns_for(140))
    assert [column.title for column in columns_for(10)] == ["component", "state", "restarts"]


@pytest.mark.parametrize(
    ("left", "style"),
    [("cold:5,group:1", "dim"), ("cold:4,group:1", "yellow"), ("cold:0,group:0", "bold red")],
)
def test_budget_left(left: str, style: str) -> None:
    """What is left on the ladder is a cell, which stands out when something is gone."""
    declared: Event = ("declared", {"component": "gps", "budget": "cold:5/10,group:1/100"})
    gps = told(declared, ("cold", {"component": "gps", "left": left})).components["gps"]
    cell = left_of(gps, 5.0)
    assert cell.plain == left.replace("cold:", "").replace(",group:", "/")
    assert cell.style == style


def test_lost_records_are_shown() -> None:
    """A gap in the records is said in the header."""
    assert "records lost 3" in rendered(140, Counts(lost=3))
    assert "lost" not in rendered(140)


def test_safe_state_is_shown() -> None:
    """A device in its safe state says so in the header, until an operator ended it."""
    entered: Event = ("safe-state", {"why": "gps"})
    left: Event = ("safe-state", {"why": "ended by operator"})
    for events, shown in (([entered], True), ([entered, left], False)):
        terminal = Terminal(file=io.StringIO(), record=True, width=140)
        terminal.print(View(told(*BOOT, *events), Counts(), "x"))
        assert ("SAFE STATE: gps" in terminal.export_text()) is shown


@pytest.mark.parametrize(("value", "text"), [(143, "143 µs"), (2100, "2.1 ms"), (3_200_000, "3.20 s")])
def test_durations(value: int, text: str) -> None:
    """Durations have the unit that suits their size."""
    assert duration(value) == text


def log_of(path: Path) -> Path:
    """A console's log of one boot and one restart, with a shell's prompt in it."""
    lines = [
        records.encode(seq, seq / 10, event, keys)
        for seq, (event, keys) in enumerate([*BOOT, READY, RESTART], 1)
    ]
    path.write_text("# made by a test\n[    0.1] x\nkoboshi# " + "\r\n".join(lines) + "\r\n")
    return path


def test_replay_plain(tmp_path: Path) -> None:
    """A log is replayed as a line per record, in their order."""
    out = io.StringIO()
    assert watch(Consoles(replays=[log_of(tmp_path / "log")]), out=out) == 0
    lines = out.getvalue().splitlines()
    assert [line.split()[1] for line in lines] == [event for event, _ in [*BOOT, READY, RESTART]]


EVIL = "\x1b[2J\x1b]0;x\x07\x9b1m\r"


def test_device_cannot_write_to_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Control characters in what a device says are shown as such, or left out, in lines and in the table."""
    log, name = tmp_path / "log", f"gps{EVIL}"
    lines = [
        records.encode(1, 1.0, "boot", {"id": EVIL, "kernel": EVIL}),
        records.encode(2, 1.1, "started", {"component": name, "pid": 7}),
        records.encode(3, 1.2, "given-up", {"component": name, "error": EVIL}),
        records.encode(4, 1.3, "safe-state", {"component": name, "why": EVIL}),
        f"[    9.000000] BUG: {EVIL}",
        f"shell {EVIL}",
    ]
    log.write_bytes("\n".join([*lines, ""]).encode())
    out = io.StringIO()
    watch(Consoles(replays=[log]), out=out)
    device = Device("x", live=False)
    device.take(log.read_bytes())
    terminal = Terminal(file=io.StringIO(), record=True, width=140, height=30)
    desk = Desk([device], note=EVIL)
    for key in "ll":
        desk.key(key)
    desk.note = EVIL
    terminal.print(Screen(desk), height=30)
    text = out.getvalue() + terminal.export_text()
    assert "gps" in text
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)


def test_replay_json(tmp_path: Path) -> None:
    """With --json each record is an object with its fields."""
    out = io.StringIO()
    watch(Consoles(replays=[log_of(tmp_path / "log")]), json_lines=True, out=out)
    last = json.loads(out.getvalue().splitlines()[-1])
    assert (last["event"], last["component"], last["latency_us"]) == ("restart", "gps", "143")


def test_finding_in_a_log(tmp_path: Path) -> None:
    """A log with kernel trouble in it is shown, and watch says so with its status."""
    log = log_of(tmp_path / "log")
    log.write_text(log.read_text() + "[    9.000000] BUG: unable to handle page fault\r\n")
    out = io.StringIO()
    assert watch(Consoles(replays=[log]), out=out) == 1
    assert "KERNEL bug: BUG: unable" in out.getvalue()


def test_picture(tmp_path: Path) -> None:
    """The view can be written as an SVG picture."""
    export_svg(Device("x", model=told(*BOOT, READY)), tmp_path / "view.svg")
    text = (tmp_path / "view.svg").read_text()
    assert text.startswith("<svg")
    assert "gps" in text


def test_nothing_to_watch(tmp_path: Path) -> None:
    """Without a port and without a running guest the error says what to do."""
    with pytest.raises(PortError, match="--port"):
        running_guest(tmp_path)


def test_newest_living_guest_is_watched(tmp_path: Path) -> None:
    """Of several notes the newest counts whose process lives; that of a killed process is forgotten."""
    for age, (name, pid) in enumerate({"dead": 2**22 + 1, "new": os.getpid(), "old": os.getpid()}.items()):
        note = tmp_path / f"{name}.json"
        note.write_text(json.dumps({"pid": pid, "log": f"/{name}"}))
        os.utime(note, (1000 - age, 1000 - age))
    assert running_guest(tmp_path) == Running(Path("/new"), os.getpid())
    assert not (tmp_path / "dead.json").exists()
