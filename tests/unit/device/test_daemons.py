# SPDX-License-Identifier: MIT
"""Daemons as Debian ships them, unchanged, under the real supervisor: ready, serve, crash, serve again."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.unit.device.test_supervisor_live import Device, device, rfork_run, until

__all__ = ["device", "rfork_run"]

MANIFEST = """\
version = 1
[component.daemon]
command = {command}
ready = "{ready}"
"""


@dataclass(frozen=True)
class Daemon:
    """How it is started in a folder, and how a client finds that it serves."""

    program: str
    arguments: list[str]
    config: str
    ready: str
    ask: Callable[[Path], bool]


def _mosquitto(folder: Path) -> bool:
    command = ["mosquitto_pub", "--unix", str(folder / "socket"), "-t", "t", "-m", "m", "-q", "1"]
    return subprocess.run(command, capture_output=True, timeout=30).returncode == 0


def _ask(path: Path, request: bytes, start: bytes) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(30)
        try:
            client.connect(str(path))
            client.sendall(request)
            return client.recv(64).startswith(start)
        except OSError:
            return False


def _redis(folder: Path) -> bool:
    return _ask(folder / "socket", b"PING\r\n", b"+PONG")


def _rsyslog(folder: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        try:
            word = f"at {time.monotonic():.6f}"
            client.sendto(f"<13>koboshi: {word}".encode(), str(folder / "socket"))
        except OSError:
            return False
    heard = folder / "heard"
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if heard.exists() and word in heard.read_text():
            return True
        time.sleep(0.02)
    return False


DAEMONS = [
    Daemon(
        "mosquitto",
        ["-c", "CONFIG"],
        "listener 0 FOLDER/socket\nallow_anonymous true\nuser root\n",
        "notify",
        _mosquitto,
    ),
    Daemon(
        "redis-server",
        ["CONFIG"],
        "port 0\nunixsocket FOLDER/socket\ndir FOLDER\nsave ''\nsupervised systemd\n",
        "notify",
        _redis,
    ),
    Daemon(
        "rsyslogd",
        ["-n", "-f", "CONFIG", "-i", "FOLDER/pid"],
        'module(load="imuxsock" SysSock.Use="off")\ninput(type="imuxsock" Socket="FOLDER/socket")\n'
        '*.* action(type="omfile" file="FOLDER/heard")\n',
        "notify",
        _rsyslog,
    ),
]


@pytest.mark.parametrize("daemon", DAEMONS, ids=lambda daemon: daemon.program)
def test_daemon(device: Device, tmp_path: Path, daemon: Daemon) -> None:
    """It tells that it is ready by its own means, and after each crash it is back and serves."""
    program = shutil.which(daemon.program, path=os.environ["PATH"] + ":/usr/sbin")
    if program is None:
        pytest.skip(f"{daemon.program} is not installed")
    folder = tmp_path / "d"
    folder.mkdir(mode=0o755)
    config = folder / "config"
    config.write_text(daemon.config.replace("FOLDER", str(folder)))
    arguments = [
        item.replace("CONFIG", str(config)).replace("FOLDER", str(folder)) for item in daemon.arguments
    ]
    device.manifest(MANIFEST.format(command=[program, *arguments], ready=daemon.ready).replace("'", '"'))
    device.start()
    for generation in range(3):
        _serves(device, generation)
        until(lambda: daemon.ask(folder), "served")
        os.kill(int(device.status()["daemon"]["pid"]), signal.SIGSEGV)
    _serves(device, 3)
    assert device.count("end") == 0


def _serves(device: Device, generation: int) -> None:
    def ready() -> bool:
        told = device.status().get("daemon", {})
        return bool(told.get("generation") == generation and told["state"] == "ready")

    until(ready, f"ready in generation {generation}")
