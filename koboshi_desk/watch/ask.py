# SPDX-License-Identifier: MIT
"""`koboshi control`: one request over a device's console, and its reply."""

from __future__ import annotations

import sys
from typing import TextIO

from koboshi_desk.console.control import Control
from koboshi_desk.console.session import Console
from koboshi_desk.console.text import harmless
from koboshi_desk.console.transport import open_port
from koboshi_desk.core.deadline import Deadline
from koboshi_desk.core.errors import KoboshiError


def ask(
    port: str,
    verb: str,
    component: str = "",
    *,
    baud: int = 115200,
    seconds: float = 20.0,
    out: TextIO | None = None,
) -> int:
    """Print the reply, one line per part. Return 0 if done, 1 if refused; raise an error without a reply."""
    console, control = Console(open_port(port, baud)), Control()
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
        raise KoboshiError(
            f"{port}: no reply within {seconds:.0f} s; a shell, or koboshictl line, must read the line"
        )
    outcome = control.done.popleft()
    for part in [*outcome.parts, {"result": outcome.result, **outcome.fields}]:
        print(harmless(" ".join(f"{key}={value}" for key, value in part.items())), file=out or sys.stdout)
    return 0 if outcome.result == "ok" else 1
