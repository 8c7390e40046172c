# SPDX-License-Identifier: MIT
"""Ways to a console's bytes: a Unix socket (QEMU), anything pyserial opens, a log file that may still grow.

All have `read(timeout)`, which returns b"" when nothing came in time and raises ConsoleClosedError at the
end.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import stat
import time
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import serial

from koboshi_desk.console.times import load
from koboshi_desk.core.errors import ConsoleClosedError, PortError

CHUNK = 65536
CONNECT_S = 10.0
ABSENT = {
    *(errno.ENOENT, errno.ENXIO, errno.ENODEV, errno.ECONNREFUSED, errno.ECONNRESET, errno.ETIMEDOUT),
    *(errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, socket.EAI_AGAIN),
}
EXPECTED = "what pyserial opens is needed, such as /dev/ttyUSB0, socket://HOST:PORT, rfc2217://HOST:PORT"


class Transport(Protocol):
    """Bytes to and from a console."""

    name: str
    writable: bool  # whether requests can be sent

    @property
    def came(self) -> float | None:
        """Return when what was read last came, in seconds since 1970; None if that is not known."""

    def read(self, timeout: float) -> bytes:
        """Return the available bytes; wait up to `timeout` seconds for the first."""

    def write(self, data: bytes) -> None:
        """Send all of `data`."""

    def close(self) -> None:
        """Close the port; a second call does nothing."""


class StreamSocket:
    """A stream socket: of the Unix domain, as QEMU's chardev serves it, or TCP, as console servers do."""

    writable = True

    def __init__(self, sock: socket.socket, name: str) -> None:
        self._sock = sock
        self.name = name
        self.came: float | None = None

    @classmethod
    def connect(cls, path: Path) -> StreamSocket:
        """Connect to the listening socket at `path`."""
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.connect(str(path))
        except OSError as error:
            sock.close()
            expected = "a listening Unix socket is needed"
            raise PortError(str(path), told(error), expected, absent=_absent(error)) from error
        return cls(sock, str(path))

    @classmethod
    def connect_tcp(cls, url: str) -> StreamSocket:
        """Connect to socket://HOST:PORT. Unlike pyserial's, it keeps bytes that arrive at once."""
        try:
            parts = urlsplit(url)
            if not (parts.hostname and parts.port):
                raise ValueError("no host and port")
            sock = socket.create_connection((parts.hostname, parts.port), CONNECT_S)
        except (OSError, ValueError) as error:  # ValueError: no number of a port
            expected = "socket://HOST:PORT of a console server is needed"
            raise PortError(url, told(error), expected, absent=_absent(error)) from error
        sock.settimeout(None)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # a server may vanish
        return cls(sock, url)

    def fileno(self) -> int:
        """For select(2)."""
        return self._sock.fileno()

    def read(self, timeout: float) -> bytes:
        """See Transport."""
        try:
            if not select.select([self._sock], [], [], max(0.0, timeout))[0]:
                return b""
            data = self._sock.recv(CHUNK)
        except (OSError, ValueError) as error:  # ValueError: closed by another thread
            raise ConsoleClosedError(f"{self.name}: {error}") from error
        if not data:
            raise ConsoleClosedError(f"{self.name}: closed by the other side")
        self.came = time.time()
        return data

    def write(self, data: bytes) -> None:
        """See Transport."""
        try:
            self._sock.sendall(data)
        except OSError as error:
            raise ConsoleClosedError(f"{self.name}: {error}") from error

    def close(self) -> None:
        """See Transport."""
        self._sock.close()


