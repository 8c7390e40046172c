# SPDX-License-Identifier: MIT
"""The demo's components as installed, under rfork-run at user level, broken by the fault injector."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from koboshi.manifest import files

from tests.unit import programs
from workbench.guest.nmea import NmeaPlayer

LIMIT_S = 60.0


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root filesystem's part: what `make install` of the components and the Python module leaves."""
    library = programs.librfork()
    module, built = programs.python_module(), programs.components()
    root = tmp_path_factory.mktemp("root")
    install = [f"DESTDIR={root}", "install"]
    programs.make("librfork/python", f"BUILD={module}", f"LIBRFORK={library / 'librfork.a'}", *install)
    programs.make("components", f"BUILD={built}", f"LIBRFORK={library / 'librfork-static.a'}", *install)
    (root / "usr/bin/rfork-run").symlink_to(library / "rfork-run")
    return root


def test_the_manifest_is_right_and_its_programs_are_installed(installed: Path) -> None:
    """The demo's manifest passes the check, and what it names from this repo is where it says."""
    files.load(str(programs.ROOT / "components/koboshi.toml"))
    text = (installed / "etc/koboshi/koboshi.toml").read_text()
    assert '"/usr/bin/koboshi-gps"' in text
    assert (installed / "usr/bin/koboshi-gps").is_file()
    assert (installed / "usr/bin/koboshi-fault").is_file()
    assert (installed / "usr/lib/koboshi/koboshi_demo/tide.py").is_file()
    assert os.access(installed / "etc/koboshi/setup", os.X_OK)


def test_the_programs_need_no_library(installed: Path) -> None:
    """The C programs are static: they run on a device whatever C library it has."""
    for name in ("koboshi-gps", "koboshi-fault"):
        headers = subprocess.run(
            ["readelf", "-l", installed / "usr/bin" / name], capture_output=True, text=True, check=True
        )
        assert "INTERP" not in headers.stdout


def test_the_page_finds_the_live_state(installed: Path) -> None:
    """Under the document root, the state and the pilot's file are links to where they are written."""
    assert (installed / "www/status.json").readlink() == Path("/run/koboshi/status.json")
    assert (installed / "www/pilot.json").readlink() == Path("/run/pilot/pilot.json")
    page = (installed / "www/index.html").read_text()
    for name in ("status.js", "style.css"):
        assert f'"{name}"' in page
        assert (installed / "www" / name).is_file()
    assert "<noscript>" in page


