# SPDX-License-Identifier: MIT
"""The desk stamps what it receives with the time of the day, in recordings too; old recordings are read."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koboshi_desk.console.times import Times, load, path_of, stamp
from koboshi_desk.console.transport import LogFile
from koboshi_desk.core.errors import ConsoleClosedError
from koboshi_desk.device.observed import Device
from koboshi_desk.watch.desk import Desk
from koboshi_desk.watch.live import Consoles, watch
from tests.unit.desk.console.test_transport import record
from tests.unit.desk.watch.test_screen import shown

BEGIN = 1764587601.25
BOOT = record(1, "boot", id="1a2b3c4d")


def recorded(folder: Path) -> Path:
    """A recording of three records, the last a minute after the others, with the port closed between them."""
    device = Device("/dev/tty USB0", record_to=folder / "x.log")
    device.take(BOOT, BEGIN)
    device.take(record(2), BEGIN + 1)
    device.lost()
    device.reopened()
    device.take(record(1, "boot", id="5e6f7a8b"), BEGIN + 60)
    device.close()
    return folder / "x.log"


def pieces(log: LogFile) -> list[tuple[bytes, float | None]]:
    """What is read, and when it came."""
    found = []
    try:
        while True:
            data = log.read(0)
            found.append((data, log.came))
    except ConsoleClosedError:
        return found


def test_recording_is_stamped(tmp_path: Path) -> None:
    """The recording has the bytes and nothing else; beside it is when they came, and from where."""
    log = recorded(tmp_path)
    assert log.read_bytes() == BOOT + record(2) + record(1, "boot", id="5e6f7a8b")
    assert load(log).port == "/dev/tty USB0"
    found = pieces(LogFile(log))
    assert found[:2] == [(BOOT, BEGIN), (record(2), BEGIN + 1)]
    assert found[2] == (record(1, "boot", id="5e6f7a8b"), BEGIN + 60)


def test_old_recording_is_read(tmp_path: Path) -> None:
    """Without the file beside it, a recording is read as ever, without times."""
    log = recorded(tmp_path)
    path_of(log).unlink()
    ((data, came),) = pieces(LogFile(log))
    assert (data, came) == (log.read_bytes(), None)


@given(st.text(max_size=200))
def test_broken_times_are_left_out(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """Whatever stands in the file, nothing fails, and every byte of the recording is read."""
    log = tmp_path_factory.mktemp("times") / "x.log"
    log.write_bytes(record(1))
    path_of(log).write_text(f"koboshi-times/1 port=%\n{text}\n0 5.5\n0 inf\n4 1e400\n9 6", encoding="utf-8")
    assert b"".join(data for data, _ in pieces(LogFile(log))) == record(1)
    path_of(log).write_text(text, encoding="utf-8")
    assert b"".join(data for data, _ in pieces(LogFile(log))) == record(1)


def test_replay_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At pace 2 a recording of a minute takes half a minute, and no read waits for longer than it may."""
    now, reads = [100.0], list[float]()
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr("time.sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    log = LogFile(recorded(tmp_path), pace=2.0)
    while len(reads) < 3:
        before = now[0]
        if log.read(0.25):
            reads.append(now[0] - 100)
        assert now[0] - before <= 0.25 + 1e-6
    assert reads == pytest.approx([0, 0.5, 30], abs=0.01)


def test_received_is_shown(tmp_path: Path) -> None:
    """Lines, objects and the live view say when a record came; a replay says when it was recorded."""
    log = recorded(tmp_path)
    out = io.StringIO()
    watch(Consoles(replays=[log]), plain=True, out=out)
    assert out.getvalue().splitlines()[1].startswith(stamp(BEGIN + 1) + " ")
    out = io.StringIO()
    watch(Consoles(replays=[log]), json_lines=True, out=out)
    assert json.loads(out.getvalue().splitlines()[2])["received"] == "2025-12-01T11:14:21.250Z"
    path_of(log).unlink()
    out = io.StringIO()
    watch(Consoles(replays=[log]), json_lines=True, out=out)
    assert "received" not in json.loads(out.getvalue().splitlines()[0])


def test_devices_are_compared_by_the_time_of_the_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two devices' records, the one that came first stands first, whatever the devices' own times are."""
    monkeypatch.setenv("TZ", "UTC")
    left, right = Device("left"), Device("right")
    left.take(record(500, pid=1), BEGIN + 5)
    right.take(record(7, pid=2), BEGIN)
    lines = [line for line in shown(Desk([left, right])).splitlines() if line.startswith("11:13")]
    assert [line.split()[:2] for line in lines] == [["11:13:21", "right"], ["11:13:26", "left"]]


def test_replay_knows_that_the_port_was_closed(tmp_path: Path) -> None:
    """A device that rebooted while its port was closed is read as it was live."""
    device = Device("x", record_to=tmp_path / "x.log")
    for number in range(1, 20):
        device.take(record(number), BEGIN + number)
    device.lost()
    device.reopened()
    device.take(record(3, component="tide"), BEGIN + 60)
    device.close()
    out = io.StringIO()
    watch(Consoles(replays=[tmp_path / "x.log"]), plain=True, out=out)
    assert "component=tide" in out.getvalue().splitlines()[-1]
    assert device.decoder.counts.repeated == 0


def test_guest_log_from_before_has_no_times(tmp_path: Path) -> None:
    """What was in a growing log already did not come now."""
    log = tmp_path / "log"
    log.write_bytes(BOOT)
    console = LogFile(log, os.getpid())
    assert (console.read(0), console.came) == (BOOT, None)
    with log.open("ab") as more:
        more.write(record(2))
    assert console.read(0) == record(2)
    assert console.came is not None


def test_no_times() -> None:
    """Nothing is known of an offset before the first."""
    assert Times().at(5) is None
    assert stamp(1e300) == "?"