def _absent(error: BaseException | None) -> bool:
    """Whether the device or the server may still come; pyserial's errors hide the system's behind them."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in ABSENT:
            return True
        error = error.__context__
    return False


def _refusal(error: Exception) -> str:
    """Return the reason of pyserial's error; pyserial's own text repeats itself."""
    if isinstance(error.__context__, BlockingIOError):
        return "another program has it open (fuser names it)"
    number = error.errno if isinstance(error, OSError) else None
    return os.strerror(number) if number else str(error)


class SerialPort:
    """A port opened by pyserial: /dev/ttyUSB0, rfc2217://HOST:PORT, loop://."""

    writable = True
    POLL_S = 0.05  # pyserial's network ports have no descriptor to select(2) on
    # A change of `timeout` costs a tcsetattr(3) on a real port, so it is set once and read() loops.

    def __init__(self, url: str, baud: int = 115200) -> None:
        self.name = url
        self.came: float | None = None
        try:
            # If two programs read one port, each gets only some of the bytes.
            self._port = serial.serial_for_url(url, baudrate=baud, timeout=self.POLL_S, exclusive=True)
        except (serial.SerialException, OSError, ValueError) as error:
            raise PortError(url, _refusal(error), EXPECTED, absent=_absent(error)) from error

    def read(self, timeout: float) -> bytes:
        """See Transport."""
        end = time.monotonic() + timeout
        while True:
            data = self._read_some()
            if data or time.monotonic() >= end:
                return data

    def _read_some(self) -> bytes:
        data = b""
        try:
            data = self._port.read(1)
            self.came = time.time()
            while data and len(data) < CHUNK and self._port.in_waiting:
                data += self._port.read(self._port.in_waiting)
        except (serial.SerialException, OSError, TypeError) as error:  # TypeError: its descriptor is gone
            if not data:  # else what came before the end is handed out first; the next read says the same
                raise ConsoleClosedError(f"{self.name}: {error}") from error
        return data

    def write(self, data: bytes) -> None:
        """See Transport."""
        try:
            self._port.write(data)
        except (serial.SerialException, OSError) as error:
            raise ConsoleClosedError(f"{self.name}: {error}") from error

    def close(self) -> None:
        """See Transport."""
        self._port.close()


class LogFile:
    """A console's log, from its first byte; followed while its writer lives (`pid`), else read to its end.

    `pace`: as fast as it was recorded, times that; 0 for at once. `reopened`: before what was read last, the
    port had been opened again.
    """

    writable = False
    POLL_S = 0.1

    def __init__(self, path: Path, pid: int | None = None, pace: float = 0.0) -> None:
        self.name = str(path)
        self._pid = pid
        self._pace, self.times = pace, load(path)
        self._begin = time.monotonic()
        self._offset = 0
        self.came: float | None = None
        self.reopened = False
        if pace and not self.times.times:
            raise PortError(str(path), "its times are not known", "koboshi watch --record keeps them")
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            if stat.S_ISDIR(os.fstat(self._fd).st_mode):
                os.close(self._fd)
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            self._old = os.fstat(self._fd).st_size
        except OSError as error:
            raise PortError(str(path), told(error), "a console's log is needed") from error

    def read(self, timeout: float) -> bytes:
        """See Transport."""
        end = time.monotonic() + timeout
        while True:
            if self._pace and (early := self._due() - time.monotonic()) > 0:
                time.sleep(min(early, max(0.0, end - time.monotonic())))
                if early > 0 and time.monotonic() >= end:
                    return b""
                continue
            alive = self._pid is not None and process_alive(self._pid)
            data = self._some()  # after the look at the writer: nothing it wrote last is missed
            if data:
                return data
            if not alive:
                raise ConsoleClosedError(f"{self.name}: end of the log")
            if time.monotonic() >= end:
                return b""
            time.sleep(min(self.POLL_S, max(0.0, end - time.monotonic())))

    def _due(self) -> float:
        at = self.times.at(self._offset)
        return self._begin + ((at or 0.0) - self.times.times[0]) / self._pace if at is not None else 0.0

    def _some(self) -> bytes:
        """As much as came at one time, if the times are known."""
        until = self.times.next(self._offset)
        try:
            data = os.read(self._fd, min(CHUNK, until - self._offset) if until is not None else CHUNK)
            self.came = self.times.at(self._offset)
            self.reopened = self._offset in self.times.opened
            self._offset += len(data)
            if self._pid is not None:
                self.came = time.time() if self._offset > self._old else None
            return data
        except OSError as error:
            raise PortError(self.name, told(error), "a log that can be read is needed") from error

    def write(self, data: bytes) -> None:
        """Raise ConsoleClosedError, because a log is read-only."""
        raise ConsoleClosedError(f"{self.name}: a log is read-only")

    def close(self) -> None:
        """See Transport."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def told(error: Exception) -> str:
    """Return the reason without the file name, which the caller prints."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def process_alive(pid: int) -> bool:
    """Return whether a process with this PID exists."""
    try:
        os.kill(pid, 0)
    except OSError as error:
        return error.errno == errno.EPERM
    return True


def open_port(port: str, baud: int = 115200) -> Transport:
    """`unix:PATH` is a Unix socket, `socket://HOST:PORT` a TCP one, everything else is pyserial's."""
    if port.startswith("unix:"):
        return StreamSocket.connect(Path(port.removeprefix("unix:")))
    if port.startswith("socket://"):
        return StreamSocket.connect_tcp(port)
    return SerialPort(port, baud)
