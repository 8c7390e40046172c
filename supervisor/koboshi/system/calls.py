# SPDX-License-Identifier: MIT
"""The one module of the supervisor that makes system calls (with machine.py, its other half).

Everything else goes through `System`, so that the supervisor's logic runs in tests against a made-up one.
A failed call is a value (None, False, -1), not an exception, wherever the supervisor has to go on after it.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import socket
import struct
import time

from koboshi.manifest.runner_args import ENVIRONMENT_FD
from koboshi.system import opening
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


class System(Machine):
    """Linux, as the supervisor sees it."""

    def __init__(self, console: str) -> None:
        super().__init__()
        self.console = console
        self.console_fd = -1
        self.console_waits = False
        self.poke: socket.socket | None = None
        self.control: socket.socket | None = None
        self.clients: dict[int, socket.socket] = {}
        self.clients_waiting: set[int] = set()
        self.pidfds: dict[int, int] = {}
        self.failed: set[str] = set()  # files whose replacement failed the last time
        self.wakeup, self.wakeup_end = os.pipe()
        for fd in (self.wakeup, self.wakeup_end):
            os.set_blocking(fd, False)

    def close_all(self) -> None:
        """Every descriptor. The object is of no use after that."""
        self.close_console()
        for pid in list(self.pidfds):
            self.unwatch(pid)
        for client in list(self.clients):
            self.close(client)
        for bound in (self.poke, self.control):
            if bound is not None:
                bound.close()
        self.poke = self.control = None
        for fd in (self.wakeup, self.wakeup_end, *self.locks.values()):
            os.close(fd)

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

        That is the console, too, which may be held up for ever. It is opened anew for it: O_NONBLOCK on our
        own descriptor would be everybody's who has inherited it.
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

    def watch(self, pid: int) -> bool:
        """Let `wait` tell when a process ends that is no child; False where the kernel has no pidfd."""
        if pid in self.pidfds:
            return True
        try:
            self.pidfds[pid] = os.pidfd_open(pid)
        except (OSError, AttributeError):
            return False
        return True

    def unwatch(self, pid: int) -> None:
        """The inverse of `watch`."""
        fd = self.pidfds.pop(pid, -1)
        if fd >= 0:
            os.close(fd)

    # Signals

    def catch_signals(self) -> None:
        """SIGTERM, SIGINT and SIGCHLD wake `wait`; a hangup or a broken pipe must not end the supervisor."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, _noted)
        for number in (signal.SIGHUP, signal.SIGPIPE, signal.SIGTTOU, signal.SIGTTIN, signal.SIGTSTP):
            signal.signal(number, signal.SIG_IGN)
        signal.set_wakeup_fd(self.wakeup_end, warn_on_full_buffer=False)

    # Console

    def console_write(self, data: bytes) -> int:
        """How many bytes the console took; -1 if there is none."""
        try:
            if self.console_fd < 0:
                flags = os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_APPEND
                self.console_fd = os.open(self.console, flags)
            written = os.write(self.console_fd, data)
        except BlockingIOError:
            written = 0
        except OSError:
            self.close_console()
            return -1
        self.console_waits = written < len(data)
        return written

    def close_console(self) -> None:
        """The next write opens it anew."""
        if self.console_fd >= 0:
            os.close(self.console_fd)
        self.console_fd = -1
        self.console_waits = False

    # Sockets

    def listen(self, poke: str, control: str) -> None:
        """Bind both sockets, over what a predecessor left."""
        self.poke = _bound(socket.SOCK_DGRAM, poke)
        self.control = _bound(socket.SOCK_STREAM, control)
        self.control.listen(8)

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

    def accept(self) -> int:
        """A new client; -1 if there is none."""
        if self.control is None:
            return -1
        try:
            client, _address = self.control.accept()
        except OSError:
            return -1
        client.setblocking(False)
        self.clients[client.fileno()] = client
        return client.fileno()

    def receive(self, client: int) -> bytes | None:
        """What a client sent; b"" for nothing yet, None at its end."""
        try:
            return self.clients[client].recv(4096) or None
        except BlockingIOError:
            return b""
        except OSError:
            return None

    def send(self, client: int, data: bytes) -> int:
        """How many bytes a client took; -1 if it is gone."""
        try:
            sent = self.clients[client].send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            return -1
        if sent < len(data):
            self.clients_waiting.add(client)
        else:
            self.clients_waiting.discard(client)
        return sent

    def close(self, client: int) -> None:
        """Forget a client."""
        self.clients_waiting.discard(client)
        self.clients.pop(client).close()

    # Waiting

    def wait(self, timeout: float | None) -> list[tuple[str, int]]:
        """What happened, at the latest after `timeout` seconds (None: no limit).

        ("signal", number), ("poke", 0), ("accept", 0), ("client", client), ("writable", client),
        ("console", 0), ("gone", pid of a watched process).
        """
        poll = select.poll()
        meaning = self._register(poll)
        # Rounded up: waking before a deadline would mean waking twice.
        ready = poll.poll(None if timeout is None else max(0, int(timeout * 1000) + 1))
        found: list[tuple[str, int]] = []
        for fd, mask in ready:
            kind, value = meaning[fd]
            if kind == "signal":
                found += [("signal", number) for number in os.read(fd, 512)]
            elif kind == "poke":
                self._drain_pokes()
                found.append((kind, value))
            elif kind == "client" and mask & select.POLLOUT:
                found.append(("writable", value))
                if mask & ~select.POLLOUT:
                    found.append((kind, value))
            else:
                found.append((kind, value))
        return found

    def _register(self, poll: select.poll) -> dict[int, tuple[str, int]]:
        meaning: dict[int, tuple[str, int]] = {self.wakeup: ("signal", 0)}
        if self.poke is not None:
            meaning[self.poke.fileno()] = ("poke", 0)
        if self.control is not None:
            meaning[self.control.fileno()] = ("accept", 0)
        meaning.update({fd: ("gone", pid) for pid, fd in self.pidfds.items()})
        for fd in meaning:
            poll.register(fd, select.POLLIN)
        for client in self.clients:
            out = select.POLLOUT if client in self.clients_waiting else 0
            poll.register(client, select.POLLIN | out)
            meaning[client] = ("client", client)
        if self.console_waits:
            poll.register(self.console_fd, select.POLLOUT)
            meaning[self.console_fd] = ("console", 0)
        return meaning

    def _drain_pokes(self) -> None:
        # Whose name it is does not matter: a full queue may have dropped another's, so all are looked at.
        assert self.poke is not None
        try:
            while self.poke.recv(64):
                pass
        except OSError:
            pass


def _noted(_number: int, _frame: object) -> None:
    """Only there so that the signal's number goes to the wake-up descriptor."""


def _end_of_lines(fd: int) -> int:
    """The length of a file of lines, without half a line at its end, which is cut off."""
    size = end = os.fstat(fd).st_size
    while end and os.pread(fd, 1, end - 1) != b"\n":
        begin = max(0, end - _LINE_BYTES)
        end = begin + os.pread(fd, end - begin, begin).rfind(b"\n") + 1
    if end < size:
        os.ftruncate(fd, end)
    return end


def _bound(kind: int, path: str) -> socket.socket:
    bound = socket.socket(socket.AF_UNIX, kind)
    bound.setblocking(False)
    try:
        os.unlink(path)
    except OSError:
        pass
    old = os.umask(0o077)
    bound.bind(path)
    os.umask(old)
    return bound
