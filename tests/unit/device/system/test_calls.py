# SPDX-License-Identifier: MIT
"""The supervisor's system calls, for real."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import koboshi
import pytest
from koboshi.journal import Console, Journal
from koboshi.system import machine
from koboshi.system.calls import System

SUPERVISOR = str(Path(koboshi.__file__).parents[1])


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    """Linux, with a file for a console."""
    system = System(str(tmp_path / "console"))
    yield system
    system.close_all()


def test_start_time_tells_processes_apart(system: System) -> None:
    """A process has a start time; one that has ended, also as a zombie, has none, and is not signalled."""
    child = subprocess.Popen([sys.executable, "-S", "-c", "import signal; signal.pause()"])
    start = system.start_time(child.pid)
    assert start > 0
    assert system.start_before(child.pid, system.now()) == start
    assert system.start_before(child.pid, system.now() - 3600) == 0
    assert not system.kill(child.pid, start + 1, signal.SIGKILL)
    assert system.kill(child.pid, start, signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert system.start_time(child.pid) == 0
    assert not system.kill(child.pid, start, signal.SIGKILL)
    child.wait()
    assert system.start_time(0) == 0


def test_spawn(system: System, tmp_path: Path) -> None:
    """A program starts without the caller's descriptors, and what it complains of is kept."""
    leak = os.open(tmp_path, os.O_RDONLY)
    os.set_inheritable(leak, False)
    errors = tmp_path / "errors"
    script = f"import os, sys; os.fstat({leak})"
    pid = system.spawn([sys.executable, "-S", "-c", script], str(errors))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
    os.close(leak)
    assert "Bad file descriptor" in errors.read_text()


def test_spawn_of_nothing(system: System, tmp_path: Path) -> None:
    """A program that is not there is an error number, not an exception."""
    assert system.spawn(["/nowhere"], str(tmp_path / "errors")) == -2


@pytest.mark.parametrize(("script", "answer"), [("exit 0", True), ("exit 1", False)])
def test_rfork_kernel(system: System, tmp_path: Path, script: str, answer: bool) -> None:
    """The kernel has rfork(2) if rfork-run can use nothing else."""
    assert system.rfork_kernel(program(tmp_path, script)) is answer