class Device:
    """The three components, each under its runner, and a receiver that plays the track."""

    def __init__(self, installed: Path, run: Path) -> None:
        self.installed, self.run = installed, run
        self.runners: dict[str, subprocess.Popen[bytes]] = {}
        os.mkfifo(run / "port")
        self.port = os.open(run / "port", os.O_RDWR)
        self.player = NmeaPlayer(lambda data: os.write(self.port, data), hertz=50).start()
        gps, tide, pilot = (str(run / name) for name in ("gps.sock", "tide.sock", "pilot.json"))
        program = [str(installed / "usr/bin/koboshi-gps"), "--port", str(run / "port")]
        self.start(
            "gps", [*program, "--socket", gps, "--file", str(run / "gps.json")], "--rlimit", "as=33554432"
        )
        self.start("tide", [sys.executable, "-m", "koboshi_demo.tide", tide, "2026"])
        self.start("pilot", [sys.executable, "-m", "koboshi_demo.pilot", gps, tide, pilot])

    def start(self, name: str, command: list[str], *options: str) -> None:
        """As the supervisor does, with the demo's policy."""
        words = [str(self.installed / "usr/bin/rfork-run"), "--name", name, "--state", str(self.run / name)]
        words += ["--backend", "user", "--on", "signal,status", "--burst", "100", "--ready", "notify"]
        words += [
            "--heartbeat-ms",
            "1500",
            *options,
            "--output",
            str(self.run / f"{name}.log"),
            "--",
            *command,
        ]
        environment = {**os.environ, "PYTHONPATH": str(self.installed / "usr/lib/koboshi")}
        self.runners[name] = subprocess.Popen(words, env=environment)

    def events(self, name: str) -> list[dict[str, str]]:
        """The runner's whole records, each with its event under `event`."""
        file = self.run / name / "events"
        text = file.read_text() if file.exists() else ""
        found = []
        for line in text.splitlines(keepends=True):
            words = line.split()
            if line.endswith("\n"):
                found.append({"event": words[3], **dict(word.split("=", 1) for word in words[4:])})
        return found

    def wait(self, what: str, condition: Callable[[], bool]) -> None:
        """Poll until it holds."""
        until = time.monotonic() + LIMIT_S
        while not condition():
            if time.monotonic() > until:
                logs = {name: self.events(name)[-4:] for name in self.runners}
                raise AssertionError(f"not within {LIMIT_S} s: {what}; last events: {logs}")
            time.sleep(0.02)

    def ready(self, name: str) -> int:
        """How many instances have become ready."""
        return sum(event["event"] == "ready" for event in self.events(name))

    def break_it(self, name: str, kind: str) -> dict[str, str]:
        """Inject a fault, wait until the next instance is ready, and return the restart's record."""
        before = self.ready(name)
        command = [str(self.installed / "usr/bin/koboshi-fault"), "--run", str(self.run), name, kind]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=LIMIT_S)
        self.wait(f"{name} ready after {kind}", lambda: self.ready(name) == before + 1)
        return [event for event in self.events(name) if event["event"] == "restart"][-1]

    def advice(self) -> dict[str, Any]:
        """The pilot's file."""
        file = self.run / "pilot.json"
        value: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {"missing": ["all"]}
        return value

    def stop(self) -> dict[str, int]:
        """Stop the runners as an operator does; their exit statuses."""
        for runner in self.runners.values():
            runner.send_signal(signal.SIGTERM)
        try:
            return {name: runner.wait(LIMIT_S) for name, runner in self.runners.items()}
        finally:
            for runner in self.runners.values():
                runner.kill()
                runner.wait()
            self.player.stop()
            os.close(self.port)


@pytest.fixture
def device(installed: Path, tmp_path: Path) -> Iterator[Device]:
    """All three are ready, and the pilot knows everything. At the end all are stopped."""
    made = Device(installed, tmp_path)
    try:
        for name in made.runners:
            made.wait(f"{name} ready", lambda name=name: made.ready(name) == 1)  # type: ignore[misc]
        made.wait("advice", lambda: not made.advice()["missing"])
        yield made
    finally:
        statuses = made.stop()
    assert statuses == {"gps": 0, "tide": 0, "pilot": 0}


@pytest.mark.parametrize("name", ["gps", "tide", "pilot"])
def test_a_component_comes_back_warm_from_every_fault(device: Device, name: str) -> None:
    """Each kind of fault is seen for what it is, and the component is back from its checkpoint."""
    causes = {
        "wild": ("error", "signal:SIGSEGV"),
        "abort": ("error", "signal:SIGABRT"),
        "request": ("request", "exit:85"),
        "kill": ("signal", "signal:SIGKILL"),
        "stack": ("error", "signal:SIGSEGV"),
        "hang": ("heartbeat", "signal:SIGKILL"),
    }
    if name == "gps":  # the one with a memory limit: the others would take the machine's
        causes["leak"] = ("error", "signal:SIGSEGV")
    for number, (kind, (cause, status)) in enumerate(causes.items(), 1):
        restart = device.break_it(name, kind)
        assert (restart["level"], restart["cause"], restart["status"]) == ("warm", cause, status), kind
        assert restart["gen"] == str(number)
    log = (device.run / f"{name}.log").read_text()
    assert log.count("high and low waters in") == (1 if name == "tide" else 0), "the table was computed again"


def test_the_pilot_gets_over_the_loss_of_both_peers(device: Device) -> None:
    """GPS and tide crash; the pilot stays the same process, and hears of their next generation."""
    pid = device.events("pilot")[-1]["pid"]
    device.break_it("gps", "wild")
    device.break_it("tide", "kill")
    device.wait(
        "advice from the next generation",
        lambda: (
            not device.advice()["missing"]
            and device.advice()["position"]["generation"] == 1
            and device.advice()["tide"]["generation"] == 1
        ),
    )
    assert device.events("pilot")[-1]["pid"] == pid
    assert not [event for event in device.events("pilot") if event["event"] == "restart"]
