# SPDX-License-Identifier: MIT
"""Things that a soak uses up in the guest, each for as long as a `with` lasts: memory, processes, a disk."""

from __future__ import annotations

import contextlib
import mmap
import os
import signal
import time
from collections.abc import Iterator

FILL = "/run/fill"
_PAGE = 1 << 20
_HOLD_S = 8.0
# PIDs are given out again from 300 on only.
_PIDS = 450


@contextlib.contextmanager
def disk() -> Iterator[None]:
    """/run is full to the last byte; its size is what rcS gives it."""
    with open(FILL, "wb", buffering=0) as file:
        for size in (_PAGE, 4096, 1):
            with contextlib.suppress(OSError):
                while file.write(bytes(size)):
                    pass
    try:
        yield
    finally:
        os.unlink(FILL)


@contextlib.contextmanager
def processes() -> Iterator[None]:
    """No process more can be made: the table has as many as it may."""
    limit = "/proc/sys/kernel/pid_max"
    with open(limit) as file:
        before = file.read()
    with open(limit, "w") as file:
        file.write(str(_PIDS))
    # Nobody waits for them, so that those whose time is over leave no zombies, which hold a PID too.
    usual = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    children = _children()
    try:
        yield
    finally:
        _end(children)
        signal.signal(signal.SIGCHLD, usual)
        with open(limit, "w") as file:
            file.write(before)


def _children() -> list[int]:
    """As many as there may be; small ones, for it is not memory that is to run out."""
    found: list[int] = []
    while len(found) < _PIDS:
        try:
            found.append(os.posix_spawn("/bin/busybox", ["sleep", "600"], {}))
        except OSError:
            break
    return found


@contextlib.contextmanager
def memory() -> Iterator[None]:
    """Nothing is left, until the kernel ends whoever has most: that is this child, or it holds on."""
    pid = os.fork()
    if pid == 0:
        signal.alarm(int(_HOLD_S))
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("0")
        with contextlib.suppress(MemoryError, OSError):
            _eat()
        os._exit(0)
    deadline = time.monotonic() + _HOLD_S
    while _available_kb() > 4096 and time.monotonic() < deadline and os.waitpid(pid, os.WNOHANG) == (0, 0):
        time.sleep(0.01)
    try:
        yield
    finally:
        _end([pid])


def _eat() -> None:
    held = []
    while True:
        block = mmap.mmap(-1, _PAGE)
        for offset in range(0, _PAGE, 4096):
            block[offset] = 1
        held.append(block)


def _available_kb() -> int:
    with open("/proc/meminfo") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("MemAvailable"))


def _end(pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for pid in pids:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)


KINDS = {"disk": disk, "processes": processes, "memory": memory}
