# SPDX-License-Identifier: MIT
"""The tide component: the astronomy against published tables, the station's facts, and the server."""

from __future__ import annotations

import json
import math
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from components.koboshi_demo import harmonics, table, tide

COMPONENTS = Path(__file__).resolve().parents[3] / "components"
LIMIT_S = 60.0
YEAR = 2026
DAY_S = 86400.0


@pytest.fixture(scope="session")
def year() -> table.TideTable:
    """San Francisco's table."""
    return table.TideTable(table.default_station(), YEAR)


# V + u at the year's start (degrees) and f at its middle, as in the tables of equilibrium arguments and node
# factors that go with XTide's public-domain harmonics (2019-12-29), made after Schureman.
PUBLISHED = [
    (2019, "M2", 126.83, 1.0117),
    (2019, "K1", 1.58, 0.9782),
    (2019, "O1", 129.41, 0.9643),
    (2019, "L2", 39.83, 0.9582),
    (2026, "M2", 66.36, 0.9674),
    (2026, "S2", 0.00, 1.0),
    (2026, "N2", 59.66, 0.9674),
    (2026, "K1", 14.26, 1.1031),
    (2026, "O1", 50.65, 1.1668),
    (2026, "P1", 349.33, 1.0),
    (2026, "Q1", 43.96, 1.1668),
    (2026, "K2", 208.93, 1.2815),
    (2026, "J1", 22.40, 1.1522),
    (2026, "OO1", 160.77, 1.6946),
    (2026, "MF", 145.06, 1.4069),
    (2026, "T2", 2.72, 1.0),
    (2026, "SA", 280.67, 1.0),
    (2026, "MK3", 80.62, 1.0671),
    (2026, "MN4", 126.01, 0.9358),
    (2026, "M6", 199.07, 0.9052),
]


@pytest.mark.parametrize(("start", "name", "argument", "factor"), PUBLISHED)
def test_arguments_and_node_factors_are_the_published_ones(
    start: int, name: str, argument: float, factor: float
) -> None:
    """The equilibrium argument agrees within a degree, the node factor within half a per cent."""
    begin = table.parse_iso(f"{start}-01-01T00:00:00Z")
    f, u = harmonics.node(name, table.parse_iso(f"{start}-07-02T12:00:00Z"))
    difference = (harmonics.argument(name, begin) + u - argument + 180) % 360 - 180
    assert abs(difference) < 1.0
    assert f == pytest.approx(factor, rel=0.005)


@pytest.mark.parametrize(
    ("name", "degrees_per_hour"),
    [
        ("M2", 28.9841042),
        ("S2", 30.0),
        ("N2", 28.4397295),
        ("K1", 15.0410686),
        ("O1", 13.9430356),
        ("SA", 0.0410686),
    ],
)
def test_speeds_are_the_published_ones(name: str, degrees_per_hour: float) -> None:
    """The constituents' speeds, to all published digits."""
    assert harmonics.speed(name) == pytest.approx(degrees_per_hour, abs=1e-7)


def test_the_speed_is_the_rate_of_the_argument() -> None:
    """For every constituent, the argument grows in a day as the speed says."""
    begin = table.parse_iso("2026-03-01T00:00:00Z")
    for name in [*harmonics.BASIC, *harmonics.COMPOUND]:
        grown = harmonics.argument(name, begin + DAY_S) - harmonics.argument(name, begin)
        assert (grown - 24 * harmonics.speed(name) + 180) % 360 - 180 == pytest.approx(0, abs=1e-3)


def test_a_height_is_the_sum_of_the_constituents(year: table.TideTable) -> None:
    """At a step of the table, the height is mean + sum of f H cos(V + u - g), by definition."""
    at = table.parse_iso("2026-06-01T00:00:00Z")
    station = table.default_station()
    total = station.mean_m
    for name, (amplitude, lag) in station.constants.items():
        f, u = harmonics.node(name, (year.start + year.end) / 2)
        total += f * amplitude * math.cos(math.radians(harmonics.argument(name, at) + u - lag))
    assert year.height(at) == pytest.approx(total, abs=0.002)


def test_between_the_steps_the_error_is_small(year: table.TideTable) -> None:
    """What is read between two steps is within 2 mm of the curve, all over the year's first fortnight."""
    waves = year.waves()
    worst = 0.0
    for at in range(0, 14 * 86400, 60):
        exact = year.station.mean_m + sum(a * math.cos(rate * at + phase) for a, rate, phase in waves)
        worst = max(worst, abs(year.height(year.start + at) - exact))
    assert worst < 0.002


def test_tides_come_as_the_moon_says(year: table.TideTable) -> None:
    """Mixed tides: high and low alternate, and there are two of each in a lunar day, 705 or so in a year."""
    assert all(a.high != b.high for a, b in zip(year.turns, year.turns[1:], strict=False))
    highs = [turn for turn in year.turns if turn.high]
    assert len(highs) == pytest.approx(365 * 28.9841042 / 360 * 24, abs=2)


def test_the_datums_are_those_of_the_survey(year: table.TideTable) -> None:
    """Means over the year agree with NOAA's datums of the station: MHW 1.59 m, MLW 0.35 m, MSL 0.95 m.

    The datums are means of 19 years, and the node makes diurnal tides larger in 2026 than in the mean year.
    """
    highs = [turn.height_m for turn in year.turns if turn.high]
    lows = [turn.height_m for turn in year.turns if not turn.high]
    assert sum(highs) / len(highs) == pytest.approx(1.59, abs=0.06)
    assert sum(lows) / len(lows) == pytest.approx(0.35, abs=0.06)
    assert sum(year.heights) / len(year.heights) == pytest.approx(3.12 * table.FOOT_M, abs=0.005)


