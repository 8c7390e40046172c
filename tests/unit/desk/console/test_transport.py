# SPDX-License-Identifier: MIT
"""Real ttys, sockets and pyserial's remote ports: what is on the line is read, and nothing is invented."""

from __future__ import annotations

import contextlib
import errno
import os
import queue
import random
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import serial
import serial.rfc2217
from koboshi.wire import records

from koboshi_desk.console.decoder import Counts, Decoder, Record
from koboshi_desk.console.feed import Feed, News
from koboshi_desk.console.recording import new_path
from koboshi_desk.console.transport import open_port
from koboshi_desk.core.deadline import slow_factor
from koboshi_desk.core.errors import PortError
from koboshi_desk.device.observed import Device

LIMIT_S = 120.0  # for a machine that is busy with other things; nothing here takes long
needs_socat = pytest.mark.skipif(shutil.which("socat") is None, reason="socat is not installed")


def record(seq: int, event: str = "ready", **keys: object) -> bytes:
    """A record's line as the console sends it."""
    return (records.encode(seq, seq / 10, event, keys or {"component": "gps"}) + "\r\n").encode()


def poll(true: Callable[[], object], what: str, limit_s: float = LIMIT_S) -> None:
    """Until it is true, with a bound."""
    limit_s *= slow_factor()
    end = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < end, f"no {what} within {limit_s} s"
        time.sleep(0.01)


class Cable:
    """Two ttys with a cable between them that can be pulled."""

    def __init__(self, folder: Path) -> None:
        self.device, self.desk = folder / "device", folder / "desk"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Cable:
        self.plug()
        return self

    def __exit__(self, *_: object) -> None:
        self.pull()

    def plug(self) -> None:
        """There is a cable now."""
        ends = [f"PTY,raw,echo=0,link={end}" for end in (self.device, self.desk)]
        self._process = subprocess.Popen(["socat", *ends])
        poll(lambda: self.device.exists() and self.desk.exists(), "pair of ttys")

    def pull(self) -> None:
        """Both ends are hung up, as when a USB adapter is unplugged."""
        if self._process:
            self._process.terminate()
            self._process.wait(LIMIT_S)
            self._process = None


class Reader:
    """A Feed and a Device behind it."""

    def __init__(self, port: str) -> None:
        self.news: queue.Queue[News] = queue.Queue()
        self.feed = Feed(0, lambda: open_port(port), True, self.news)
        self.device = Device(port)
        self.notes: list[str] = []
        self.feed.start()

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.feed.stop()

    def seqs(self) -> list[int]:
        """The records so far."""
        with contextlib.suppress(queue.Empty):
            while True:
                news = self.news.get_nowait()
                self.device.take(news.data)
                if news.note is not None:
                    self.notes.append(news.note)
        return [item.seq for _, item, _ in self.device.log if isinstance(item, Record)]


@needs_socat
def test_tty_pair(tmp_path: Path) -> None:
    """Records come through a tty at 9600 baud as they were sent, and what is typed goes the other way."""
    with (
        Cable(tmp_path) as cable,
        Reader(str(cable.desk)) as reader,
        serial.Serial(str(cable.device), 9600, timeout=LIMIT_S) as port,
    ):
        for seq in range(1, 51):
            port.write(record(seq))
        poll(lambda: reader.seqs() == list(range(1, 51)), "50 records")
        assert reader.feed.write(b"hello\n")
        assert port.read_until(b"\n") == b"hello\n"


@needs_socat
def test_cable_pulled_in_the_middle_of_a_line(tmp_path: Path) -> None:
    """The port comes back by itself; half a line is not a record, and missed records are counted."""
    with Cable(tmp_path) as cable, Reader(str(cable.desk)) as reader:
        with serial.Serial(str(cable.device)) as port:
            port.write(record(1) + record(2)[:20])
            poll(lambda: reader.seqs() == [1] and reader.device.decoder.partial, "half a line")
        cable.pull()
        poll(lambda: reader.seqs() and reader.notes, "word of the pulled cable")
        assert not reader.feed.write(b"nobody is there")
        cable.plug()
        poll(lambda: reader.seqs() and reader.notes[-1] == "", "open port")
        with serial.Serial(str(cable.device)) as port:
            port.write(record(2)[20:] + record(5) + record(6))
            poll(lambda: 6 in reader.seqs(), "record after the pause")
    # The rest of record 2 came after all, and its check says that it is whole.
    assert reader.seqs() == [1, 2, 5, 6]
    assert reader.device.decoder.counts.lost == 2


