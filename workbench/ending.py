# SPDX-License-Identifier: MIT
"""Being ended from outside, by kill or a closed terminal: tidied up as after Ctrl-C."""

from __future__ import annotations

import signal
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGHUP)
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
