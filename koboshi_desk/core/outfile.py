# SPDX-License-Identifier: MIT
"""Writes a command's output to a file, or reports why it cannot."""

from __future__ import annotations

from pathlib import Path

from koboshi_desk.core.errors import KoboshiError


def write(path: Path, text: str, option: str) -> None:
    """Write `text` as UTF-8; `option` is the option that named the file."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise KoboshiError(
            f"{path}: {error.strerror}; {option} names a file in a folder that is there"
        ) from error