@needs_socat
def test_rest_of_another_line_is_no_record(tmp_path: Path) -> None:
    """Half a record before the pause and half of another after it make none."""
    with Cable(tmp_path) as cable, Reader(str(cable.desk)) as reader:
        with serial.Serial(str(cable.device)) as port:
            port.write(record(1) + record(2)[:40])
            poll(lambda: reader.seqs() == [1] and reader.device.decoder.partial, "half a line")
        cable.pull()
        poll(lambda: reader.seqs() and reader.notes, "word of the pulled cable")
        cable.plug()
        poll(lambda: reader.seqs() and reader.notes[-1] == "", "open port")
        with serial.Serial(str(cable.device)) as port:
            port.write(record(7, "given-up")[30:] + record(8))
            poll(lambda: 8 in reader.seqs(), "record after the pause")
    assert reader.seqs() == [1, 8]
    counts = reader.device.decoder.counts
    assert (counts.garbled, counts.lost) == (1, 6)


def serve(handle: Callable[[socket.socket], object]) -> tuple[socket.socket, str]:
    """A server on this machine that hands each connection on, and its address."""
    server = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        with contextlib.suppress(OSError):
            while True:
                handle(server.accept()[0])

    threading.Thread(target=run, daemon=True).start()
    return server, f"127.0.0.1:{server.getsockname()[1]}"


def test_socket_comes_back() -> None:
    """A server of a console that closes the connection is connected to again."""
    seqs = iter(range(1, 100))

    def once(connection: socket.socket) -> None:
        with connection:
            connection.sendall(record(next(seqs)))

    server, address = serve(once)
    with server, Reader(f"socket://{address}") as reader:
        poll(lambda: {1, 2} <= set(reader.seqs()), "second connection")


class Rfc2217Server:
    """Serves loop://, which sends back what it gets, as pyserial's remote port over the telnet option."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._port = serial.serial_for_url("loop://", timeout=0.05)
        self._manager = serial.rfc2217.PortManager(self._port, self)  # type: ignore[arg-type]
        threading.Thread(target=self._send, daemon=True).start()
        self._receive()

    def write(self, data: bytes) -> None:
        """What the manager has to say."""
        self._connection.sendall(data)

    def _send(self) -> None:
        with contextlib.suppress(OSError, serial.SerialException):
            while True:
                if data := self._port.read(1024):
                    self.write(b"".join(self._manager.escape(data)))

    def _receive(self) -> None:
        with contextlib.suppress(OSError, serial.SerialException), self._connection:
            while data := self._connection.recv(1024):
                self._port.write(b"".join(self._manager.filter(data)))


@pytest.mark.filterwarnings("ignore:set(Daemon|Name):DeprecationWarning")  # pyserial 3.5
def test_remote_port() -> None:
    """rfc2217:// is a port on another machine: read, written, and its speed set from here."""
    server, address = serve(Rfc2217Server)
    with server, Reader(f"rfc2217://{address}") as reader:
        assert reader.feed.write(record(1) + record(2))
        poll(lambda: reader.seqs() == [1, 2], "records")


@needs_socat
@pytest.mark.parametrize("again", [True, False])
def test_port_that_is_not_there_yet(tmp_path: Path, again: bool) -> None:
    """A port that has never been there is waited for, and the reason is told."""
    news: queue.Queue[News] = queue.Queue()
    feed = Feed(0, lambda: open_port(str(tmp_path / "desk")), again, news)
    feed.start()
    assert news.get(timeout=LIMIT_S).note == "No such file or directory; waiting for it"
    with Cable(tmp_path) as cable, serial.Serial(str(cable.device), timeout=LIMIT_S) as device:
        assert news.get(timeout=LIMIT_S).note == ""
        device.write(b"here\n")
        assert news.get(timeout=LIMIT_S).data == b"here\n"
        feed.stop()


def test_server_that_is_not_there_yet() -> None:
    """A console server that does not listen yet is waited for too."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = free.getsockname()
    news: queue.Queue[News] = queue.Queue()
    feed = Feed(0, lambda: open_port(f"socket://127.0.0.1:{address[1]}"), True, news)
    feed.start()
    assert "refused" in str(news.get(timeout=LIMIT_S).note)
    with socket.create_server(address) as server:
        connection = server.accept()[0]
        assert news.get(timeout=LIMIT_S).note == ""
        feed.stop()
        connection.close()


@pytest.mark.parametrize("port", ["folder", "nonsense://x", "socket://x", "file"])
def test_port_that_never_will_be(tmp_path: Path, port: str) -> None:
    """What is no port is an error at once, not something to wait for."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    name = port if ":" in port else str(tmp_path / port)
    with pytest.raises(PortError):
        Feed(0, lambda: open_port(name), True, queue.Queue())


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_wrong_speed_is_told(share: float) -> None:
    """What a line at the wrong speed brings is no text: the desk says so, until a record comes."""
    device = Device("x")
    device.take("Größe, 漢字, prompt\a# \x1b[6n\r\n".encode() * 50)
    assert device.warning == ""
    rng = random.Random(25)
    device.take(
        bytes(rng.choice(b"\x00\x80\xf8\xfe\xe6\x1c") if rng.random() < share else 0x55 for _ in range(9000))
    )
    assert "--baud" in device.warning
    assert device.noise.total > 1000
    device.take(b"\n" + record(1))
    assert device.warning == ""