def test_rfork_kernel_that_hangs(system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that gives no answer has no rfork(2), and whoever asked it is gone."""
    monkeypatch.setattr("koboshi.system.calls._PROBE_S", 0.5)
    started: list[int] = []
    spawn = system.spawn

    def noted(argv: list[str], errors: str) -> int:
        started.append(spawn(argv, errors))
        return started[-1]

    monkeypatch.setattr(system, "spawn", noted)
    assert not system.rfork_kernel(program(tmp_path, "exec sleep 60"))
    with pytest.raises(ChildProcessError):
        os.waitpid(started[0], os.WNOHANG)


def test_rfork_kernel_without_rfork_run(system: System) -> None:
    """Without rfork-run there is nothing to ask with."""
    assert not system.rfork_kernel("/nowhere")


def program(folder: Path, script: str) -> str:
    """A shell script to be executed."""
    path = folder / "program"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_watch(system: System) -> None:
    """The end of a watched process is told by `wait`."""
    child = subprocess.Popen([sys.executable, "-S", "-c", "import signal; signal.pause()"])
    if not system.loop.watch(child.pid):
        child.kill()
        child.wait()
        pytest.skip("no pidfd here")
    assert system.loop.wait(0) == []
    child.kill()
    assert system.loop.wait(30) == [("gone", child.pid)]
    system.loop.unwatch(child.pid)
    assert system.loop.wait(0) == []
    child.wait()


def test_pokes(system: System, tmp_path: Path) -> None:
    """Any number of pokes is one event; a socket file left behind is no hindrance."""
    for path in (tmp_path / "poke", tmp_path / "control"):
        path.touch()
    system.loop.listen(str(tmp_path / "poke"), str(tmp_path / "control"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        for name in (b"a", b"b"):
            sender.sendto(name, str(tmp_path / "poke"))
    assert system.loop.wait(30) == [("poke", 0)]
    assert system.loop.wait(0) == []


def test_replace_is_atomic(system: System, tmp_path: Path) -> None:
    """A file is replaced as a whole; where that fails the old one stays, and it is no exception."""
    path = str(tmp_path / "file")
    assert system.replace(path, b"old")
    Path(path + ".new").mkdir()
    assert not system.replace(path, b"new")
    assert system.read(path, 1) == (Path(path).stat().st_ino, b"ld")
    assert system.read(str(tmp_path / "none"), 0) is None


def test_replace_on_a_full_file_system(system: System, tmp_path: Path) -> None:
    """A file that cannot be written whole stays what it was; nothing is left of the attempt."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        assert not system.replace(str(path), bytes(5000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("room", [0, 1, 6, 7, 8, 13])
def test_append_on_a_full_file_system(system: System, tmp_path: Path, room: int) -> None:
    """Of lines that do not fit, whole ones are taken, and nothing is left of the one that was cut."""
    path = tmp_path / "log"
    path.write_bytes(b"x" * 4095 + b"\n")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096 + room, hard))
    try:
        taken = system.append(str(path), b"second\nthird\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert taken == {0: 0, 1: 0, 6: 0, 7: 7, 8: 7, 13: 13}[room]
    assert path.read_bytes()[4096:] == b"second\nthird\n"[:taken]


def test_append_to_half_a_line(system: System, tmp_path: Path) -> None:
    """Half a line, left by a process that was killed, is cut off."""
    path = tmp_path / "log"
    for torn in (b"", b"fir", b"first\nsec", b"first\n" + bytes(20000)):
        path.write_bytes(torn)
        assert system.append(str(path), b"next\n") == 5
        assert path.read_bytes() == torn[: torn.rfind(b"\n") + 1] + b"next\n"


HOLDER = """
import subprocess, sys
from koboshi.system.calls import System
system = System('/dev/null')
assert system.machine.lock(sys.argv[1]) == 0 == system.machine.lock(sys.argv[1])
system.machine.apart(lambda: (True, []))
child = subprocess.Popen(['sleep', '600'], close_fds=False, stdout=subprocess.DEVNULL)
print(child.pid, flush=True)
child.wait()
"""


def test_a_lock(system: System, tmp_path: Path) -> None:
    """It names its holder, and goes with it, though a child of the holder lives on."""
    path = str(tmp_path / "lock")
    command = [sys.executable, "-c", HOLDER, path]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": SUPERVISOR})
    assert holder.stdout is not None
    child = int(holder.stdout.readline())
    try:
        assert system.machine.lock(path) == holder.pid
        holder.kill()
        holder.wait()
        assert system.start_time(child)
        assert system.machine.lock(path) == 0
    finally:
        holder.stdout.close()
        os.kill(child, signal.SIGKILL)


STRANGER = """
import fcntl, os, sys
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
try:
    fcntl.lockf(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_SH)
except PermissionError:
    sys.exit(7)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a second user")
def test_a_stranger_takes_no_lock(system: System) -> None:
    """A component must not keep the next supervisor out, also where an earlier version has made the file."""
    with tempfile.TemporaryDirectory(dir="/run") as folder:
        Path(folder).chmod(0o755)
        path = Path(folder) / "lock"
        path.touch(0o644)
        assert system.machine.lock(str(path)) == 0
        assert subprocess.run([sys.executable, "-c", STRANGER, str(path)]).returncode == 7


def test_who_listens(system: System, tmp_path: Path) -> None:
    """A socket that nobody listens on any more is not a supervisor's."""
    other, control = System("/dev/null"), str(tmp_path / "control")
    assert system.answering(control) == 0
    other.loop.listen(str(tmp_path / "poke"), control)
    assert system.answering(control) == os.getpid()
    other.close_all()
    assert system.answering(control) == 0


def test_no_console(system: System) -> None:
    """Without a console lines are counted, and the supervisor goes on."""
    console = Console(system)
    console.put("koboshi/1 1 1.0 boot")
    console.flush()
    assert (console.lost, console.absent) == (1, True)


def test_complaints_do_not_wait(tmp_path: Path) -> None:
    """Standard error that takes nothing is no reason to stand still."""
    reader, writer = os.pipe()
    code = "from koboshi.system.calls import System; it = System('/dev/null')\n"
    code += "for _ in range(200): it.complain('x' * 999)"
    child = subprocess.Popen([sys.executable, "-c", code], stderr=writer, env={"PYTHONPATH": SUPERVISOR})
    os.close(writer)
    assert child.wait(timeout=60) == 0
    assert os.read(reader, 9) == b"koboshi: "
    os.close(reader)


def test_full_console(tmp_path: Path) -> None:
    """A console that takes no more is waited for, and gets the rest of a line that it took a part of."""
    fifo = tmp_path / "console"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    system = System(str(fifo))
    console = Console(system, limit=1 << 20)
    lines = [f"{number} " + "x" * 1500 for number in range(100)]
    for line in lines:
        console.put(line)
    console.flush()
    assert console.lines
    received = b""
    while console.lines:
        received += os.read(reader, 1 << 20)
        assert system.loop.wait(30) == [("console", 0)]
        console.flush()
    received += os.read(reader, 1 << 20)
    assert received.decode().splitlines() == lines
    os.close(reader)
    system.close_all()


def test_log_is_rotated(system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log is renamed when it is full; its last records are found all the same."""
    monkeypatch.setattr("koboshi.journal.LOG_BYTES", 1000)
    (tmp_path / "console").touch()
    journal = Journal(system, str(tmp_path / "events"), Console(system))
    for _ in range(40):
        journal.record("ready", {"component": "gps"})
        journal.write()
        assert (tmp_path / "events").stat().st_size <= 1000
        assert journal.last() == journal.next - 1
    assert len(journal.recent(12)) == 12
    assert journal.recent(1)[0].startswith("koboshi/1 40 ")
    assert journal.recent(0) == []


def test_the_supervisor_is_among_the_last_to_go() -> None:
    """The OOM killer takes other processes first, where this user may have that."""
    allowed = subprocess.run(["sh", "-c", "echo -999 >/proc/self/oom_score_adj"], stderr=subprocess.DEVNULL)
    if allowed.returncode:
        pytest.skip("this user may not protect a process")
    code = "from koboshi.system.calls import System; System('').protect()"
    code += "; print(open('/proc/self/oom_score_adj').read())"
    environment = {**os.environ, "PYTHONPATH": SUPERVISOR}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == "-999"


def test_an_old_kernel_has_another_scale(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without oom_score_adj (Linux 2.6.23) oom_adj is set; without either the supervisor runs as usual."""
    there = {"/proc/self/oom_adj"}
    tried: list[tuple[str, str]] = []

    def write(path: str, value: str) -> None:
        tried.append((path, value))
        if path not in there:
            raise FileNotFoundError(path)

    monkeypatch.setattr(machine, "_set", write)
    system.machine.protect()
    assert tried[-1] == ("/proc/self/oom_adj", "-16")
    there.clear()
    system.machine.protect()
