# SPDX-License-Identifier: MIT
"""The supervisor's system calls. Everything else goes through `System`, so tests can use a made-up one.

Where the supervisor must continue after a failed call, the method returns None, False or -1.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import struct
import time

from koboshi.manifest.runner_args import ENVIRONMENT_FD
from koboshi.system import opening
from koboshi.system.loop import Loop
from koboshi.system.machine import Machine

# What may have been ignored or blocked here must be usual again in a component.
_RESET = [s for s in signal.valid_signals() if s not in (signal.SIGKILL, signal.SIGSTOP)]
_TICKS = os.sysconf("SC_CLK_TCK")
_STAT_STATE = 0
# As much of a log is looked at for the end of a line; no record is longer.
_LINE_BYTES = 8192
_STAT_START = 19
# How long the kernel is asked whether it has rfork(2), and how often the answer is looked for.
_PROBE_S = 2.0
_PROBE_STEP_S = 0.01


class System:
    """Linux, as the supervisor sees it: time, files and processes; `loop` and `machine` have the rest."""

    def __init__(self, console: str) -> None:
        self.loop = Loop(console)
        self.machine = Machine()
        self.failed: set[str] = set()  # files whose replacement failed the last time

    def close_all(self) -> None:
        """Close every descriptor. The object is of no use after that."""
        self.loop.close_all()
        self.machine.unlock()

    # Time and identity

    def now(self) -> float:
        """CLOCK_MONOTONIC, seconds."""
        return time.clock_gettime(time.CLOCK_MONOTONIC)

    def pid(self) -> int:
        """The supervisor's own PID."""
        return os.getpid()

    def boot_id(self) -> str:
        """The first 8 characters of the kernel's boot_id."""
        got = self.read("/proc/sys/kernel/random/boot_id", 0)
        return got[1][:8].decode("ascii") if got is not None else "00000000"

    def kernel(self) -> str:
        """The kernel's release."""
        return os.uname().release

    # Files

    def make_directory(self, path: str) -> str:
        """A directory of the supervisor's own that others may pass through; no error if it is there.

        Those who write there trust the names in it. Returns why they cannot, or nothing.
        """
        try:
            opening.own_folder(path)
        except OSError as error:
            self.complain(f"{path}: {error.strerror}")
            return str(error.strerror)
        return ""

    def read(self, path: str, offset: int) -> tuple[int, bytes] | None:
        """Inode and bytes from `offset` to the end; None if there is no such file."""
        try:
            with open(path, "rb", buffering=0) as file:
                inode = os.fstat(file.fileno()).st_ino
                if offset:
                    file.seek(offset)
                return inode, file.readall()
        except OSError:
            return None

    def size(self, path: str) -> int:
        """The length of a file, 0 if there is none."""
        try:
            return os.stat(path).st_size
        except OSError:
            return 0

    def replace(self, path: str, data: bytes, durable: bool = True, private: bool = True) -> bool:
        """Write a new file and rename it into place: a reader sees the old one or the new one."""
        try:
            with open(path + ".new", "wb", buffering=0, opener=opening.private if private else None) as file:
                if file.write(data) != len(data):
                    # A file system that is almost full takes a part, without an error.
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                if durable:
                    os.fsync(file.fileno())
            os.rename(path + ".new", path)
        except OSError as error:
            self._give_back(path + ".new")
            if path not in self.failed:
                self.failed.add(path)
                self.complain(f"{path}: {error.strerror}")
            return False
        self.failed.discard(path)
        return True

    def _give_back(self, path: str) -> None:
        # Half a new file is of no use, and takes space that the next attempt needs.
        try:
            os.unlink(path)
        except OSError:
            pass

    def append(self, path: str, data: bytes) -> int:
        """Whole lines at the end; how many bytes were taken, which on a full disk are not all.

        Half a line that a full disk or a killed predecessor has left is cut off.
        """
        taken = 0
        try:
            with open(path, "a+b", buffering=0, opener=opening.private) as file:
                end = _end_of_lines(file.fileno())
                written = file.write(data) or 0
                taken = data.rfind(b"\n", 0, written) + 1
                if taken < written:
                    os.ftruncate(file.fileno(), end + taken)
                if taken < len(data):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            if path not in self.failed:
                self.failed.add(path)
                self.complain(f"{path}: {error.strerror}")
            return taken
        self.failed.discard(path)
        return taken

    def rename(self, old: str, new: str) -> None:
        """Rename, over what is there."""
        try:
            os.rename(old, new)
        except OSError as error:
            self.complain(f"{old}: {error.strerror}")

    def complain(self, text: str) -> None:
        """A line on standard error; nowhere, if that is gone, or takes nothing now.

        Standard error may be a console that is stuck. It is opened a second time, because O_NONBLOCK on
        our own descriptor would also affect every process that has inherited it.
        """
        flags = os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_NOCTTY
        try:
            fd = os.open("/proc/self/fd/2", flags)
        except OSError:
            return
        try:
            os.write(fd, f"koboshi: {text}\n".encode("utf-8", "replace"))
        except OSError:
            pass
        os.close(fd)

    # Processes

    def spawn(self, argv: list[str], errors: str, given: bytes = b"") -> int:
        """Start a program in a new session, standard error in a file; -errno.

        It inherits no descriptor but, if there is something to give, the pipe with that as ENVIRONMENT_FD.
        """
        try:
            pipe = opening.filled_pipe(given) if given else -1
        except OSError as error:
            return -(error.errno or errno.EIO)
        try:
            return self._spawn(argv, errors, pipe)
        finally:
            if pipe >= 0:
                os.close(pipe)

    def _spawn(self, argv: list[str], errors: str, pipe: int) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, errors, flags, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
            *([(os.POSIX_SPAWN_DUP2, pipe, ENVIRONMENT_FD)] if pipe >= 0 else []),
        ]
        try:
            return os.posix_spawn(
                argv[0], argv, os.environ, file_actions=actions, setsid=True, setsigmask=[], setsigdef=_RESET
            )
        except OSError as error:
            return -(error.errno or errno.EIO)
        except ValueError:
            return -errno.EINVAL  # no program can have such an argument

    def rfork_kernel(self, rfork_run: str) -> bool:
        """Whether the kernel has rfork(2): rfork-run is asked to use nothing else."""
        argv = [rfork_run, "--backend", "kernel", "--", "/bin/true"]
        pid = self.spawn(argv, "/dev/null")
        if pid < 0:
            return False
        deadline = self.now() + _PROBE_S
        try:
            while self.now() < deadline:
                ended, status = os.waitpid(pid, os.WNOHANG)
                if ended:
                    return os.waitstatus_to_exitcode(status) == 0
                time.sleep(_PROBE_STEP_S)
            # A kernel that does not answer must not keep the device from starting.
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        except OSError:
            pass
        return False

    def start_time(self, pid: int) -> int:
        """When a process started, in clock ticks since boot; 0 if it is gone or a zombie."""
        got = self.read(f"/proc/{pid}/stat", 0) if pid > 0 else None
        if got is None:
            return 0
        # The name in parentheses may hold spaces and parentheses itself.
        fields = got[1][got[1].rfind(b")") + 2 :].split()
        gone = len(fields) <= _STAT_START or fields[_STAT_STATE] in (b"Z", b"X", b"x")
        return 0 if gone else int(fields[_STAT_START])

    def start_before(self, pid: int, moment: float) -> int:
        """As `start_time`, but 0 if that is after `moment` (CLOCK_MONOTONIC): the PID was reused."""
        start = self.start_time(pid)
        # /proc counts the time asleep, CLOCK_MONOTONIC does not; 2.6.23 has no CLOCK_BOOTTIME to compare.
        try:
            asleep = time.clock_gettime(time.CLOCK_BOOTTIME) - self.now()
        except (OSError, AttributeError):
            asleep = 0.0
        return start if start <= (moment + asleep) * _TICKS + 1 else 0

    def kill(self, pid: int, start: int, number: int) -> bool:
        """Signal the process with this PID and start time; False if it is gone."""
        if not start or self.start_time(pid) != start:
            return False
        try:
            os.kill(pid, number)
        except OSError:
            return False
        return True

    def reap(self) -> list[tuple[int, int]]:
        """Children that have ended: PID and exit status (negative: the signal)."""
        ended: list[tuple[int, int]] = []
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except OSError:
                return ended
            if pid == 0:
                return ended
            ended.append((pid, os.waitstatus_to_exitcode(status)))

    def answering(self, control: str) -> int | None:
        """The PID of the process that listens on this control socket: 0 for none, None: unknown."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.setblocking(False)
            try:
                client.connect(control)
                holder = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
            except BlockingIOError:
                return None  # its queue is full
            except OSError:
                return 0
        pid = int(struct.unpack("iII", holder)[0])
        # A child of a killed supervisor has the socket for a moment longer.
        return pid if self.start_time(pid) else 0


def _end_of_lines(fd: int) -> int:
    """The length of a file of lines, without half a line at its end, which is cut off."""
    size = end = os.fstat(fd).st_size
    while end and os.pread(fd, 1, end - 1) != b"\n":
        begin = max(0, end - _LINE_BYTES)
        end = begin + os.pread(fd, end - begin, begin).rfind(b"\n") + 1
    if end < size:
        os.ftruncate(fd, end)
    return end
