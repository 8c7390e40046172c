# SPDX-License-Identifier: MIT
"""The host's player of a recorded GPS track."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from koboshi_desk.core.deadline import Deadline
from workbench.guest.nmea import NmeaPlayer, TrackError, checksum, read_track


def test_the_recorded_track_is_whole() -> None:
    """Every sentence of the track in the repo has a right checksum, and there are hundreds of both kinds."""
    kinds = [line[3:6] for line in read_track()]
    assert kinds.count(b"GGA") == kinds.count(b"RMC") >= 100


def test_the_track_in_the_repo_is_what_its_script_makes(capsys: pytest.CaptureFixture[str]) -> None:
    """track.nmea can be made again, byte for byte."""
    from components.gps import make_track

    make_track.main()
    made = capsys.readouterr().out.encode().splitlines()
    assert [line.rstrip() for line in read_track()] == made


def test_the_checksum_is_that_of_the_standard() -> None:
    """A sentence from a receiver's manual has the checksum printed there."""
    assert checksum(b"GPGGA,092750.000,5321.6802,N,00630.3372,W,1,8,1.03,61.7,M,55.2,M,,") == 0x76


@pytest.mark.parametrize(
    ("text", "line"), [("$GPGGA,1*00\n", 1), ("$A*41\nnoise\n", 2), ("$A*41\n$A\n", 2), ("", 0)]
)
def test_a_wrong_track_is_refused(tmp_path: Path, text: str, line: int) -> None:
    """A wrong checksum, noise, a cut line or an empty file: an error with the line's number."""
    file = tmp_path / "track.nmea"
    file.write_text(text)
    with pytest.raises(TrackError) as caught:
        read_track(file)
    assert caught.value.line == line


def test_it_plays_in_order_and_in_a_loop() -> None:
    """After the last sentence comes the first again."""
    heard: list[bytes] = []
    enough = threading.Event()

    def write(data: bytes) -> None:
        heard.append(data)
        if len(heard) >= 7:
            enough.set()

    with NmeaPlayer(write, [b"a", b"b", b"c"], hertz=100):
        assert enough.wait(30)
    assert heard[:7] == [b"a", b"b", b"c", b"a", b"b", b"c", b"a"]


def test_it_plays_into_a_socket_until_the_other_side_goes() -> None:
    """A guest that goes away ends the playing without an exception; the reason is kept."""
    ours, guest = socket.socketpair()
    with ours:
        player = NmeaPlayer(ours.sendall, hertz=100).start()
        with guest:
            assert guest.recv(6) == b"$GPGGA"
        player._thread.join(30)
        player.stop()
    assert isinstance(player.error, BrokenPipeError | ConnectionResetError)


def test_stopping_is_bounded() -> None:
    """A port that takes no more bytes does not hang the caller."""
    release = threading.Event()
    player = NmeaPlayer(lambda _: release.wait(60), [b"a"], hertz=1).start()
    try:
        with pytest.raises(TimeoutError):
            player.stop(Deadline(0.05, "stop", scaled=False))
    finally:
        release.set()
    player.stop()


@pytest.mark.parametrize("hertz", [0, -1, 1000, float("nan")])
def test_an_impossible_rate_is_refused(hertz: float) -> None:
    """No rate below 0.1 or above 100 sentences a second."""
    with pytest.raises(ValueError, match="Hz"):
        NmeaPlayer(lambda _: None, [b"a"], hertz=hertz)
