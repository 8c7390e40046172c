# SPDX-License-Identifier: MIT
"""Things that a soak uses up in the guest, each for as long as a `with` lasts: memory, processes, a disk."""

from __future__ import annotations

import contextlib
import mmap
import os
import signal
import time
from collections.abc import Iterator

# What all may use, and what the supervisor and the runners have for themselves.
DISK, OWN_DISK = "/run/fill", "/run/koboshi/fill"
# Where a component may leave something, if it may.
FOLDERS = ("/run", "/run/koboshi", "/dev/shm")
NOBODY = 65534
_PAGE = 1 << 20
_HOLD_S = 8.0
# PIDs are given out again from 300 on only.
_PIDS = 450


@contextlib.contextmanager
def disk(path: str = DISK) -> Iterator[None]:
    """A file system is full to the last byte; its size is what rcS gives it."""
    _fill(path)
    try:
        yield
    finally:
        os.unlink(path)


def own_disk() -> contextlib.AbstractContextManager[None]:
    """No state, no record and no event can be written."""
    return disk(OWN_DISK)


@contextlib.contextmanager
def component() -> Iterator[None]:
    """A component fills whatever its user may write to, among it nothing of the supervisor's."""
    pid = os.fork()
    if pid == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        for folder in FOLDERS:
            with contextlib.suppress(OSError):
                _fill(folder + "/fill")
        os._exit(0)
    os.waitpid(pid, 0)
    try:
        if os.path.exists(OWN_DISK):
            raise PermissionError("a component has filled what is the supervisor's own")
        yield
    finally:
        for folder in FOLDERS:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(folder + "/fill")


def _fill(path: str) -> None:
    with open(path, "wb", buffering=0) as file:
        for size in (_PAGE, 4096, 1):
            with contextlib.suppress(OSError):
                while file.write(bytes(size)):
                    pass


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


KINDS = {
    "component": component,
    "disk": disk,
    "memory": memory,
    "own_disk": own_disk,
    "processes": processes,
}
