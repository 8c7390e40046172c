# SPDX-License-Identifier: MIT
"""`koboshi control`: one request over a device's console, and its reply."""

from __future__ import annotations

import sys
from typing import TextIO

from koboshi_desk.console.control import Control
from koboshi_desk.console.notes import running_guest
from koboshi_desk.console.session import Console
from koboshi_desk.console.text import harmless
from koboshi_desk.console.transport import StreamSocket, Transport, open_port
from koboshi_desk.core.deadline import Deadline
from koboshi_desk.core.errors import KoboshiError, PortError


def ask(
    port: str,
    verb: str,
    component: str = "",
    *,
    baud: int = 115200,
    seconds: float = 20.0,
    out: TextIO | None = None,
) -> int:
    """Print the reply, one line per part. Return 0 if done, 1 if refused; raise an error without a reply.

    `port`: "" for the guest that runs on this machine.
    """
    console, control = Console(_opened(port, baud)), Control()
    console.listen(control.take)
    control.ask(verb, component)
    deadline = Deadline(seconds, "reply")
    try:
        while not control.done and not deadline.expired:
            if data := control.step():
                console.write(data)
            console.pump(0.1)
    finally:
        console.close()
    if not control.done or control.done[0].result == "silence":
        if console.noise.unreadable:
            raise KoboshiError(f"{port}: what comes is not text; is --baud {baud} right?")
        reader = "a shell, or koboshictl line, must read the line"
        raise KoboshiError(f"{console.transport.name}: no reply within {seconds:.0f} s; {reader}")
    outcome = control.done.popleft()
    for part in [*outcome.parts, {"result": outcome.result, **outcome.fields}]:
        print(harmless(" ".join(f"{key}={value}" for key, value in part.items())), file=out or sys.stdout)
    return 0 if outcome.result == "ok" else 1


def _opened(port: str, baud: int) -> Transport:
    """Open the port, or without one the line for requests of the guest that runs on this machine."""
    if port:
        return open_port(port, baud)
    running = running_guest()
    if running.requests is None:
        expected = "use a guest of ./dev boot, or --port PORT"
        raise PortError(str(running.log), "this guest has no line for requests", expected)
    return StreamSocket.connect(running.requests)