def test_springs_follow_the_syzygies(year: table.TideTable) -> None:
    """The semidiurnal range is large around full moon (3 January 2026), small around a quarter (10th)."""

    def swing(day: str) -> float:
        waves = [
            (a, rate, phase) for a, rate, phase in year.waves() if 27 < math.degrees(rate) * 3600 < 31
        ]  # semidiurnal only: the diurnal tides follow the moon's declination
        start = table.parse_iso(day) - year.start
        heights = [
            sum(a * math.cos(rate * (start + step * 600) + phase) for a, rate, phase in waves)
            for step in range(150)
        ]
        return max(heights) - min(heights)

    springs, neaps = swing("2026-01-04T00:00:00Z"), swing("2026-01-11T12:00:00Z")
    assert springs / neaps > 1.6


def test_the_king_tide_of_january_is_there(year: table.TideTable) -> None:
    """California's announced king tide of 2 to 4 January 2026: near 2.1 m, and a minus tide."""
    january = [turn for turn in year.turns if turn.seconds < table.parse_iso("2026-01-10T00:00:00Z")]
    highest = max(january, key=lambda turn: turn.height_m)
    assert 2.05 < highest.height_m < 2.25
    assert min(turn.height_m for turn in january) < -0.4


def test_a_station_file_with_a_mistake_is_refused(tmp_path: Path) -> None:
    """An unknown constituent: an error with file, line and what is known."""
    file = tmp_path / "x.tide"
    file.write_text("name X\nunit metres\nmean 0\nX9 1.0 2.0\n")
    with pytest.raises(table.TideError, match=r"x\.tide:4: X9: .* M2"):
        table.read_station(str(file))


def test_an_answer_tells_the_next_turn(year: table.TideTable) -> None:
    """Rising water is followed by a high one, which is higher than now, and later."""
    for hour in range(0, 24 * 20, 3):
        reply: dict[str, Any] = tide.answer(year, table.iso(year.start + hour * 3600.0))
        assert (reply["trend"] == "rising") == (reply["next"]["kind"] == "high")
        assert (reply["next"]["height_m"] >= reply["height_m"]) == (reply["trend"] == "rising")
        assert reply["next"]["time"] > reply["time"]


@pytest.mark.parametrize(
    "question", ["", "now", "2027-06-01T00:00:00Z", "2026-13-01T00:00:00Z", "2026-06-01T00:00:0xZ"]
)
def test_a_question_out_of_the_table_is_an_answer_too(year: table.TideTable, question: str) -> None:
    """A wrong time gets an error, and does not end the component."""
    assert list(tide.answer(year, question)) == ["error"]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Path]:
    """The component as a process without supervisor, ready; its socket."""
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.settimeout(LIMIT_S)
    notify.bind(str(tmp_path / "notify"))
    environment = {
        **os.environ,
        "PYTHONPATH": str(COMPONENTS),
        "NOTIFY_SOCKET": str(tmp_path / "notify"),
        "WATCHDOG_USEC": "200000",
    }
    path = tmp_path / "run" / "tide.sock"
    command = [sys.executable, "-m", "koboshi_demo.tide", str(path), str(YEAR)]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        assert notify.recv(100) == b"READY=1"
        assert notify.recv(100) == b"WATCHDOG=1"
        yield path
        assert process.poll() is None
    finally:
        process.kill()
        _, errors = process.communicate()
        notify.close()
    assert "a restart starts the program from the beginning" in errors


def ask(path: Path, text: bytes) -> bytes:
    """One connection: send, and read all that comes until a line for each question has come."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(LIMIT_S)
        client.connect(str(path))
        client.sendall(text)
        data = b""
        while data.count(b"\n") < text.count(b"\n"):
            data += client.recv(65536)
        return data


def test_it_serves_many_without_a_supervisor(served: Path) -> None:
    """Several clients and several questions in one packet; without rfork it works and says so."""
    for _ in range(3):
        replies = [
            json.loads(line)
            for line in ask(served, b"2026-06-01T16:00:00Z\n2026-06-01T17:00:00Z\n").splitlines()
        ]
        assert [reply["time"] for reply in replies] == ["2026-06-01T16:00:00Z", "2026-06-01T17:00:00Z"]
        assert all(reply["generation"] == 0 for reply in replies)


def closed(client: socket.socket) -> bool:
    """Whether the other side has closed, with or without reading all."""
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


def flood(client: socket.socket) -> None:
    """Ask and ask, and never read, until the other side closes."""
    for _ in range(10000):
        try:
            client.sendall(b"2026-06-01T16:00:00Z\n" * 100)
        except (BrokenPipeError, ConnectionResetError):
            return
    raise AssertionError("the component waits for a client that does not read, or buffers without end")


def test_rude_clients_harm_nobody(served: Path) -> None:
    """Noise, an endless line, a client that asks and never reads: the next one is answered."""
    assert b"error" in ask(served, b"\xff\x00nonsense\n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as endless:
        endless.settimeout(LIMIT_S)
        endless.connect(str(served))
        endless.sendall(b"x" * 5000)
        assert closed(endless)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as deaf:
        deaf.connect(str(served))
        deaf.settimeout(LIMIT_S)
        flood(deaf)
        assert b"height_m" in ask(served, b"2026-06-01T16:00:00Z\n")
