# SPDX-License-Identifier: MIT
"""`./dev boot`: a guest's console in this terminal. Ctrl-] ends it."""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from koboshi_desk.core.deadline import Deadline
from koboshi_desk.core.errors import ConsoleClosedError, KoboshiError
from workbench.guest.booted import Guest
from workbench.guest.qemu import Options
from workbench.image.bootable import Image

ESCAPE = b"\x1d"  # Ctrl-], as telnet has it
POLL_S = 0.02
START_S = 30.0


def boot(
    smp: int | None = None,
    memory_mb: int | None = None,
    build: Callable[[], Image] | None = None,
) -> int:
    """Build an image (by default the quick image) and run it until Ctrl-] or its end."""
    options = Options(smp=smp, memory_mb=memory_mb, requests=True)
    keyboard = _terminal()
    if build is None:
        # The builders are not needed for an image that is there.
        from workbench.image import quick as quickimage

        build = quickimage.build
    with Guest(build(), options) as guest:
        print(f"Ctrl-] ends it; in another terminal: ./dev watch. The log: {guest.log}\r")
        guest.start(Deadline(START_S))
        with raw_terminal(keyboard):
            guest.console.raw = lambda data: _all(sys.stdout.fileno(), data)
            attach(guest, keyboard)
        print()
    return 0


def _terminal() -> int:
    """Standard input's descriptor; Python has no sys.stdin where it was closed."""
    if sys.stdin is None or not sys.stdin.isatty():
        raise KoboshiError("boot: standard input must be a terminal, for the guest's console")
    return sys.stdin.fileno()


def attach(guest: Guest, keyboard: int) -> None:
    """Carry keys to the console until ESCAPE, end of file or the guest's end."""
    while True:
        try:
            guest.console.pump(POLL_S)
            if select.select([keyboard], [], [], 0)[0]:
                keys = os.read(keyboard, 1024)
                before, escape, _ = keys.partition(ESCAPE)
                guest.console.write(before)
                if escape or not keys:
                    return
        except ConsoleClosedError:
            return


@contextmanager
def raw_terminal(descriptor: int) -> Iterator[None]:
    """No echo, line editing or signals from keys: all of that is the guest's."""
    before = termios.tcgetattr(descriptor)
    try:
        tty.setraw(descriptor)
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
