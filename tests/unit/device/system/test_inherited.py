# SPDX-License-Identifier: MIT
"""What has started a supervisor or rfork-run may have blocked, ignored, opened or set this and that."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from koboshi import ctl
from koboshi.system import utf8

from tests.unit import programs
from tests.unit.device.test_supervisor_live import BOUND_S, Device, device, rfork_run, state, until

__all__ = ["device", "rfork_run"]
ODD = """
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGCHLD, signal.SIGUSR1, signal.SIGRTMIN))
for number in (signal.SIGCHLD, signal.SIGUSR2, signal.SIGRTMIN + 3):
    signal.signal(number, signal.SIG_IGN)
os.umask(0o77)
os.dup2(os.open("/etc/passwd", os.O_RDONLY), 77, inheritable=True)
os.execvp(sys.argv[1], sys.argv[1:])
"""
# A process with a past, which executes a program.
BY_ODD = [sys.executable, "-S", "-c", ODD]
SHOWS = """\
version = 1
[component.shows]
command = [
  "/bin/sh", "-c", "ls /proc/self/fd >fds; umask >mask; cat /proc/self/status >status; sleep 99", "MARK"
]
directory = "FOLDER"
"""


def test_a_supervisor(device: Device, tmp_path: Path) -> None:
    """It stops at SIGTERM, and its components have the usual signals, umask and descriptors."""
    device.manifest(SHOWS.replace("FOLDER", str(tmp_path)))
    command = [*BY_ODD, sys.executable, "-S", "-B", "-m", "koboshi"]
    device.supervisor = subprocess.Popen(command, env=device.environment)
    shown = tmp_path / "status"
    until(lambda: shown.exists() and "nonvoluntary" in shown.read_text(), "what it has got")
    assert "77" not in (tmp_path / "fds").read_text().split()
    assert (tmp_path / "mask").read_text() == "0022\n"
    status = dict(line.split(":\t", 1) for line in shown.read_text().splitlines() if ":\t" in line)
    assert (int(status["SigBlk"], 16), int(status["SigIgn"], 16)) == (0, 0)
    until(lambda: state(device, "shows") == "ready", "ready")
    assert device.end(signal.SIGTERM) == 0


def test_a_keeper(tmp_path: Path) -> None:
    """It knows of its program's end, and heeds SIGTERM."""
    pids = tmp_path / "pids"
    program = ["/bin/sh", "-c", f"trap 'exit 0' TERM; echo $$ >>{pids}; while :; do sleep 0.1; done"]
    keep = [str(programs.librfork() / "rfork-run"), "--keep", "--", *program]

    def started() -> list[int]:
        return [int(word) for word in pids.read_text().split()] if pids.exists() else []

    keeper = subprocess.Popen([*BY_ODD, *keep])
    try:
        until(lambda: len(started()) == 1, "a start")
        os.kill(started()[0], signal.SIGKILL)
        until(lambda: len(started()) == 2, "one more")
        keeper.send_signal(signal.SIGTERM)
        assert keeper.wait(BOUND_S) == 0
    finally:
        keeper.kill()
        keeper.wait()


NAMED = """\
version = 1
[component.says]
command = ["/bin/sh", "-c", "echo \\"$1\\" | tee 'caf\u00e9'; exec sleep 1000", "MARK", "caf\u00e9"]
directory = "FOLDER"
output = "FOLDER/caf\u00e9.log"
"""


@pytest.mark.parametrize("locale", ["POSIX", "C.UTF-8"])
def test_bytes_pass_through(device: Device, tmp_path: Path, locale: str) -> None:
    """Arguments and paths are UTF-8 in every locale, and koboshictl shows what the terminal can."""
    folder = tmp_path / "d\u00e9"
    folder.mkdir()
    device.environment.update({"LC_ALL": locale, "PYTHONCOERCECLOCALE": "0"})
    if locale == "POSIX":
        device.environment["PYTHONUTF8"] = "0"
    (device.etc / "koboshi.toml").write_text(
        NAMED.replace("MARK", device.mark).replace("FOLDER", str(folder)), encoding="utf-8"
    )
    device.start()
    until(lambda: state(device, "says") == "ready", "ready")
    log = folder / "caf\u00e9.log"
    until(lambda: log.exists() and log.read_bytes() == b"caf\xc3\xa9\n", "what it says")
    os.kill(int(device.status()["says"]["pid"]), signal.SIGSEGV)
    until(lambda: "caf" in device.ctl("crashes").stdout, "a crash record with its words")
    assert device.ctl("status").returncode == 0


@pytest.mark.parametrize("encoding", ["ascii", "utf-8", "latin-1"])
def test_output_of_any_encoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    """No character that a component has printed ends koboshictl."""
    crash = {"number": 1, "time": 2.0, "component": "a", "fault": "x", "decision": "warm", "kernel": ""}
    shown = ctl._crashes([{**crash, "output": "caf\u00e9 \u2603 \udcff"}])
    with (tmp_path / "out").open("w", encoding=encoding) as out:
        monkeypatch.setattr(sys, "stdout", out)
        utf8.tolerant_output()
        out.write(shown)
    assert b"caf" in (tmp_path / "out").read_bytes()
