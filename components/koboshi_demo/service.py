# SPDX-License-Identifier: MIT
"""What a Python component needs to work with its supervisor: readiness, heartbeat, checkpoint, a socket.

Standard library only, few imports, and no call that Linux 2.6.23 lacks.
"""

from __future__ import annotations

import os
import socket
import sys
import time


def say(text: str) -> None:
    """Write one line to the component's own log."""
    print(text, file=sys.stderr, flush=True)


def notify(state: str, wait: bool = True) -> None:
    """Send `READY=1` or `WATCHDOG=1` to the supervisor (sd_notify's protocol) if NOTIFY_SOCKET is set.

    Without `wait`, raise BlockingIOError if the socket's queue is full.
    """
    path = os.environ.get("NOTIFY_SOCKET")
    if not path:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.setblocking(wait)
        channel.sendto(state.encode(), "\0" + path[1:] if path.startswith("@") else path)


class Heartbeat:
    """WATCHDOG=1 at half of the period the supervisor allows; call `beat` from the working loop."""

    def __init__(self) -> None:
        microseconds = int(os.environ.get("WATCHDOG_USEC") or 0)
        self.interval: float | None = microseconds / 2e6 if microseconds > 0 else None
        self._next = 0.0

    def beat(self) -> float | None:
        """Send it if it is due; return the seconds until the next one (None: no heartbeat is wanted)."""
        if self.interval is None:
            return None
        now = time.monotonic()
        if now >= self._next:
            self._next = now + self.interval
            try:
                notify("WATCHDOG=1", wait=False)
            except BlockingIOError:  # the queue still holds earlier ones, so another one adds nothing
                pass
            except OSError as error:  # a supervisor that is away must not end a component that works
                say(f"heartbeat not sent: {error}")
        return max(0.0, self._next - now)


def checkpoint() -> int:
    """Take the checkpoint that restarts return to. Return the generation: 0 at first or without rfork."""
    try:
        import rfork  # type: ignore[import-not-found, unused-ignore]  # its stub is there where it is built
    except ImportError:
        say("no module rfork; a restart starts the program from the beginning")
        return 0
    try:
        return int(rfork.checkpoint())
    except OSError as error:
        say(f"no checkpoint; a restart starts the program from the beginning: {error}")
        return 0


def listen(path: str) -> socket.socket:
    """Return a non-blocking Unix stream listener at path; replace the socket of an earlier run.

    Members of the user's group may connect.
    """
    folder = os.path.dirname(path)
    if folder:
        os.makedirs(folder, exist_ok=True)
    if os.path.lexists(path):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    os.chmod(path, 0o660)
    listener.listen(16)
    listener.setblocking(False)
    return listener