def test_full_disk_of_a_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The warning names the file and counts what is not in it; recording goes on once there is room."""
    device = Device("x", record_to=tmp_path / "x.log")
    write, room = os.write, [10]

    assert device.recording is not None
    recorded = device.recording._file.fileno()

    def limited(descriptor: int, data: bytes) -> int:
        if descriptor != recorded:
            return write(descriptor, data)
        if not room[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        taken = min(room[0], len(data))
        room[0] -= taken
        return write(descriptor, data[:taken])

    monkeypatch.setattr(os, "write", limited)
    device.take(record(1))
    device.take(record(2))
    missing = len(record(1) + record(2)) - 10
    assert (
        device.warning == f"recording {tmp_path}/x.log: No space left on device; {missing} bytes are missing"
    )
    room[0] = 1 << 20
    device.take(record(3))
    assert device.warning == ""
    assert device.recording.missing == missing
    device.close()
    assert (tmp_path / "x.log").read_bytes() == record(1)[:10] + record(3)
    assert [item.seq for _, item, _ in device.log if isinstance(item, Record)] == [1, 2, 3]


def corrupted(data: bytes, share: float, rng: random.Random) -> bytes:
    """With that share of its bytes replaced by others."""
    out = bytearray(data)
    for at in rng.sample(range(len(data)), round(len(data) * share)):
        out[at] = (out[at] + rng.randrange(1, 256)) % 256
    return bytes(out)


@pytest.mark.parametrize("share", [0.001, 0.01, 0.1])
def test_corrupted_line(share: float) -> None:
    """Of a line with wrong bytes no record is invented, and every one that is missing is counted."""
    rng = random.Random(round(share * 1000))
    sent = [record(seq, "restart", component="gps", pid=seq, latency_us=7 * seq) for seq in range(1, 2001)]
    decoder = Decoder()
    guard = record(1, "boot"), record(2001, "all-ready")
    data = guard[0] + corrupted(b"".join(sent[1:]), share, rng) + b"\r\n" + guard[1]
    found = [item for item in decoder.feed(data) if isinstance(item, Record)]
    whole = {line.decode().rstrip() for line in [guard[0], *sent[1:], guard[1]]}
    assert {records.encode(i.seq, i.time, i.event, dict(i.fields)) for i in found} <= whole
    assert len(found) + decoder.counts.lost == 2001
    assert decoder.counts.garbled > 0


def two_hours() -> tuple[bytes, Counts]:
    """A console of two hours: a record every 200 ms, kernel lines and a shell among them, some missing."""
    rng = random.Random(2)
    lines, counts = [], Counts(record_boots=1)
    for seq in range(1, 36001):
        line = records.encode(seq, seq / 5, "boot" if seq == 1 else "ready", {"component": "gps", "pid": seq})
        if seq > 1 and rng.random() < 0.01 and seq < 36000:
            counts.lost += 1
            continue
        counts.records += 1
        if rng.random() < 0.05:
            at = rng.randrange(30, len(line) - 10)
            line = f"{line[:at]}[{seq / 5:12.6f}] usb 1-1: reset\r\n{line[at:]}"
            counts.spliced += 1
        lines.append(line)
        if rng.random() < 0.1:
            lines.append("koboshi# ls /etc/koboshi/koboshi.toml")
    return ("\r\n".join(lines) + "\r\n").encode(), counts


def test_two_hours_of_console() -> None:
    """Two hours of console, as they come in pieces, are read in seconds, and each record is accounted for."""
    data, wanted = two_hours()
    device = Device("log", live=False)
    for begin in range(0, len(data), 4096):
        device.take(data[begin : begin + 4096])
    assert device.decoder.counts == wanted
    assert device.model.components["gps"].pid == 36000


def test_recording_is_byte_for_byte(tmp_path: Path) -> None:
    """What comes is kept as it came, broken bytes and all."""
    device = Device("x", record_to=tmp_path / "x.log")
    pieces = [b"\xff\x00half a rec", b"ord\r\n", record(1)]
    for piece in pieces:
        device.take(piece)
    device.close()
    assert (tmp_path / "x.log").read_bytes() == b"".join(pieces)


def test_recordings_do_not_overwrite(tmp_path: Path) -> None:
    """Each run's recording has a name of its own, without what a file's name cannot have."""
    first = new_path(tmp_path, "/dev/serial/by-id/usb-FTDI_1")
    first.touch()
    second = new_path(tmp_path, "/dev/serial/by-id/usb-FTDI_1")
    assert (first.name, second.name) == ("serial-by-id-usb-FTDI_1-1.log", "serial-by-id-usb-FTDI_1-2.log")
    assert new_path(tmp_path, "socket://[::1]:5000").parent == tmp_path
