# SPDX-License-Identifier: MIT
"""QEMU's command line, and that nothing is left of it, with a stand-in for QEMU that speaks QMP."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from koboshi_desk.console.transport import process_alive
from koboshi_desk.core.deadline import Deadline
from koboshi_desk.core.errors import KoboshiError
from workbench.guest.errors import BootError, QmpError
from workbench.guest.qemu import (
    PROGRAM,
    REQUEST_TTY,
    RESET_FILE,
    Options,
    Qemu,
    command_line,
    paste_command,
)
from workbench.image.bootable import Image

ROOT = Path(__file__).resolve().parents[4]
IMAGE = Image("test", Path("/boot/k"), Path("/boot/i"), "console=ttyS0 quiet", 128, 2)

STAND_IN = """\
import json, socket, sys
def listen(path):
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen()
    return server
arguments = " ".join(sys.argv)
paths = [word.split("path=")[1].split(",")[0] for word in sys.argv if "path=" in word]
others = [listen(path) for path in paths]
qmp, _ = listen(arguments.split("unix:")[1].split(",")[0]).accept()
qmp.sendall(b'{"QMP": {}}\\n')
for line in qmp.makefile():
    name = json.loads(line)["execute"]
    answer = {"error": {"desc": "no"}} if name == "system_reset" else {"return": {}}
    qmp.sendall(b'{"event": "RESUME"}\\n' + json.dumps(answer).encode() + b"\\n")
import time
time.sleep(60)  # the connection has gone, but it does not end by itself
"""


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program of QEMU's name, first in PATH."""
    program = tmp_path / "bin" / PROGRAM
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\n{STAND_IN}")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return program


def gone(pid: int) -> bool:
    """Wait until there is no such process, for at most 10 s."""
    deadline = Deadline(10)
    while not deadline.expired:
        if not process_alive(pid) or Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] == "Z":
            return True
    return False


def test_started_stopped_with_its_console(tmp_path: Path) -> None:
    """The guest waits (-S) with both serial ports and QMP on sockets, on the oldest CPU, without KVM."""
    line = " ".join(command_line(IMAGE, Options(), tmp_path))
    for part in (
        "-S",
        "-cpu core2duo,-monitor",
        "-accel tcg",
        "-smp 2",
        "-m 128",
        f"path={tmp_path}/console,server=on",
    ):
        assert part in line
    assert "-no-reboot" not in line


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize(("memory_mb", "written_mb"), [(64, 0), (128, 48), (256, 160), (2048, 160)])
def test_what_is_written_at_a_reset(memory_mb: int, written_mb: int) -> None:
    """It leaves room for the initrd at the end, and is not there where instructions are counted."""
    options = Options(memory_mb=memory_mb)
    with Qemu(IMAGE, options) as qemu:
        qemu.start(Deadline(30))
        file = qemu.folder / RESET_FILE
        assert file.stat().st_size == written_mb << 20
        line = " ".join(command_line(IMAGE, options, qemu.folder))
        assert (f"loader,file={file},addr=0x1000000" in line) == bool(written_mb)
        assert "loader" not in " ".join(command_line(IMAGE, Options(icount=0), qemu.folder))


def test_options_win_over_the_image(tmp_path: Path) -> None:
    """What is asked for replaces or adds to what the image says."""
    line = command_line(IMAGE, Options(smp=1, memory_mb=64, append="x=1", catch_reboot=True), tmp_path)
    assert line[line.index("-smp") + 1] == "1"
    assert line[line.index("-m") + 1] == "64"
    assert line[line.index("-append") + 1] == "console=ttyS0 quiet x=1"
    assert "-no-reboot" in line


def test_line_for_requests(tmp_path: Path) -> None:
    """On request there is one more port that the device reads; not if the disk has its own loader."""
    options = Options(requests=True)
    line = " ".join(command_line(IMAGE, options, tmp_path))
    assert f"path={tmp_path}/requests,server=on" in line
    assert f"koboshi.line={REQUEST_TTY}" in line
    assert "koboshi.line" not in paste_command(IMAGE, options)
    disk = replace(IMAGE, disk=tmp_path / "disk")
    for words in (command_line(disk, options, tmp_path), command_line(IMAGE, Options(), tmp_path)):
        assert "pci-serial,chardev=requests" not in words


