# SPDX-License-Identifier: MIT
"""The real supervisor with the real rfork-run, as an ordinary program on the host."""

from __future__ import annotations

import contextlib
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
from koboshi.wire.records import Record, find

from tests.unit import programs

ROOT = Path(__file__).resolve().parents[3]
BOUND_S = 120.0
OF_RUNNERS = ("started", "ready", "checkpoint", "restart", "poisoned", "end")

MANIFEST = """\
version = 1
[component.steady]
command = ["PYTHON", "-S", "-c", "import signal; signal.pause()", "MARK"]
[component.crasher]
command = ["PYTHON", "-S", "-c", "import os, time; time.sleep(0.03); os.abort()", "MARK"]
needs = ["steady"]
restart = { burst = 100000, probation_s = 0 }
cold = { delay_s = 0.01, delay_max_s = 0.02, attempts = 1000 }
ladder = { same_fault = 0 }
"""


@pytest.fixture(scope="session")
def rfork_run() -> Path:
    """rfork-run, built from this tree."""
    return programs.librfork() / "rfork-run"


class Device:
    """A folder with a manifest in which supervisors are started and killed."""

    def __init__(self, path: Path, rfork_run: Path) -> None:
        self.run = path / "run"
        self.etc = path / "etc"
        self.etc.mkdir()
        self.console = path / "console"
        self.console.touch()
        self.mark = f"koboshi-test-{path}"
        self.environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT / "supervisor"),
            "KOBOSHI_RUN": str(self.run),
            "KOBOSHI_ETC": str(self.etc),
            "KOBOSHI_CONSOLE": str(self.console),
            "KOBOSHI_RFORK_RUN": str(rfork_run),
            "KOBOSHI_SYSRQ": str(path / "sysrq"),
        }
        self.supervisor: subprocess.Popen[bytes] | None = None

    def manifest(self, text: str) -> None:
        """Write the manifest; MARK becomes an argument by which the component's processes can be found."""
        (self.etc / "koboshi.toml").write_text(
            text.replace("MARK", self.mark).replace("PYTHON", sys.executable)
        )

    def start(self) -> None:
        """Start a supervisor."""
        command = [sys.executable, "-S", "-B", "-m", "koboshi"]
        self.supervisor = subprocess.Popen(command, env=self.environment)

    def end(self, number: signal.Signals) -> int:
        """Signal the supervisor and wait for its end."""
        assert self.supervisor is not None
        self.supervisor.send_signal(number)
        status = self.supervisor.wait(BOUND_S)
        self.supervisor = None
        return status

    def ctl(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run koboshictl."""
        command = [sys.executable, "-S", "-B", "-m", "koboshi.ctl", *words]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=BOUND_S)

    def status(self) -> dict[str, Any]:
        """status.json's components."""
        try:
            status = json.loads((self.run / "status.json").read_text())
        except FileNotFoundError:
            return {}
        components: dict[str, Any] = status["components"]
        return components

    def records(self) -> list[Record]:
        """The supervisor's log."""
        texts = [
            (self.run / name).read_text() for name in ("events.1", "events") if (self.run / name).exists()
        ]
        found = [find(line) for line in "".join(texts).splitlines()]
        return [record for record in found if record is not None]

    def count(self, event: str) -> int:
        """How many records of this kind there are."""
        return len([record for record in self.records() if record.event == event])

    def told_by(self, component: str) -> list[tuple[str, str]]:
        """Name and time of each event in a runner's log."""
        folder = self.run / component
        texts = [(folder / name).read_text() for name in ("events.1", "events") if (folder / name).exists()]
        words = [line.split(" ") for line in "".join(texts).splitlines()]
        return [(word[3], word[2]) for word in words]

    def copies(self, word: str) -> list[int]:
        """PIDs of the processes that run a component whose command holds `word`, but for its runner."""
        return [pid for pid, argv in self.processes() if word in " ".join(argv) and "--poke" not in argv]

    def processes(self) -> list[tuple[int, list[str]]]:
        """All processes of this device, but for the supervisor: PID and arguments."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal():
                try:
                    argv = (entry / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
                except OSError:
                    continue
                if self.mark in argv:
                    found.append((int(entry.name), argv))
        return found

    def busy(self) -> bool:
        """Whether a runner does something now."""
        for pid, argv in self.processes():
            with contextlib.suppress(OSError):
                if "--poke" in argv and Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] == "R":
                    return True
        return False


def until(condition: Callable[[], object], what: str) -> None:
    """Poll with a bound."""
    deadline = time.monotonic() + BOUND_S
    while not condition():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.01)


@pytest.fixture
def device(tmp_path: Path, rfork_run: Path) -> Iterator[Device]:
    """A device on which nothing is left running."""
    device = Device(tmp_path, rfork_run)
    yield device
    if device.supervisor is not None:
        device.end(signal.SIGTERM)
    for pid, argv in device.processes():
        if argv[0].endswith("rfork-run"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    until(lambda: not device.processes(), "everything has ended")


def state(device: Device, name: str) -> str:
    """A component's state; nothing, before it is known."""
    return str(device.status().get(name, {}).get("state", ""))


def crashes_on(device: Device) -> None:
    """Wait for a few more crashes."""
    before = len(device.told_by("crasher"))
    until(lambda: len(device.told_by("crasher")) > before + 4, "crashes")


def start_anew(device: Device) -> None:
    """kill -9 of the supervisor, crashes without it, and another one that has taken over."""
    starts = device.count("supervisor")
    device.end(signal.SIGKILL)
    crashes_on(device)
    device.start()
    until(lambda: device.count("supervisor") > starts, "the next supervisor")


def test_killed_again_and_again(device: Device) -> None:
    """Supervisors killed while a component crashes lose no event, tell none twice, start no second copy."""
    device.manifest(MANIFEST)
    device.start()
    until(lambda: device.status().get("crasher", {}).get("generation", 0) > 2, "crashes")
    steady = device.status()["steady"]
    for _ in range(8):
        start_anew(device)
        assert device.copies("signal.pause") == [steady["pid"]]
        assert len(device.copies("os.abort")) <= 1
    assert device.end(signal.SIGTERM) == 0
    records = device.records()
    assert [record.seq for record in records] == list(range(1, len(records) + 1))
    for name in ("steady", "crasher"):
        told = [(r.event, f"{r.time:.6f}") for r in records if r.component == name and r.event in OF_RUNNERS]
        assert told == device.told_by(name)
    adopted = [record.keys["adopted"] for record in records if record.event == "supervisor"]
    assert adopted == ["0"] + ["2"] * 8
    seen = {r.seq for line in device.console.read_text().splitlines() if (r := find(line))}
    assert seen == set(range(1, len(records) + 1))
    assert not device.processes()


@pytest.mark.parametrize("adopted", [False, True])
def test_runner_killed(device: Device, adopted: bool) -> None:
    """A runner that is killed, a child or adopted, is noticed without a poke and replaced once."""
    device.manifest(MANIFEST)
    device.start()
    until(lambda: device.count("restart") > 0, "crashes")
    if adopted:
        start_anew(device)
    old = device.status()["steady"]
    os.kill(old["runner"], signal.SIGKILL)
    until(lambda: device.status()["steady"]["runner"] not in (0, old["runner"]), "a new runner")
    until(lambda: state(device, "steady") == "ready", "ready again")
    new = device.status()["steady"]
    until(lambda: device.copies("signal.pause") == [new["pid"]], "one copy that has executed its program")


def test_koboshictl(device: Device) -> None:
    """An operator sees the state, stops, starts and restarts a component, and reads the records."""
    device.manifest(MANIFEST)
    assert device.ctl("status").returncode == 1
    device.start()
    until(lambda: state(device, "steady") == "ready", "ready")
    assert "steady" in device.ctl("status").stdout
    assert json.loads(device.ctl("--json", "status").stdout)["components"]["steady"]["state"] == "ready"
    assert device.ctl("stop", "steady").returncode == 0
    until(lambda: state(device, "steady") == "stopped", "stopped")
    assert device.copies("signal.pause") == []
    assert device.ctl("start", "steady").returncode == 0
    until(lambda: state(device, "steady") == "ready", "ready again")
    assert device.ctl("restart", "steady").returncode == 0
    until(lambda: device.status()["steady"]["cause"] == "operator", "restarted")
    last = device.ctl("--json", "events", "-n", "500").stdout.splitlines()
    assert {"component": "steady", "by": "operator"}.items() <= {
        k: v for line in last if (record := json.loads(line))["event"] == "stopped" for k, v in record.items()
    }.items()
    refused = device.ctl("stop", "nobody")
    assert (refused.returncode, "no component 'nobody'" in refused.stderr) == (1, True)
    assert device.ctl("dance").returncode == 100


def test_reload_of_a_wrong_manifest(device: Device) -> None:
    """A wrong manifest is refused with file, line and key, and what runs keeps its PID."""
    device.manifest(MANIFEST)
    device.start()
    until(lambda: state(device, "steady") == "ready", "ready")
    before = device.status()["steady"]["pid"]
    device.manifest(MANIFEST.replace("needs", "neds"))
    reload = device.ctl("reload")
    assert reload.returncode == 1
    assert "koboshi.toml:6: component.crasher.neds: is unknown (did you mean needs?)" in reload.stderr
    assert device.ctl("check").returncode == 1
    assert device.status()["steady"]["pid"] == before


def _descriptors(pid: int | str) -> set[str]:
    return {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()}


def _signals(pid: int, what: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(dict(line.split(":\t", 1) for line in lines if ":\t" in line)[what], 16)


def test_components_inherit_nothing(device: Device) -> None:
    """A component has no descriptor of the supervisor's, a session of its own, and ignores no signal."""
    loop = '["/bin/sh", "-c", "while :; do sleep 0.1; done", "MARK"]'
    device.manifest(f"version = 1\n[component.a]\ncommand = {loop}")
    device.start()
    until(lambda: state(device, "a") == "ready", "ready")
    pid = device.status()["a"]["pid"]
    assert device.supervisor is not None
    common = _descriptors(pid) & _descriptors(device.supervisor.pid)
    assert common <= {"/dev/null"}
    assert [number for number in range(1, 32) if _signals(pid, "SigIgn") >> (number - 1) & 1] == []
    until(lambda: _signals(pid, "SigBlk") == 0, "no signal blocked, as a shell has them while it forks")
    assert os.getsid(pid) != os.getsid(0)


@pytest.mark.parametrize("removed", [False, True])
def test_a_second_supervisor(device: Device, removed: bool) -> None:
    """It is refused, with the PID of the first, which it does not disturb; also if the lock was removed."""
    device.manifest(MANIFEST)
    device.start()
    first = device.supervisor
    assert first is not None
    until(lambda: state(device, "steady") == "ready", "ready")
    if removed:
        (device.run / "supervisor.lock").unlink()
    command = [sys.executable, "-S", "-B", "-m", "koboshi"]
    second = subprocess.run(command, env=device.environment, capture_output=True, text=True, timeout=BOUND_S)
    assert second.returncode == 111
    assert f"in use by the supervisor with PID {first.pid}\n" in second.stderr
    assert device.ctl("stop", "steady").returncode == 0
    until(lambda: state(device, "steady") == "stopped", "the operator is obeyed")
    numbers = [record.seq for record in device.records()]
    assert numbers == sorted(set(numbers))
    assert device.count("supervisor") == 1


def crash_in_a_burst(device: Device, word: str) -> None:
    """Crash a component until its runner gives up restarting it at once."""
    seen: set[int] = set()

    def more() -> bool:
        for pid in set(device.copies(word)) - seen:
            seen.add(pid)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSEGV)
        return len(seen) > 5

    until(more, "a burst")
    until(lambda: not device.copies(word) and not device.busy(), "the runner knows of it")


def serves(device: Device, name: str, word: str) -> bool:
    """Whether a component is known to be ready, and is the process that runs."""
    return state(device, name) == "ready" and [device.status()[name]["pid"]] == device.copies(word)


def fill_up(path: Path) -> None:
    """To the last byte of the file system."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))


def test_a_full_run_folder(device: Device) -> None:
    """Whatever happens meanwhile, all is ready once there is room again, and no record is missing."""
    device.run.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=192k", "tmpfs", str(device.run)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no file system in memory can be mounted")
    try:
        device.manifest(
            MANIFEST.partition("[component.crasher]")[0] + "cold = { attempts = 99, delay_s = 0.01 }\n"
        )
        device.start()
        until(lambda: serves(device, "steady", "signal.pause"), "ready")
        for _ in range(6):
            fill_up(device.run / "fill")
            crash_in_a_burst(device, "signal.pause")
            (device.run / "fill").unlink()
            until(lambda: serves(device, "steady", "signal.pause"), "ready again")
        numbers = [record.seq for record in device.records()]
        assert numbers == list(range(1, len(numbers) + 1))
        device.end(signal.SIGTERM)
    finally:
        subprocess.run(["umount", "-l", str(device.run)], check=True)
