# SPDX-License-Identifier: MIT
"""Being ended from outside, by kill or a closed terminal: tidied up as after Ctrl-C. Output that is gone."""

from __future__ import annotations

import io
import os
import signal
import sys
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGHUP)
STANDARD_ERROR = 2  # the last of the three descriptors
INTERRUPTED = 128 + signal.SIGINT  # the exit status that a shell gives for Ctrl-C


def unwind_on_signals() -> None:
    """From here on the first of SIGNALS is SystemExit, so what is open is closed; a second one kills.

    A signal that is ignored (nohup) stays so.
    """
    for number in SIGNALS:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _unwind)


def _unwind(number: int, _: FrameType | None) -> None:
    for each in SIGNALS:
        if signal.getsignal(each) is _unwind:
            signal.signal(each, signal.SIG_DFL)
    raise SystemExit(128 + number)


def open_standard_streams() -> None:
    """Where one of the three was closed (`>&-`) a file would get its number: /dev/null is there instead."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= STANDARD_ERROR:
        pass
    os.close(descriptor)
    sys.stdin = sys.stdin or os.fdopen(0, "r", closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # else a test has put something else there
            stream.reconfigure(errors="replace")  # a terminal without UTF-8 gets question marks


def discard_output() -> None:
    """What standard output still holds goes nowhere: Python would try again to write it at exit."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)
