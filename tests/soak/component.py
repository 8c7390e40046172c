# SPDX-License-Identifier: MIT
"""A component of the soak's: a checkpoint, readiness, a heartbeat, and nothing else to do."""

from __future__ import annotations

import os
import socket
import time


def checkpoint() -> None:
    """A restart comes back here."""
    import rfork  # type: ignore[import-not-found, unused-ignore]  # the extension is built for the image

    rfork.checkpoint()


def main() -> None:
    """Until somebody ends it."""
    checkpoint()
    path = os.environ["NOTIFY_SOCKET"]
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    channel.setblocking(False)
    state = b"READY=1"
    while True:
        try:
            channel.sendto(state, "\0" + path[1:] if path.startswith("@") else path)
            state = b"WATCHDOG=1"
        except OSError:
            pass  # the supervisor cannot take it at the moment: try again
        time.sleep(1)


if __name__ == "__main__":
    main()
