# SPDX-License-Identifier: MIT
"""Root follows no path, and believes no word, of somebody else's on behalf of a component."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from koboshi.system import opening
from koboshi.system.calls import System
from koboshi.system.machine import Machine

from tests.unit import programs
from tests.unit.device.test_supervisor_live import Device

USER, STRANGER = 1, 54321
BOUND_S = 60.0
SECRET = b"root:$6$the-hash-of-root\n"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be led astray, and be another user")


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file that only root may read."""
    path = tmp_path / "shadow"
    path.write_bytes(SECRET)
    path.chmod(0o600)
    return path


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder of the component's user's."""
    path = tmp_path / "own"
    path.mkdir()
    os.chown(path, USER, USER)
    return path


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    """The real one."""
    real = System(str(tmp_path / "console"))
    yield real
    real.close_all()


def test_a_folder_that_the_user_has_replaced_is_not_followed(own: Path, tmp_path: Path) -> None:
    """Nor is any other link below a folder of the user's."""
    roots = tmp_path / "roots"
    roots.mkdir()
    (own / "sub").symlink_to(roots)
    with pytest.raises(opening.RefusedError, match="symbolic link"):
        opening.find(str(own / "sub" / "log"))


def test_links_of_roots_are_followed(tmp_path: Path) -> None:
    """As /var/run is one: whoever follows them goes where root has decided."""
    real = tmp_path / "real"
    real.mkdir()
    (real / "file").write_bytes(b"words\n")
    (tmp_path / "link").symlink_to("real")
    (real / "log").symlink_to("file")
    for path in ("link/log", "link/../link/log"):
        place = opening.find(str(tmp_path / path))
        assert place.name == "file"
        assert os.fstat(place.folder).st_ino == real.stat().st_ino
        place.close()


def test_a_folder_in_which_others_write_is_not_roots_own(own: Path, tmp_path: Path) -> None:
    """No record is kept there, and no folder of root's is made there."""
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    (own / "link").symlink_to(tmp_path)
    for path in (own, shared, own / "new", own / "link" / "new"):
        with pytest.raises(opening.RefusedError):
            opening.own_folder(str(path))
    assert not (own / "new").exists()
    assert not (tmp_path / "new").exists()
    assert Machine().volatile(str(own / "new")) == f"{own}/new is in a folder that others than root can write"
    opening.own_folder(str(tmp_path / "a" / "b"))
    assert (tmp_path / "a" / "b").is_dir()


def test_records_are_for_root_alone(system: System, tmp_path: Path) -> None:
    """The state and the crash records, also where a former version has left them for everybody."""
    for name in ("state.json", "state.json.new", "crash.00"):
        (tmp_path / name).touch(0o644)
    assert system.replace(str(tmp_path / "state.json"), b"{}")
    assert system.machine.write_slot(str(tmp_path / "crash.00"), b"x") == ""
    assert system.machine.write_slot(str(tmp_path / "crash.01"), b"x") == ""
    for name in ("state.json", "crash.00", "crash.01"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600, name


def eventually(what: Callable[[], bool], complaint: str) -> None:
    """It is so within the bound."""
    deadline = time.monotonic() + BOUND_S
    while not what():
        assert time.monotonic() < deadline, complaint
        time.sleep(0.02)


def test_the_environment_is_on_no_command_line_and_in_no_file_for_others(tmp_path: Path) -> None:
    """A component has it; another user finds it nowhere."""
    device = Device(tmp_path, programs.librfork() / "rfork-run")
    device.manifest(
        'version = 1\n[component.a]\nenvironment = { TOKEN = "s3cr3t" }\n'
        'command = ["/bin/sh", "-c", "echo $TOKEN; exec sleep 1000", "MARK"]\n'
    )
    device.start()
    try:
        output = device.run / "a" / "output"
        eventually(lambda: output.exists() and output.read_bytes() == b"s3cr3t\n", "no environment")
        commands = [path.read_bytes() for path in readable("/proc/[0-9]*/cmdline")]
        assert not [words for words in commands if str(tmp_path).encode() in words and b"s3cr3t" in words]
        found = [path for path in device.run.rglob("*") if path.is_file() and b"s3cr3t" in path.read_bytes()]
        assert found
        assert not [path for path in found if path.stat().st_mode & stat.S_IROTH]
    finally:
        device.end(signal.SIGTERM)


def readable(pattern: str) -> Iterator[Path]:
    """Files of processes, of which some end meanwhile."""
    for path in Path("/").glob(pattern.lstrip("/")):
        with contextlib.suppress(OSError):
            path.read_bytes()
            yield path


SAYS_IT_LATER = """
import os, socket, sys, time
sys.stdin.readline()
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect("\\0" + os.environ["NOTIFY_SOCKET"][1:])
s.send(b"STATUS=of its own")
time.sleep(1000)
"""


def say_as(user: int, name: str, text: bytes) -> None:
    """Of a process that is gone when this returns."""
    child = os.fork()
    if child == 0:
        status = 1
        with contextlib.suppress(OSError):
            os.setgroups([])
            os.setuid(user)
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.connect(name)
                sender.send(text)
            status = 0
        os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_stranger_does_not_speak_for_a_component() -> None:
    """Not when it is gone before it is looked for, either: its user is not the component's."""
    rfork_run = programs.librfork() / "rfork-run"
    options = [
        *("--name", "t", "--user", "daemon", "--backend", "user"),
        *("--ready", "notify", "--on", "none"),
    ]
    with subprocess.Popen(
        [rfork_run, *options, "--", os.path.realpath(sys.executable), "-S", "-c", SAYS_IT_LATER],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as runner:
        assert runner.stdin is not None
        assert runner.stderr is not None
        assert " started " in runner.stderr.readline()
        say_as(STRANGER, f"\0rfork-run/t/{runner.pid}", b"READY=1\nSTATUS=of a stranger")
        runner.stdin.write("\n")
        runner.stdin.flush()
        said = ""
        while "of%20its%20own" not in said:
            said += (line := runner.stderr.readline())
            assert line, said
        runner.terminate()
        said += runner.stderr.read()
    assert "stranger" not in said
    assert " ready " not in said
