# SPDX-License-Identifier: MIT
"""The pilot component: what it says, and that it lives through its peers' restarts."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from components.koboshi_demo import geometry, pilot

COMPONENTS = Path(__file__).resolve().parents[3] / "components"
LIMIT_S = 60.0
FIX = {
    "valid": True,
    "time": "2026-06-01T16:00:00Z",
    "latitude": 37.8110,
    "longitude": -122.4105,
    "speed_kn": 12.0,
}
WATER = {"height_m": 1.0, "trend": "rising", "next": {"kind": "high"}}


def test_a_degree_of_latitude_is_sixty_miles() -> None:
    """Distance and bearing to the north, to the east on the equator, and to the same place."""
    assert geometry.distance_bearing(37, -122, 38, -122) == pytest.approx((60.04, 0), abs=0.01)
    assert geometry.distance_bearing(0, 179.5, 0, -179.5) == pytest.approx((60.04, 90), abs=0.01)
    assert geometry.distance_bearing(37, -122, 37, -122)[0] == 0


def test_it_says_what_it_knows() -> None:
    """From Pier 39 the bridge is 3.3 miles to the west; at 1 m its deck is 67.8 m above the water."""
    advice = pilot.advise(dict(FIX), dict(WATER))
    assert advice["bridge"] == {
        "distance_nm": pytest.approx(3.26, abs=0.03),
        "bearing": pytest.approx(279, abs=2),
    }
    assert advice["clearance_m"] == 67.8
    assert advice["missing"] == []


@pytest.mark.parametrize(
    ("gps", "tide", "missing"),
    [
        (None, None, ["gps", "tide"]),
        (None, WATER, ["gps"]),
        (FIX, None, ["tide"]),
        ({**FIX, "valid": False}, WATER, ["gps"]),
        ({**FIX, "latitude": "north"}, {"error": "outside the table"}, ["gps", "tide"]),
    ],
)
def test_it_says_what_it_does_not_know(
    gps: dict[str, object] | None, tide: dict[str, object] | None, missing: list[str]
) -> None:
    """Nothing heard, no fix, an error or nonsense: left out and named, never guessed."""
    advice = pilot.advise(gps, tide)
    assert advice["missing"] == missing
    assert (advice["position"] is None) == ("gps" in missing)
    assert (advice["clearance_m"] is None) == ("tide" in missing)


class Fake:
    """A peer at a socket's path: accepts, tells lines, goes away, comes back."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.listener: socket.socket | None = None
        self.client: socket.socket | None = None

    def appear(self) -> None:
        """Bind and listen again, as a newly started component does."""
        self.path.unlink(missing_ok=True)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(str(self.path))
        self.listener.listen()
        self.listener.settimeout(LIMIT_S)

    def accept(self) -> None:
        """Wait for the pilot."""
        assert self.listener is not None
        self.client, _ = self.listener.accept()
        self.client.settimeout(LIMIT_S)

    def tell(self, data: bytes) -> None:
        """Send bytes to the pilot."""
        assert self.client is not None
        self.client.sendall(data)

    def vanish(self) -> None:
        """Die: both sockets close."""
        for one in (self.client, self.listener):
            if one is not None:
                one.close()
        self.client = self.listener = None


class Stage:
    """The pilot as a process between two fakes and a supervisor's notify socket."""

    def __init__(self, folder: Path) -> None:
        self.gps, self.tide = Fake(folder / "gps.sock"), Fake(folder / "tide.sock")
        self.file = folder / "www" / "pilot.json"
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.settimeout(LIMIT_S)
        self.notify.bind(str(folder / "notify"))
        environment = {
            **os.environ,
            "PYTHONPATH": str(COMPONENTS),
            "NOTIFY_SOCKET": str(folder / "notify"),
            "WATCHDOG_USEC": "400000",
        }
        command = [sys.executable, "-m", "koboshi_demo.pilot", self.gps.path, self.tide.path, self.file]
        self.process = subprocess.Popen(
            [str(word) for word in command], env=environment, stderr=subprocess.DEVNULL
        )

    def wait(self, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The file, once the condition holds; every version read must be whole."""
        until = time.monotonic() + LIMIT_S
        value: dict[str, Any] = {}
        while time.monotonic() < until:
            assert self.process.poll() is None, "the pilot has ended"
            if self.file.exists():
                value = json.loads(self.file.read_text())
                if condition(value):
                    return value
            time.sleep(0.02)
        raise AssertionError(f"not within {LIMIT_S} s; the last was {value}")

    def end(self) -> None:
        """Clean up."""
        self.process.kill()
        self.process.wait()
        self.notify.close()
        self.gps.vanish()
        self.tide.vanish()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A pilot that is ready, with nobody there yet."""
    made = Stage(tmp_path)
    try:
        assert made.notify.recv(100) == b"READY=1"
        yield made
    finally:
        made.end()


def line(value: dict[str, Any]) -> bytes:
    """A JSON line."""
    return json.dumps(value).encode() + b"\n"


def test_it_is_ready_alone_and_beats(stage: Stage) -> None:
    """Peers that are away do not keep it from being ready, nor from its heartbeat."""
    assert [stage.notify.recv(100) for _ in range(3)] == [b"WATCHDOG=1"] * 3
    assert stage.wait(lambda value: True)["missing"] == ["gps", "tide"]


def test_it_asks_the_tide_for_the_time_of_the_fix(stage: Stage) -> None:
    """The time of the position goes to the tide, and both go into the file."""
    stage.gps.appear()
    stage.tide.appear()
    stage.gps.accept()
    stage.gps.tell(line(FIX)[:20])
    stage.gps.tell(line(FIX)[20:])
    stage.tide.accept()
    assert stage.tide.client is not None
    assert stage.tide.client.recv(100).startswith(b"2026-06-01T16:00:00Z\n")
    stage.tide.tell(line(WATER))
    assert stage.wait(lambda value: not value["missing"])["clearance_m"] == 67.8


def test_it_lives_through_the_restarts_of_both(stage: Stage) -> None:
    """Each peer dies and comes back twice, with noise in between; the pilot connects again each time."""
    pid = stage.process.pid
    for height in (1.0, 2.0):
        stage.gps.appear()
        stage.gps.accept()
        stage.gps.tell(b"half a li" + b"\n[1]\nnull\n" + line(FIX))
        stage.tide.appear()
        stage.tide.accept()
        stage.tide.tell(line({**WATER, "height_m": height}))
        stage.wait(lambda value, height=height: bool(value["tide"]) and value["tide"]["height_m"] == height)  # type: ignore[misc]
        stage.tide.vanish()
        stage.gps.vanish()
        assert stage.wait(lambda value: value["missing"] == ["gps", "tide"])["position"] is None
    assert stage.process.pid == pid
    assert stage.process.poll() is None
