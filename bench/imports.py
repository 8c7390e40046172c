# SPDX-License-Identifier: MIT
"""A Python component as they are: its start takes its imports' time. `warm`: they are in the image."""

from __future__ import annotations

import argparse  # noqa: F401 - what it imports is what is measured
import asyncio  # noqa: F401
import decimal  # noqa: F401
import http.client  # noqa: F401
import json  # noqa: F401
import logging  # noqa: F401
import os
import signal
import socket
import statistics  # noqa: F401
import subprocess  # noqa: F401
import sys
import tempfile  # noqa: F401
import urllib.request  # noqa: F401


def ready() -> None:
    """READY=1, as sd_notify(3) has it."""
    path = os.environ["NOTIFY_SOCKET"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.sendto(b"READY=1", "\0" + path[1:] if path.startswith("@") else path)


def main() -> None:
    """Until it is killed."""
    if sys.argv[1:] == ["warm"]:
        import rfork

        rfork.checkpoint()
    ready()
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
