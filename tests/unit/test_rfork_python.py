# SPDX-License-Identifier: MIT
"""The Python module rfork, under rfork-run at user level: programs come back warm, and whole."""

from __future__ import annotations

import errno
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.unit import programs

LIMIT_S = 60.0

# Programs tell what they see as JSON lines on standard output.
PRELUDE = """
import ctypes, json, os, random, signal, sys, threading, time
def tell(**values):
    print(json.dumps(values), flush=True)
import rfork
"""


class Built:
    """Where the module and rfork-run are."""

    def __init__(self) -> None:
        self.runner = programs.librfork() / "rfork-run"
        self.modules = programs.python_module()

    def python(self, program: str, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a program, behind the words of a command if there are any."""
        environment = {**os.environ, "PYTHONPATH": str(self.modules)}
        words = [*command, sys.executable, "-c", PRELUDE + program]
        return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=LIMIT_S)

    def run(self, program: str, *options: str) -> list[dict[str, Any]]:
        """Run a program under rfork-run; what it told. It must end normally."""
        result = self.python(program, str(self.runner), "--backend", "user", *options, "--")
        assert result.returncode == 0, result.stderr
        return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture(scope="session")
def built() -> Built:
    """Librfork, rfork-run and the module."""
    return Built()


CRASHES = {
    "signal": "os.kill(os.getpid(), signal.SIGSEGV)",
    "wild pointer": "ctypes.string_at(0x10)",
    "abort": "os.abort()",
    "request": "rfork.restart()",
}


@pytest.mark.parametrize(
    ("crash", "cause"),
    [("signal", "error"), ("wild pointer", "error"), ("abort", "error"), ("request", "request")],
)
def test_a_program_comes_back_warm(built: Built, crash: str, cause: str) -> None:
    """After a crash or a request it goes on behind the checkpoint, without doing its start again."""
    told = built.run(
        f"""
tell(init=os.getpid())
table = [number * number for number in range(200000)]
generation = rfork.checkpoint()
tell(generation=generation, asked=rfork.generation(), cause=rfork.cause(), sum=sum(table))
table.clear()
if generation < 3:
    {CRASHES[crash]}
"""
    )
    assert ["init" in line for line in told] == [True, False, False, False, False]
    assert [line["generation"] for line in told[1:]] == [0, 1, 2, 3]
    assert [line["asked"] for line in told[1:]] == [0, 1, 2, 3]
    assert [line["cause"] for line in told[1:]] == [None, cause, cause, cause]
    assert {line["sum"] for line in told[1:]} == {sum(number * number for number in range(200000))}


def test_without_a_checkpoint_it_begins_anew(built: Built) -> None:
    """Without one, a restart is a fresh start of the program, and the module knows its generation there."""
    told = built.run(
        "tell(generation=rfork.generation(), cause=rfork.cause())\nif rfork.generation() < 2: os.abort()"
    )
    assert told == [
        {"generation": 0, "cause": None},
        {"generation": 1, "cause": "error"},
        {"generation": 2, "cause": "error"},
    ]


def test_hooks_of_register_at_fork_run(built: Built) -> None:
    """Before and after-in-parent where it goes on; after-in-child in the one that comes back."""
    told = built.run(
        """
ran = []
os.register_at_fork(before=lambda: ran.append("before"), after_in_parent=lambda: ran.append("parent"),
                    after_in_child=lambda: ran.append("child"))
generation = rfork.checkpoint()
tell(ran=ran)
if generation == 0:
    os.abort()
"""
    )
    assert [line["ran"] for line in told] == [["before", "parent"], ["before", "child"]]


def test_random_numbers_differ_between_instances(built: Built) -> None:
    """Like a child of os.fork(), an instance that comes back has a random state of its own."""
    told = built.run(
        """
random.seed(1)
generation = rfork.checkpoint()
tell(number=random.random())
if generation < 3:
    os.abort()
"""
    )
    assert len({line["number"] for line in told}) == 4


def test_threading_knows_the_instance_that_came_back(built: Built) -> None:
    """Threads, locks and logging work in it, and none of the old instance's threads is counted."""
    told = built.run(
        """
import logging
logging.basicConfig(stream=sys.stderr)
lock = threading.Lock()
generation = rfork.checkpoint()
seen = []
def work():
    with lock:
        logging.warning("from a thread")
        seen.append(threading.get_ident() != threading.main_thread().ident)
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
tell(seen=seen, native=threading.get_native_id() == os.getpid(), alive=threading.active_count())
if generation < 2:
    os.abort()
"""
    )
    assert told == [{"seen": [True] * 4, "native": True, "alive": 1}] * 3


def test_subprocesses_and_signals_work_after_a_restart(built: Built) -> None:
    """The one that came back can wait for a child of its own, and its signal handler runs."""
    told = built.run(
        """
import subprocess
caught = []
signal.signal(signal.SIGUSR1, lambda number, frame: caught.append(number))
generation = rfork.checkpoint()
os.kill(os.getpid(), signal.SIGUSR1)
tell(caught=caught, output=subprocess.run(["echo", "hello"], capture_output=True, text=True).stdout)
if generation < 2:
    os.abort()
"""
    )
    assert told == [{"caught": [10], "output": "hello\n"}] * 3


def test_what_was_printed_before_is_not_printed_again(built: Built) -> None:
    """Text in Python's and in C's buffers is written before the checkpoint, once."""
    result = built.python(
        """
libc = ctypes.CDLL(None)
libc.printf(b"from C\\n")
sys.stdout.write("from Python\\n")
generation = rfork.checkpoint()
if generation < 3:
    os.abort()
""",
        str(built.runner),
        "--backend",
        "user",
        "--",
    )
    assert result.returncode == 0
    assert sorted(result.stdout.splitlines()) == ["from C", "from Python"]


@pytest.mark.parametrize("how", ["sys.stdout = None", "sys.stdout.close()"])
def test_a_program_without_standard_output_has_a_checkpoint(built: Built, how: str) -> None:
    """A daemon that has closed its standard output is no error."""
    told = built.run(
        f"""
out = os.fdopen(os.dup(1), "w")
{how}
generation = rfork.checkpoint()
print(json.dumps(dict(generation=generation)), file=out, flush=True)
if generation == 0:
    rfork.restart()
"""
    )
    assert told == [{"generation": 0}, {"generation": 1}]


def test_output_that_cannot_be_written_is_an_error(built: Built) -> None:
    """A full disk under the buffer is told before the checkpoint, not lost or written twice."""
    told = built.run(
        """
sys.stdout = open("/dev/full", "w")
print("never")
try:
    rfork.checkpoint()
except OSError as error:
    os.write(1, json.dumps(dict(errno=error.errno)).encode() + b"\\n")
os._exit(0)
"""
    )
    assert told == [{"errno": errno.ENOSPC}]


def test_a_second_checkpoint_takes_the_place_of_the_first(built: Built) -> None:
    """The restart point moves on: what was done between the two is there after a crash."""
    told = built.run(
        """
first = rfork.checkpoint()
steps = ["between"]
second = rfork.checkpoint()
tell(first=first, second=second, steps=steps)
if second < 2:
    os.abort()
"""
    )
    assert told == [{"first": 0, "second": generation, "steps": ["between"]} for generation in range(3)]


def test_a_process_with_threads_is_refused(built: Built) -> None:
    """EBUSY with a text that helps; the hooks ran as around a failed fork, and the program goes on."""
    told = built.run(
        """
ran = []
os.register_at_fork(after_in_parent=lambda: ran.append("parent"), after_in_child=lambda: ran.append("child"))
done = threading.Event()
thread = threading.Thread(target=done.wait)
thread.start()
try:
    rfork.checkpoint()
except OSError as error:
    tell(errno=error.errno, text=str(error), ran=ran)
done.set()
thread.join()
tell(then=rfork.checkpoint())
"""
    )
    assert told[0]["errno"] == errno.EBUSY
    assert "thread" in told[0]["text"]
    assert told[0]["ran"] == ["parent"]
    assert told[1] == {"then": 0}


def test_outside_a_rebootable_process_it_says_so(built: Built) -> None:
    """ESRCH with a text that says what to do; the queries answer None; the hooks have left nothing locked."""
    result = built.python(
        """
for call in (rfork.checkpoint, rfork.restart):
    try:
        call()
    except OSError as error:
        tell(errno=error.errno, text=str(error))
thread = threading.Thread(target=lambda: tell(generation=rfork.generation(), cause=rfork.cause()))
thread.start()
thread.join()
tell(backend=rfork.backend(), child=os.waitpid(os.fork() or os._exit(7), 0)[1])
"""
    )
    assert result.returncode == 0, result.stderr
    told = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["errno"] for line in told[:2]] == [errno.ESRCH, errno.ESRCH]
    assert all("rfork-run" in line["text"] for line in told[:2])
    assert told[2] == {"generation": None, "cause": None}
    assert told[3] == {"backend": told[3]["backend"], "child": 7 << 8}
    assert told[3]["backend"] in ("user", "kernel")


