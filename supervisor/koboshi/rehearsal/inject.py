# SPDX-License-Identifier: MIT
"""Faults done to a running component from outside, for a rehearsal (docs/supervisor.md)."""

from __future__ import annotations

import os
import resource
import signal

SIGNALS = {
    "segv": signal.SIGSEGV,
    "abort": signal.SIGABRT,
    "kill": signal.SIGKILL,
    "hang": signal.SIGSTOP,
    "burst": signal.SIGSEGV,
    "needs": signal.SIGSEGV,
}
_CGROUPS = "/sys/fs/cgroup"
Undo = list[tuple[str, object]]


class CannotError(Exception):
    """There is no way to do it, with this kernel or this component."""


class Exhausted:
    """A limit that is lowered to what there is; `close` puts it back, if the process is still there."""

    def __init__(self, pid: int, what: int, soft: int) -> None:
        self.pid = pid
        self.what = what
        try:
            self.before = resource.prlimit(pid, what)
            resource.prlimit(pid, what, (soft, self.before[1]))
        except (AttributeError, OSError, ValueError) as error:
            raise CannotError(f"its limits cannot be changed: {error}") from None

    def close(self) -> None:
        """As it was."""
        try:
            resource.prlimit(self.pid, self.what, self.before)
        except OSError:
            pass


class Squeezed:
    """A control group that is given less memory than it has used: the kernel kills in it, at once."""

    def __init__(self, folder: str) -> None:
        self.path = folder + "/memory.max"
        try:
            self.before = _text(self.path)
            used = dict(line.split() for line in _text(folder + "/memory.stat").splitlines())
            # Without swap, only anonymous memory cannot be reclaimed.
            _write(self.path, str(int(used["anon"]) * 3 // 4))
        except (OSError, KeyError, ValueError) as error:
            raise CannotError(f"its control group cannot be squeezed: {error}") from None
        self.close()

    def close(self) -> None:
        """As it was."""
        try:
            _write(self.path, self.before)
        except OSError:
            pass


def exhaust_descriptors(pid: int) -> Exhausted:
    """Not one more descriptor than it has."""
    there = {int(name) for name in os.listdir(f"/proc/{pid}/fd")}
    return Exhausted(pid, resource.RLIMIT_NOFILE, min(set(range(len(there) + 1)) - there))


def exhaust_memory(pid: int, limited: bool) -> Exhausted | Squeezed:
    """Not one more page than it has: of address space, or of its control group."""
    if not limited:
        return Squeezed(_cgroup(pid))
    pages = int(_text(f"/proc/{pid}/statm").split()[0])
    return Exhausted(pid, resource.RLIMIT_AS, pages * resource.getpagesize())


def _cgroup(pid: int) -> str:
    for line in _text(f"/proc/{pid}/cgroup").splitlines():
        if line.startswith("0::/koboshi/"):
            return _CGROUPS + line[3:]
    raise CannotError("it is in no control group of its own")


def _text(path: str) -> str:
    with open(path, encoding="ascii", errors="replace") as file:
        return file.read()


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
