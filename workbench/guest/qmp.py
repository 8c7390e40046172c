# SPDX-License-Identifier: MIT
"""QEMU's machine protocol: the few commands that are needed, over a Unix socket."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

from koboshi_desk.core.deadline import Deadline
from workbench.guest.errors import QmpError


class Qmp:
    """A connection in command mode. Events that arrive meanwhile are kept in `events`."""

    def __init__(self, path: Path, deadline: Deadline) -> None:
        self.events: list[dict[str, Any]] = []
        self._buffer = b""
        self._sock = socket.socket(socket.AF_UNIX)
        try:
            self._sock.connect(str(path))
            self._next("greeting", deadline)
            self.command("qmp_capabilities")
        except BaseException:
            self._sock.close()
            raise

    def command(self, name: str, seconds: float = 10.0, **arguments: object) -> object:
        """Run a command and return what it returns."""
        deadline = Deadline(seconds, name)
        request: dict[str, object] = {"execute": name}
        if arguments:
            request["arguments"] = arguments
        try:
            self._sock.sendall(json.dumps(request).encode() + b"\n")
        except OSError as error:
            raise QmpError(name, str(error)) from error
        while True:
            reply = self._next(name, deadline)
            if "error" in reply:
                raise QmpError(name, str(reply["error"].get("desc", reply["error"])))
            if "return" in reply:
                value: object = reply["return"]
                return value
            self.events.append(reply)

    def _next(self, name: str, deadline: Deadline) -> dict[str, Any]:
        while b"\n" not in self._buffer:
            self._sock.settimeout(max(0.001, deadline.remaining()))
            try:
                data = self._sock.recv(65536)
            except TimeoutError as error:
                raise QmpError(name, f"no answer within {deadline.seconds:.0f} s") from error
            except OSError as error:
                raise QmpError(name, str(error)) from error
            if not data:
                raise QmpError(name, "QEMU closed the connection")
            self._buffer += data
        line, self._buffer = self._buffer.split(b"\n", 1)
        reply: dict[str, Any] = json.loads(line)
        return reply

    def close(self) -> None:
        """Close the connection; QEMU goes on."""
        self._sock.close()
