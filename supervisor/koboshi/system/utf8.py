# SPDX-License-Identifier: MIT
"""Text is UTF-8 whatever the locale says, and bytes that are not pass through as they are."""

from __future__ import annotations

import io
import os
import sys


def ensure() -> None:
    """Start this program again in UTF-8 mode, as the same process, if Python took another encoding.

    Arguments and paths of a manifest are bytes in UTF-8 for every component, so for the supervisor too.
    """
    if not sys.flags.utf8_mode and sys.getfilesystemencoding() != "utf-8":
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])


def tolerant_output() -> None:
    """No character ends the program: bytes pass through, and what the output cannot show is escaped."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            wide = stream.encoding.lower().replace("-", "") == "utf8"
            stream.reconfigure(errors="surrogateescape" if wide else "backslashreplace")
