# SPDX-License-Identifier: MIT
"""The GPS daemon: its parser on bytes good and bad, and the daemon on a FIFO and on a terminal."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit import programs
from workbench.guest.nmea import checksum, read_track

ROOT = programs.ROOT
LIMIT_S = 30.0
GGA = "GPGGA,092750.000,5321.6802,N,00630.3372,W,1,8,1.03,61.7,M,55.2,M,,"
RMC = "GPRMC,092750.000,A,5321.6802,N,00630.3372,W,0.02,31.66,280511,,,A"

# The parser alone, with the compiler's checks of memory and arithmetic, fed in pieces of a given size.
DRIVER = """
#include <stdio.h>
#include <stdlib.h>
#include "nmea.h"
int main(int argc, char **argv)
{
	static struct nmea_reader r;
	static char bytes[1 << 20];
	size_t piece = argc > 1 ? strtoul(argv[1], NULL, 10) : 1, count = fread(bytes, 1, sizeof bytes, stdin);
	int changed = 0;
	for (size_t at = 0; at < count; at += piece)
		changed += nmea_feed(&r, bytes + at, count - at < piece ? count - at : piece);
	struct gps_fix *f = &r.fix;
	printf("[%d, %lu, %lu, %d, ", changed, r.sentences, r.garbled, f->valid);
	printf("%f, %f, \\"%s\\", ", f->latitude, f->longitude, f->time);
	printf("%f, %f, %d, %f]", f->speed_kn, f->course, f->satellites, f->altitude_m);
	return 0;
}
"""

FIELDS = ["changed", "sentences", "garbled", "valid", "lat", "lon", "time"]
FIELDS += ["speed", "course", "satellites", "altitude"]


def sentence(body: str) -> bytes:
    """Add `$`, checksum and line end."""
    return b"$%s*%02X\r\n" % (body.encode(), checksum(body.encode()))


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The parser as a program, from standard input to a JSON array of FIELDS."""
    folder = tmp_path_factory.mktemp("nmea")
    (folder / "driver.c").write_text(DRIVER)
    flags = ["-std=c11", "-D_GNU_SOURCE", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    sources = [folder / "driver.c", ROOT / "components/gps/nmea.c"]
    include = f"-I{ROOT / 'components/gps'}"
    subprocess.run(["gcc", *flags, include, "-o", folder / "driver", *sources], check=True)
    return folder / "driver"


def parse(driver: Path, data: bytes, piece: int = 7) -> dict[str, Any]:
    """What the parser makes of the bytes."""
    result = subprocess.run(
        [driver, str(piece)], input=data, capture_output=True, check=True, timeout=LIMIT_S
    )
    return dict(zip(FIELDS, json.loads(result.stdout), strict=True))


@pytest.mark.parametrize("piece", [1, 7, 64, 4096])
def test_sentences_arrive_whole_in_any_pieces(driver: Path, piece: int) -> None:
    """Position, time, speed and altitude are the same however the bytes are cut."""
    fix = parse(driver, sentence(GGA) + sentence(RMC), piece)
    assert (fix["changed"], fix["sentences"], fix["garbled"], fix["valid"]) == (2, 2, 0, 1)
    assert fix["lat"] == pytest.approx(53 + 21.6802 / 60, abs=1e-6)
    assert fix["lon"] == pytest.approx(-(6 + 30.3372 / 60), abs=1e-6)
    assert fix["time"] == "2011-05-28T09:27:50Z"
    assert (fix["speed"], fix["course"], fix["satellites"], fix["altitude"]) == (0.02, 31.66, 8, 61.7)


def test_the_recorded_track_has_no_garbled_line(driver: Path) -> None:
    """Every sentence of the demo's track is taken."""
    track = read_track()
    fix = parse(driver, b"".join(track))
    assert (fix["sentences"], fix["garbled"]) == (len(track), 0)


@pytest.mark.parametrize(
    "line",
    [
        sentence(RMC).replace(b"5321", b"5322"),  # the checksum is another line's
        sentence(RMC)[:-4] + b"\r\n",  # no checksum
        sentence(RMC)[1:],  # no dollar
        sentence(RMC.replace("5321.6802", "9121.6802")),  # beyond the pole
        sentence(RMC.replace("5321.6802", "5361.6802")),  # 61 minutes
        sentence(RMC.replace("5321.6802", "nan")),
        sentence(RMC.replace(",N,", ",Q,")),
        sentence(RMC.replace("280511", "281311")),  # month 13
        sentence(RMC.replace("092750", "252750")),  # hour 25
        sentence("GPRMC,092750.000,A"),  # cut, with a right checksum
        sentence("GPTXT," + "x" * 200),  # too long
        b"$GP\0RMC*00\r\n",
    ],
)
def test_a_garbled_line_is_counted_and_dropped(driver: Path, line: bytes) -> None:
    """A wrong line changes nothing but the count, and the next good one is taken."""
    alone = parse(driver, line)
    assert (alone["changed"], alone["sentences"], alone["garbled"], alone["valid"]) == (0, 0, 1, 0)
    after = parse(driver, line + sentence(RMC))
    assert (after["changed"], after["garbled"], after["valid"]) == (1, 1, 1)


def test_a_lost_fix_is_told(driver: Path) -> None:
    """An RMC with status V (warning) voids the position."""
    void = "GPRMC,092751.000,V,,,,,,,280511,,,N"
    assert parse(driver, sentence(RMC) + sentence(void))["valid"] == 0


def test_other_sentences_are_not_garbled(driver: Path) -> None:
    """A sentence that the daemon has no use for is whole all the same."""
    fix = parse(driver, sentence("GPGSV,3,1,11,10,63,137,17") + sentence("PGRME,15.0,M"))
    assert (fix["changed"], fix["sentences"], fix["garbled"]) == (0, 2, 0)


@pytest.mark.parametrize("seed", range(12))
def test_damaged_input_never_breaks_the_parser(driver: Path, seed: int) -> None:
    """Random bytes, and the track with random damage: no memory error, and no impossible position."""
    chance = random.Random(seed)
    damaged = bytearray(b"".join(read_track()))
    for _ in range(2000):
        damaged[chance.randrange(len(damaged))] = chance.randrange(256)
    forged = b"".join(
        sentence("GPRMC," + "".join(chance.choices("0123456789.,+-ANEWSVx", k=chance.randrange(60))))
        for _ in range(500)
    )
    fix = parse(driver, chance.randbytes(50000) + bytes(damaged) + forged, chance.randrange(1, 300))
    assert fix["garbled"] > 100
    assert -90 <= fix["lat"] <= 90
    assert -180 <= fix["lon"] <= 180


@pytest.fixture(scope="session")
def daemon() -> Path:
    """koboshi-gps, built."""
    return programs.components() / "koboshi-gps"


class Running:
    """A daemon with its port, and the notify socket of a supervisor."""

    def __init__(self, daemon: Path, folder: Path, port: Path) -> None:
        self.socket, self.file = folder / "gps.sock", folder / "gps.json"
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.settimeout(LIMIT_S)
        self.notify.bind(str(folder / "notify"))
        command = [str(daemon), "--port", str(port), "--socket", str(self.socket), "--file", str(self.file)]
        environment = {**os.environ, "NOTIFY_SOCKET": str(folder / "notify"), "WATCHDOG_USEC": "100000"}
        self.process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
        assert self.notify.recv(100) == b"READY=1"

    def published(self, minimum: int) -> dict[str, Any]:
        """The file, once so many sentences are in it."""
        until = time.monotonic() + LIMIT_S
        while time.monotonic() < until:
            if self.file.exists():
                value: dict[str, Any] = json.loads(self.file.read_text())
                if value["sentences"] >= minimum:
                    return value
            time.sleep(0.01)
        raise AssertionError(f"no {minimum} sentences in {self.file}")

    def end(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.communicate()
        self.notify.close()


@pytest.fixture
def fifo(daemon: Path, tmp_path: Path) -> Iterator[tuple[Running, int]]:
    """A daemon on a FIFO, and the FIFO's other end."""
    path = tmp_path / "port"
    os.mkfifo(path)
    running = Running(daemon, tmp_path, path)
    writer = os.open(path, os.O_WRONLY)
    yield running, writer
    os.close(writer)
    running.end()


def test_it_publishes_to_the_file_and_to_clients(fifo: tuple[Running, int]) -> None:
    """A position goes to the file as a whole, and as a line to a client, also to one that connects later."""
    running, writer = fifo
    os.write(writer, sentence(RMC))
    value = running.published(1)
    assert value["latitude"] == pytest.approx(53.361337)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(LIMIT_S)
        client.connect(str(running.socket))
        lines = client.makefile("rb")
        assert json.loads(lines.readline()) == value
        os.write(writer, b"noise\r\n" + sentence(GGA))
        second = json.loads(lines.readline())
        lines.close()
    assert (second["sentences"], second["garbled"], second["altitude_m"]) == (2, 1, 61.7)


def test_a_client_that_goes_or_does_not_read_harms_nobody(fifo: tuple[Running, int]) -> None:
    """One client closes, one never reads: the file and the heartbeat go on."""
    running, writer = fifo
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as silent:
        silent.connect(str(running.socket))
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as gone:
            gone.connect(str(running.socket))
        sent = 0
        while sent < 3000:
            sent += 20
            os.write(writer, sentence(RMC) * 20)
            assert running.published(sent)["sentences"] >= sent
    assert running.process.poll() is None


def test_it_tells_its_heartbeat_without_input(fifo: tuple[Running, int]) -> None:
    """A receiver that is silent is not a daemon that hangs."""
    running, _ = fifo
    assert [running.notify.recv(100) for _ in range(3)] == [b"WATCHDOG=1"] * 3


def test_the_writer_of_a_fifo_may_come_back(fifo: tuple[Running, int]) -> None:
    """The end of a writer is not the end of the port."""
    running, _ = fifo
    for count in (1, 2):
        with (running.file.parent / "port").open("wb") as writer:
            writer.write(sentence(RMC))
        assert running.published(count)["sentences"] == count


def test_a_terminal_is_set_to_raw(daemon: Path, tmp_path: Path) -> None:
    """On a terminal bytes arrive as they are, without echo: a receiver must not hear itself."""
    master, slave = os.openpty()
    running = Running(daemon, tmp_path, Path(os.ttyname(slave)))
    try:
        os.write(master, sentence(RMC))
        running.published(1)
        os.set_blocking(master, False)
        with pytest.raises(BlockingIOError):
            os.read(master, 1)
    finally:
        running.end()
        os.close(slave)
        os.close(master)


def test_a_file_is_read_to_its_end_and_served_on(daemon: Path, tmp_path: Path) -> None:
    """With a recorded file as its port the last position stays published."""
    recorded = tmp_path / "recorded"
    recorded.write_bytes(b"".join(read_track()))
    running = Running(daemon, tmp_path, recorded)
    try:
        value = running.published(len(read_track()))
        assert value["garbled"] == 0
        assert running.process.poll() is None
    finally:
        running.end()


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        ([], 100, "usage"),
        (["--baud", "1"], 100, "usage"),
        (["--port", "/nonexistent"], 111, "/nonexistent: No such file"),
        (["--port", "/dev/null", "--socket", "/nonexistent/s"], 111, "cannot listen at /nonexistent/s"),
    ],
)
def test_errors_say_what_and_where(daemon: Path, arguments: list[str], status: int, text: str) -> None:
    """Wrong use is 100, a failed call 111 with the name that it was about."""
    result = subprocess.run([daemon, *arguments], capture_output=True, text=True, timeout=LIMIT_S)
    assert result.returncode == status
    assert text in result.stderr
