# SPDX-License-Identifier: MIT
"""The fault injector, on real processes that know nothing of it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

COMPONENTS = Path(__file__).resolve().parents[3] / "components"
LIMIT_S = 30.0

BLOCKED_IN_PAUSE = """
#include <signal.h>
#include <string.h>
#include <unistd.h>
static void ignore(int signal) { (void)signal; }
int main(int argc, char **argv)
{
	sigset_t all;
	if (argc > 1 && !strcmp(argv[1], "blocked")) { sigfillset(&all); sigprocmask(SIG_BLOCK, &all, 0); }
	if (argc > 1 && !strcmp(argv[1], "handled")) signal(SIGABRT, ignore);
	(void)!write(1, "up\\n", 3);
	for (;;) pause();
}
"""

Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with koboshi-fault and a static C program that waits for ever."""
    folder = tmp_path_factory.mktemp("fault")
    subprocess.run(["make", "-s", "-C", COMPONENTS, "fault", f"BUILD={folder}"], check=True)
    (folder / "victim.c").write_text(BLOCKED_IN_PAUSE)
    compiler = shutil.which("musl-gcc") or "gcc"
    subprocess.run([compiler, "-static", "-o", folder / "victim", folder / "victim.c"], check=True)
    return folder


@pytest.fixture
def start(built: Path) -> Iterator[Start]:
    """Start a victim ("c" or "python") and wait until it is up; whatever is left is killed."""
    started: list[subprocess.Popen[bytes]] = []

    def run(language: str, *arguments: str, memory_kib: str = "unlimited") -> subprocess.Popen[bytes]:
        program = "import time; print('up', flush=True)\nwhile True: time.sleep(1000)"
        command = [str(built / "victim"), *arguments] if language == "c" else [sys.executable, "-c", program]
        limits = f'ulimit -c 0; ulimit -v {memory_kib}; exec "$@"'
        process = subprocess.Popen(["sh", "-c", limits, "sh", *command], stdout=subprocess.PIPE)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def fault(built: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run koboshi-fault."""
    command = [str(built / "koboshi-fault"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S)


def cpu_ticks(pid: int) -> int:
    """User time that a process has used, in clock ticks."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11])


@pytest.mark.parametrize("language", ["c", "python"])
@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("wild", -signal.SIGSEGV),
        ("abort", -signal.SIGABRT),
        ("request", 85),
        ("kill", -signal.SIGKILL),
        ("stack", -signal.SIGSEGV),
    ],
)
def test_the_victim_ends_as_its_fault_says(
    built: Path, start: Start, language: str, kind: str, status: int
) -> None:
    """A process blocked in a system call dies of the fault's own signal or status, and one line says so."""
    victim = start(language)
    result = fault(built, str(victim.pid), kind)
    assert (result.returncode, result.stdout, result.stderr) == (0, f"fault {victim.pid} {kind}\n", "")
    assert victim.wait(LIMIT_S) == status


@pytest.mark.parametrize("language", ["c", "python"])
def test_refused_memory_ends_the_victim(built: Path, start: Start, language: str) -> None:
    """Where the kernel refuses memory before it kills, the leak ends in a wild pointer and not in a loop."""
    victim = start(language, memory_kib="200000")
    assert fault(built, str(victim.pid), "leak").returncode == 0
    assert victim.wait(LIMIT_S) == -signal.SIGSEGV


@pytest.mark.parametrize("language", ["c", "python"])
def test_a_hung_victim_spins_and_does_not_end(built: Path, start: Start, language: str) -> None:
    """After `hang` the process uses the processor, is traced by nobody, and ends only when it is killed."""
    victim = start(language)
    assert fault(built, str(victim.pid), "hang").returncode == 0
    before, until = cpu_ticks(victim.pid), time.monotonic() + LIMIT_S
    while cpu_ticks(victim.pid) < before + 5:
        assert time.monotonic() < until, "it does not spin"
        time.sleep(0.01)
    assert "TracerPid:\t0\n" in Path(f"/proc/{victim.pid}/status").read_text()
    assert victim.poll() is None
    victim.kill()
    assert victim.wait(LIMIT_S) == -signal.SIGKILL


@pytest.mark.parametrize("how", ["blocked", "handled"])
def test_abort_cannot_be_avoided(built: Path, start: Start, how: str) -> None:
    """As with abort(3), a blocked or handled SIGABRT ends the process all the same."""
    victim = start("c", how)
    assert fault(built, str(victim.pid), "abort").returncode == 0
    assert victim.wait(LIMIT_S) == -signal.SIGABRT


@pytest.mark.parametrize("kind", ["wild", "stack"])
def test_a_blocked_sigsegv_does_not_help(built: Path, start: Start, kind: str) -> None:
    """A memory error ends a process that blocks every signal."""
    victim = start("c", "blocked")
    assert fault(built, str(victim.pid), kind).returncode == 0
    assert victim.wait(LIMIT_S) == -signal.SIGSEGV


def test_a_name_is_found_in_the_runners_events(built: Path, start: Start, tmp_path: Path) -> None:
    """The PID of a component is the last one in its event log, not an older one."""
    old, now = start("c"), start("c")
    (tmp_path / "gps").mkdir()
    events = tmp_path / "gps/events"
    events.write_text(
        f"rfork-run/1 1 1.000000 started runner=1 pid={old.pid} backend=user boot=00000000\n"
        f"rfork-run/1 2 2.000000 restart gen=1 level=warm backend=user old={old.pid} pid={now.pid}\n"
    )
    assert fault(built, "--run", str(tmp_path), "gps", "request").stdout == f"fault {now.pid} request\n"
    assert now.wait(LIMIT_S) == 85
    assert old.poll() is None


@pytest.mark.parametrize("separators", [(", ", ": "), (",", ":")])
def test_a_name_is_found_in_the_status(
    built: Path, start: Start, tmp_path: Path, separators: tuple[str, str]
) -> None:
    """Without an event log the PID comes from status.json, and the supervisor's own is not taken for it."""
    victim = start("c")
    status = {
        "supervisor": {"pid": os.getpid()},
        "components": {
            "pilot": {"state": "ready", "pid": os.getpid(), "needs": ["gps"]},
            "gps": {"state": "ready", "restarts": {"warm": 1, "cold": 0}, "pid": victim.pid, "needs": []},
        },
    }
    (tmp_path / "status.json").write_text(json.dumps(status, separators=separators))
    assert fault(built, "--run", str(tmp_path), "gps", "kill").stdout == f"fault {victim.pid} kill\n"
    assert victim.wait(LIMIT_S) == -signal.SIGKILL


@pytest.mark.parametrize(
    "arguments", [[], ["1"], ["1", "kill"], ["2000000000", "kill"], ["no-such", "kill"], ["2", "melt"]]
)
def test_wrong_use_is_refused(built: Path, tmp_path: Path, arguments: list[str]) -> None:
    """A missing or unknown argument, PID 1 or an unknown name: status 100 and a text that helps."""
    result = fault(built, "--run", str(tmp_path), *arguments)
    assert result.returncode == 100
    assert "koboshi-fault" in result.stderr


def test_a_process_that_is_gone_is_a_failed_call(built: Path, start: Start) -> None:
    """A PID without a process: status 111, naming the call's error."""
    victim = start("c")
    victim.kill()
    victim.wait()
    result = fault(built, str(victim.pid), "wild")
    assert result.returncode == 111
    assert os.strerror(3) in result.stderr
