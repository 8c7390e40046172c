# SPDX-License-Identifier: MIT
"""The client's side of the control socket (docs/supervisor.md)."""

from __future__ import annotations

import os


class FailedError(Exception):
    """The supervisor is not running, went away, or refused the request."""


def run_folder() -> str:
    """Return the folder with the supervisor's sockets and files."""
    return os.environ.get("KOBOSHI_RUN", "/run/koboshi")


def ask(request: dict[str, object]) -> dict[str, object]:
    """Send a request and return the reply; raise FailedError if nobody answers or the supervisor refuses."""
    connection = Connection(request)
    try:
        return connection.reply()
    finally:
        connection.close()


class Connection:
    """A connection to the supervisor on which a request has been sent."""

    def __init__(self, request: dict[str, object]) -> None:
        import json
        import socket

        self.loads = json.loads
        path = run_folder() + "/control"
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(path)
            connection.sendall(json.dumps(request).encode() + b"\n")
        except OSError as error:
            raise FailedError(f"no supervisor at {path}: {error.strerror}") from None
        self.socket = connection
        self.file = connection.makefile("rb")

    def next(self) -> dict[str, object]:
        """Return the next line of the supervisor."""
        line = self.file.readline()
        if not line:
            raise FailedError("the supervisor has gone away")
        reply = self.loads(line)
        if not isinstance(reply, dict):
            raise FailedError("the supervisor's reply is not understood")
        return reply

    def reply(self) -> dict[str, object]:
        """Return the reply to the request; raise FailedError if the supervisor refused it."""
        reply = self.next()
        if not reply.get("ok"):
            errors = reply.get("errors")
            more = "".join(f"\n{line}" for line in errors) if isinstance(errors, list) else ""
            raise FailedError(f"{reply.get('error')}{more}")
        return reply

    def close(self) -> None:
        """Close the connection."""
        self.file.close()
        self.socket.close()
