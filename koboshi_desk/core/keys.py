# SPDX-License-Identifier: MIT
"""Reads single keys from a terminal without blocking."""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import tty
from contextlib import suppress
from types import TracebackType

ESCAPES = {"\x1b[A": "up", "\x1b[B": "down", "\x1bOA": "up", "\x1bOB": "down", "\x1b[Z": "backtab"}
NAMES = {
    "\t": "tab",
    "\r": "enter",
    "\n": "enter",
    "\x7f": "backspace",
    "\x08": "backspace",
    "\x1b": "escape",
}


class Keys:
    """`with Keys() as keys:`; `keys.pressed()` gives what was pressed since. No terminal: never anything."""

    def __init__(self, fd: int | None = None) -> None:
        self._fd = sys.stdin.fileno() if fd is None else fd
        self._before: list[object] | None = None

    def __enter__(self) -> Keys:
        if os.isatty(self._fd):
            self._before = termios.tcgetattr(self._fd)
            tty.setcbreak(self._fd)  # Ctrl-C stays what it is
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None
    ) -> None:
        if self._before is not None:
            with suppress(termios.error):  # the terminal may be gone
                termios.tcsetattr(self._fd, termios.TCSADRAIN, self._before)  # type: ignore[arg-type]
            self._before = None

    def pressed(self) -> list[str]:
        """Characters, and `up`, `down`, `tab`, `enter`, `backspace`, `escape` by name.

        SystemExit with the status of a hangup once the terminal is gone: SIGHUP reaches its own session only.
        """
        if self._before is None or not select.select([self._fd], [], [], 0)[0]:
            return []
        data = b""
        with suppress(OSError):
            data = os.read(self._fd, 1024)
        if not data:
            raise SystemExit(128 + signal.SIGHUP)
        return names(data.decode("utf-8", "ignore"))


def names(text: str) -> list[str]:
    """Split a terminal's input into keys; skip unknown escape sequences."""
    found = []
    while text:
        sequence = next((s for s in ESCAPES if text.startswith(s)), None)
        if sequence:
            found.append(ESCAPES[sequence])
        elif text.startswith(("\x1b[", "\x1bO")):
            sequence = _unknown(text)
        else:
            found.append(NAMES.get(text[0], text[0]))
        text = text[len(sequence or text[0]) :]
    return found


def _unknown(text: str) -> str:
    """An escape sequence ends with a letter or `~`."""
    for end, character in enumerate(text[2:], 3):
        if character.isalpha() or character == "~":
            return text[:end]
    return text
