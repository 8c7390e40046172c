# SPDX-License-Identifier: MIT
"""Writes what a command was asked to write to a file, or says why not."""

from __future__ import annotations

from pathlib import Path

from koboshi_desk.core.errors import KoboshiError


def write(path: Path, text: str, option: str) -> None:
    """All of `text` as UTF-8; `option` is what named the file."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise KoboshiError(
            f"{path}: {error.strerror}; {option} names a file in a folder that is there"
        ) from error