@pytest.mark.parametrize("wrong", [{"smp": 0}, {"smp": -2}, {"memory_mb": 0}])
def test_no_machine_is_that_small(wrong: dict[str, int]) -> None:
    """Less than one CPU or one megabyte is refused, and does not become the image's number."""
    with pytest.raises(KoboshiError, match="at least 1 "):
        Options(**wrong)  # type: ignore[arg-type]


def test_command_for_people() -> None:
    """The command for a person's terminal is quoted for a shell and needs no socket."""
    words = shlex.split(paste_command(IMAGE, Options()))
    assert "console=ttyS0 quiet" in words
    assert "mon:stdio" in words
    assert "-S" not in words


def test_sockets_and_commands(stand_in: Path) -> None:
    """It starts, its console can be connected to, and events do not confuse its answers."""
    with Qemu(IMAGE) as qemu:
        qemu.start(Deadline(20))
        qemu.connect("console").close()
        qemu.cont()
        assert qemu.pid is not None
        with pytest.raises(QmpError, match="no"):
            qemu.reset()


def test_nothing_is_left(stand_in: Path) -> None:
    """Leaving the context ends the process, which would not end by itself, and removes the sockets."""
    with Qemu(IMAGE) as qemu:
        qemu.start(Deadline(20))
        pid, folder = qemu.pid, qemu.folder
    assert pid is not None
    assert not process_alive(pid)
    assert not folder.exists()


def test_qemu_that_fails(stand_in: Path) -> None:
    """A QEMU that ends at once is a typed error with what it said."""
    stand_in.write_text("#!/bin/sh\necho 'could not load kernel' >&2\nexit 1\n")
    qemu = Qemu(IMAGE)
    with pytest.raises(BootError, match="status 1") as caught:
        qemu.start(Deadline(20))
    assert caught.value.phase == "qemu"
    assert caught.value.last_lines == ["could not load kernel"]
    assert not qemu.folder.exists()


# A shell ignores SIGINT in what it does not wait for, nohup SIGHUP, and who is started so keeps to it.
PLAIN_SIGNALS = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
"""

HOST = f"""{PLAIN_SIGNALS}
from koboshi_desk.core.deadline import Deadline
from workbench.guest.qemu import Qemu
from tests.unit.workbench.guest.test_qemu import IMAGE
with Qemu(IMAGE) as qemu:
    qemu.start(Deadline(20))
    print(qemu.pid, qemu.folder, flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "kill-9"])
def test_killed_host(stand_in: Path, number: signal.Signals) -> None:
    """Ctrl-C leaves neither process nor sockets behind, and even kill -9 no process."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'supervisor'}"}
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(HOST)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        env=environment, text=True,
    ) as host:  # fmt: skip
        assert host.stdout is not None
        pid, folder = host.stdout.readline().split()
        host.send_signal(number)
        host.wait(20)
    assert gone(int(pid))
    if number == signal.SIGINT:
        assert not Path(folder).exists()
    shutil.rmtree(folder, ignore_errors=True)


GUEST = f"""{PLAIN_SIGNALS}
from koboshi_desk.core import ending
from koboshi_desk.core.deadline import Deadline
from workbench.guest.booted import Guest
from tests.unit.workbench.guest.test_qemu import IMAGE
ending.unwind_on_signals()
with Guest(IMAGE) as guest:
    guest.start(Deadline(20))
    print(guest.qemu.pid, guest.qemu.folder, guest.log, flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT], ids=["term", "hup", "int"])
def test_ended_host(stand_in: Path, tmp_path: Path, number: signal.Signals) -> None:
    """A signal to end leaves no process, sockets or note of a running guest, and the log's path is told."""
    cache = tmp_path / "cache"
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'supervisor'}", "KOBOSHI_CACHE": str(cache)}
    with subprocess.Popen(
        [sys.executable, "-c", GUEST], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=environment, text=True,
    ) as host:  # fmt: skip
        assert host.stdout is not None
        pid, folder, log = host.stdout.readline().split()
        assert list((cache / "running").iterdir())
        host.send_signal(number)
        _, told = host.communicate(timeout=20)
    assert host.returncode == (-number if number == signal.SIGINT else 128 + number)
    assert f"the whole console: {log}" in told
    assert gone(int(pid))
    assert not Path(folder).exists()
    assert list((cache / "running").iterdir()) == []
