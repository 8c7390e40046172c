# SPDX-License-Identifier: MIT
"""`koboshi watch` as a person has it: on a terminal, with a device on a real tty."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
import serial
from koboshi.wire import line

from tests.unit.desk.console.test_transport import LIMIT_S, Cable, poll, record
from workbench.core.repository import REPOSITORY

pytestmark = pytest.mark.skipif(shutil.which("socat") is None, reason="socat is not installed")


class Terminal:
    """A terminal with `koboshi watch` in it."""

    LIMIT_S = LIMIT_S
    SIZE = (30, 100)  # rows, columns
    PROGRAM: tuple[str, ...] = (sys.executable, "-m", "koboshi_desk.cli", "watch")

    def __init__(self, *words: str, **environment: str) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", *self.SIZE, 0, 0))
        tree = {"PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'supervisor'}", "TERM": "xterm-256color"}
        self.process = subprocess.Popen(
            [*self.PROGRAM, *words],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**os.environ, **tree, **environment},
            start_new_session=True,
        )
        os.close(slave)
        self.seen = ""

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        if self._master >= 0:
            os.close(self._master)

    def vanish(self) -> int:
        """Be gone, and return the program's status. No signal comes: this is no terminal of its session."""
        os.close(self._master)
        self._master = -1
        return self.process.wait(self.LIMIT_S)

    def shows(self, text: str) -> None:
        """Wait until it has shown this."""
        poll(lambda: text in self._read(), f"{text!r} on the terminal", self.LIMIT_S)

    def _read(self) -> str:
        while select.select([self._master], [], [], 0)[0]:
            with contextlib.suppress(OSError):  # EIO: its end is closed
                data = os.read(self._master, 65536)
                self.seen += data.decode("utf-8", "replace")
                continue
            break
        return self.seen

    def echoes(self) -> bool:
        """Whether it shows what is typed."""
        return bool(termios.tcgetattr(self._master)[3] & termios.ECHO)

    def press(self, keys: str) -> None:
        """Type."""
        os.write(self._master, keys.encode())

    def ends(self) -> int:
        """Wait for its exit status; what it still says is read meanwhile."""
        poll(lambda: self._read() is not None and self.process.poll() is not None, "its end", self.LIMIT_S)
        return int(self.process.returncode)


def test_a_restart_is_ordered_by_keys(tmp_path: Path) -> None:
    """The table comes up; a key and its confirmation send a request; the reply is shown; q ends it."""
    with (
        Cable(tmp_path) as cable,
        serial.Serial(str(cable.device), timeout=LIMIT_S) as device,
        Terminal("--port", str(cable.desk), "--record", str(tmp_path)) as terminal,
    ):
        terminal.shows("records")
        device.write(record(1, "boot", id="1a2b3c4d", kernel="6.12", rfork="kernel") + record(2))
        terminal.shows("gps")
        terminal.press("jr")
        terminal.shows("restart gps? y or n")
        terminal.press("y")
        request = device.read_until(b"gps =")
        request += device.read_until(b"\n")
        parsed = line.parse(request.decode().split("koboshictl line ")[1])
        assert parsed is not None
        assert (parsed.verb, parsed.component) == ("restart", "gps")
        device.write(line.reply(parsed.number, parsed.master, "ok", {"state": "starting"}).encode() + b"\r\n")
        terminal.shows("restart gps: starting")
        terminal.press("q")
        assert terminal.ends() == 0
    (recorded,) = tmp_path.glob("*.log")
    assert record(2) in recorded.read_bytes()


def test_ends_with_its_terminal(tmp_path: Path) -> None:
    """Without a terminal nobody sees it or can end it."""
    with Cable(tmp_path) as cable, Terminal("--port", str(cable.desk)) as terminal:
        terminal.shows("records")
        assert terminal.vanish() != 0


@pytest.mark.parametrize("size", [(24, 80), (16, 60), (50, 132)])
def test_newest_record_and_keys_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    """In a terminal of any height, the newest record and the line below it are on the screen."""
    log = tmp_path / "log"
    log.write_bytes(record(1, "boot", id="1a2b3c4d") + b"".join(record(number) for number in range(2, 90)))
    monkeypatch.setattr(Terminal, "SIZE", size)
    with Terminal("--replay", str(log)) as terminal:
        terminal.shows("8.900")  # the newest record's time: all are read
        terminal.shows("q quit")
        terminal.press("jr")
        terminal.shows("no requests")
        terminal.press("q")
        assert terminal.ends() == 0


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 0), (signal.SIGTERM, 128 + 15)])
def test_terminal_is_given_back(tmp_path: Path, number: signal.Signals, status: int) -> None:
    """After Ctrl-C and after a kill the terminal has its own screen, its cursor and its echo again."""
    log = tmp_path / "log"
    log.write_bytes(record(1, "boot", id="1a2b3c4d") + record(2))
    with Terminal("--replay", str(log)) as terminal:
        terminal.shows("gps")
        terminal.process.send_signal(number)
        assert terminal.ends() == status
        assert terminal.seen.rindex("\x1b[?1049l") > terminal.seen.rindex("\x1b[?1049h")
        assert terminal.seen.rindex("\x1b[?25h") > terminal.seen.rindex("\x1b[?25l")
        assert terminal.echoes()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_terminal_without_unicode(tmp_path: Path, encoding: str) -> None:
    """The view is drawn without characters that the terminal does not have."""
    log = tmp_path / "log"
    log.write_bytes(record(1, "boot", id="1a2b3c4d") + record(2, error="\u2026" * 200))
    with Terminal("--replay", str(log), PYTHONIOENCODING=encoding) as terminal:
        terminal.shows("j k select")
        terminal.press("q")
        assert terminal.ends() == 0
    assert terminal.seen.isascii()


@pytest.mark.parametrize("environment", [{"TERM": "dumb"}, {"NO_COLOR": "1"}])
def test_quiet_terminals(tmp_path: Path, environment: dict[str, str]) -> None:
    """A terminal that cannot draw gets lines, one that wants no colour gets none."""
    log = tmp_path / "log"
    log.write_bytes(record(1, "boot", id="1a2b3c4d") + record(2) + b"[    1.000000] BUG: x\n")
    with Terminal("--replay", str(log), **environment) as terminal:
        terminal.shows("gps")
        if environment.get("TERM") != "dumb":
            terminal.press("q")
        assert terminal.ends() == 1  # for the kernel's BUG
    assert "\x1b[3" not in terminal.seen
    assert ("\x1b" in terminal.seen) == ("NO_COLOR" in environment)
