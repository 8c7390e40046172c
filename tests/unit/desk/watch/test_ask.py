# SPDX-License-Identifier: MIT
"""The control channel over a real tty: koboshictl on one end, the desk on the other."""

from __future__ import annotations

import getpass
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from koboshi_desk.console.control import Outcome
from koboshi_desk.console.decoder import Record
from koboshi_desk.core.errors import KoboshiError
from koboshi_desk.watch import ask
from koboshi_desk.watch.desk import Desk
from koboshi_desk.watch.live import Consoles, Watcher
from tests.unit.desk.console.test_control import Supervisor
from tests.unit.desk.console.test_transport import Cable
from tests.unit.desk.watch.test_screen import device, press, shown
from workbench.core.repository import REPOSITORY

needs_socat = pytest.mark.skipif(shutil.which("socat") is None, reason="socat is not installed")
CTL = [sys.executable, str(REPOSITORY / "supervisor/koboshictl"), "line"]


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    """Answers koboshictl on the control socket in tmp_path."""
    made, server = Supervisor(), socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "control"))
    server.listen()

    def serve() -> None:
        while True:
            try:
                connection = server.accept()[0]
            except OSError:
                return
            with connection, connection.makefile("rw") as file:
                lines = made.line.answer(json.loads(file.readline())["text"])
                file.write(json.dumps({"ok": True, "lines": lines}) + "\n")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield made
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join(10)


def reader(command: list[str], cable: Cable, run: Path) -> subprocess.Popen[bytes]:
    """What reads the device's end of the line."""
    environment = {**os.environ, "KOBOSHI_RUN": str(run)}
    with cable.device.open("r+b", buffering=0) as tty:
        return subprocess.Popen(command, stdin=tty, stdout=tty, stderr=tty, env=environment)


def asked(cable: Cable, *words: str) -> tuple[int, str]:
    """`koboshi control`: its status and output."""
    out = io.StringIO()
    status = ask.ask(str(cable.desk), *words, out=out)
    return status, out.getvalue()


@needs_socat
@pytest.mark.parametrize("by", ["koboshictl", "shell"])
def test_over_a_tty(tmp_path: Path, supervisor: Supervisor, by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With koboshictl alone on the line, and with a shell there, requests are answered."""
    binary = tmp_path / "bin/koboshictl"
    binary.parent.mkdir()
    binary.write_text(f'#!/bin/sh\nexec {CTL[0]} {CTL[1]} "$@"\n')
    binary.chmod(0o755)
    shell = ["sh", "-c", f'PATH={binary.parent}:$PATH; while read -r l; do eval "$l"; done']
    with Cable(tmp_path) as cable:
        process = reader(CTL if by == "koboshictl" else shell, cable, tmp_path)
        try:
            status, text = asked(cable, "status")
            assert status == 0
            assert "component=gps state=ready" in text
            assert asked(cable, "stop", "gps") == (0, "result=ok state=stopping\n")
            assert asked(cable, "start", "gps")[0] == 0  # the same person again, in another process
            assert asked(cable, "restart", "nobody")[0] == 1
            monkeypatch.setattr(getpass, "getuser", lambda: "another")
            status, text = asked(cable, "start", "gps")
            assert status == 1
            assert "code=locked" in text
            assert asked(cable, "steal")[0] == 0
            assert asked(cable, "start", "gps")[0] == 0
        finally:
            process.kill()
            process.wait()


@needs_socat
def test_nobody_reads_the_line(tmp_path: Path) -> None:
    """Without a reader at the other end, as it is by default, nothing is answered."""
    with Cable(tmp_path) as cable, pytest.raises(KoboshiError, match="must read the line"):
        ask.ask(str(cable.desk), "hello", seconds=0.5)


@needs_socat
def test_no_supervisor(tmp_path: Path) -> None:
    """Where there is no supervisor the reply says so."""
    with Cable(tmp_path) as cable:
        process = reader(CTL, cable, tmp_path / "nowhere")
        try:
            status, text = asked(cable, "hello")
        finally:
            process.kill()
            process.wait()
    assert status == 1
    assert "code=supervisor" in text


def live_desk() -> Desk:
    """A desk whose device takes requests."""
    made = device()
    made.live = True
    desk = Desk([made])
    desk.key("down")
    return desk


def test_keys_ask_after_a_confirmation() -> None:
    """s and r ask for a y before anything goes out; a and i do not."""
    desk = live_desk()
    control = desk.devices[0].control
    assert "stop gps? y or n" in press(desk, "s")
    assert not control.busy
    press(desk, "n")
    assert not control.busy
    press(desk, "r", "y")
    assert b" restart gps =" in control.step()
    assert "asked" in press(desk, "a")
    assert "rehearse gps? y or n" in press(desk, "e")
    assert "asked" in press(desk, "y")


def test_outcome_is_shown() -> None:
    """What became of a request is shown in the last line, a status as the component's own."""
    desk = live_desk()
    done = desk.devices[0].control.done
    done.append(Outcome("stop", "gps", "error", {"error": "one has the line"}, []))
    desk.news()
    assert "stop gps: one has the line" in shown(desk)
    done.append(Outcome("status", "", "ok", {}, [{"component": "gps", "left": "cold:5"}]))
    desk.news()
    assert "left cold:5" in shown(desk)


def test_crash_records_are_asked_for() -> None:
    """c asks for the records, without a confirmation, and says how many there were."""
    desk = live_desk()
    control = desk.devices[0].control
    press(desk, "c")
    assert b" crashes =" in control.step()
    control.done.append(Outcome("crashes", "", "ok", {"parts": "2"}, [{"number": "1"}, {"number": "2"}]))
    desk.news()
    assert "2 crash records" in shown(desk)


def test_recorded_console_takes_no_requests() -> None:
    """Of a log nothing can be asked, and without a selection nothing either."""
    assert "select a component" in press(Desk([device()]), "s")
    assert "is recorded" in press(Desk([device()]), "down", "s")


@needs_socat
def test_watcher_asks_after_the_cable_was_out(tmp_path: Path, supervisor: Supervisor) -> None:
    """A quiet device is asked for its components; while its port is closed their state is unknown."""
    with Cable(tmp_path) as cable:
        watcher = Watcher(Consoles(ports=[str(cable.desk)]).sources())
        (seen,) = watcher.devices
        states: list[str] = []
        processes = [reader(CTL, cable, tmp_path)]
        seen.catchup.heard([Record(1, 1.0, "ready", {}, 0)])  # else it waits for a quiet line

        def tick() -> bool:
            state = seen.model.components["gps"].state if "gps" in seen.model.components else ""
            if state != (states or [""])[-1]:
                states.append(state)
                if states == ["ready"]:
                    cable.pull()
                elif states == ["ready", "unknown"]:
                    cable.plug()
                    processes.append(reader(CTL, cable, tmp_path))
            return len(states) < 3

        try:
            watcher.run(lambda device, item: None, tick)
        finally:
            for process in processes:
                process.kill()
                process.wait()
    assert states == ["ready", "unknown", "ready"]