def test_a_child_of_fork_is_not_the_instance(built: Built) -> None:
    """A child that a component forks itself is no rebootable process."""
    told = built.run(
        """
rfork.checkpoint()
child = os.fork()
if child == 0:
    tell(generation=rfork.generation())
    os._exit(0)
os.waitpid(child, 0)
"""
    )
    assert told == [{"generation": None}]


def test_a_hundred_restarts_leave_nothing_behind(built: Built) -> None:
    """After a hundred crashes the instance has the descriptors and the memory it had after the first."""
    told = built.run(
        """
generation = rfork.checkpoint()
if generation in (1, 100):
    pages = int(open("/proc/self/statm").read().split()[0])
    tell(generation=generation, files=len(os.listdir("/proc/self/fd")), pages=pages)
if generation < 100:
    rfork.restart()
""",
        "--burst",
        "1000",
    )
    assert [line["generation"] for line in told] == [1, 100]
    assert told[0]["files"] == told[1]["files"]
    assert told[1]["pages"] <= told[0]["pages"] + 64


def test_every_python_here_loads_the_same_file(built: Built) -> None:
    """One file for all versions: each CPython here from 3.7 on imports it; it exports nothing else."""
    found = {path.resolve() for path in Path("/usr/bin").glob("python3.*[0-9]")}
    found |= {path.resolve() for path in Path.home().glob(".pyenv/versions/3.*/bin/python3")}
    found = {path for path in found if path.name not in ("python3.5", "python3.6")}  # its ABI is 3.7's
    for python in sorted(found | {Path(sys.executable).resolve()}):
        environment = {**os.environ, "PYTHONPATH": str(built.modules)}
        words = [str(python), "-c", "import rfork; print(rfork.generation())"]
        result = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=LIMIT_S)
        assert result.stdout == "None\n", f"{python}: {result.stderr}"
    symbols = subprocess.run(
        ["nm", "-D", "--defined-only", built.modules / "rfork.abi3.so"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert [line.split()[2] for line in symbols.stdout.splitlines()] == ["PyInit_rfork"]


NUMPY = """
import numpy
try:
    tell(generation=rfork.checkpoint())
except OSError as error:
    tell(refused=error.errno)
"""


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one CPU: a pool of no threads")
@pytest.mark.skipif(importlib.util.find_spec("numpy") is None, reason="numpy is not installed")
def test_numpys_pool_refuses_a_checkpoint(built: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pool of NumPy's wheel begins with its import; the variable that the guide names prevents it."""
    assert built.run(NUMPY) == [{"refused": errno.EBUSY}]
    guide = (programs.ROOT / "docs/component.md").read_text()
    assert 'environment = { OPENBLAS_NUM_THREADS = "1" }' in guide
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    assert built.run(NUMPY) == [{"generation": 0}]


@pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")
def test_node_has_threads_from_the_start() -> None:
    """The guide's reason why such a program makes no checkpoint."""
    script = "console.log(require('fs').readdirSync('/proc/self/task').length)"
    done = subprocess.run(["node", "-e", script], capture_output=True, text=True, timeout=LIMIT_S, check=True)
    assert int(done.stdout) > 1
