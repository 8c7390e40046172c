# SPDX-License-Identifier: MIT
"""The events that the supervisor waits for: signals, process ends, pokes, clients, room on the console."""

from __future__ import annotations

import os
import select
import signal
import socket


class Loop:
    """Everything that `wait` looks at."""

    def __init__(self, console: str) -> None:
        self.console = console
        self.console_fd = -1
        self.console_waits = False
        self.poke: socket.socket | None = None
        self.control: socket.socket | None = None
        self.clients: dict[int, socket.socket] = {}
        self.clients_waiting: set[int] = set()
        self.pidfds: dict[int, int] = {}
        self.wakeup, self.wakeup_end = os.pipe()
        for fd in (self.wakeup, self.wakeup_end):
            os.set_blocking(fd, False)

    def close_all(self) -> None:
        """Close every descriptor. The object is of no use after that."""
        self.close_console()
        for pid in list(self.pidfds):
            self.unwatch(pid)
        for client in list(self.clients):
            self.close(client)
        for bound in (self.poke, self.control):
            if bound is not None:
                bound.close()
        self.poke = self.control = None
        for fd in (self.wakeup, self.wakeup_end):
            os.close(fd)

    # Processes

    def watch(self, pid: int) -> bool:
        """Make `wait` report the exit of a process that is not our child; False if the kernel lacks pidfd."""
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
        """Close the console; the next write opens it again."""
        if self.console_fd >= 0:
            os.close(self.console_fd)
        self.console_fd = -1
        self.console_waits = False

    # Sockets

    def listen(self, poke: str, control: str) -> None:
        """Bind both sockets, replacing those of an earlier supervisor."""
        self.poke = _bound(socket.SOCK_DGRAM, poke)
        self.control = _bound(socket.SOCK_STREAM, control)
        self.control.listen(8)

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
        # Rounded up: a wake-up before the deadline would need a second one.
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
        # The names in the pokes are ignored: a full queue may have dropped one, so all logs are read.
        assert self.poke is not None
        try:
            while self.poke.recv(64):
                pass
        except OSError:
            pass


def _noted(_number: int, _frame: object) -> None:
    """Do nothing: Python writes the signal's number to the wake-up descriptor."""


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
