# SPDX-License-Identifier: MIT
"""Folders of this machine's user: the cache, which `./dev` fills and where open consoles leave a note."""

from __future__ import annotations

import os
from pathlib import Path

from koboshi_desk.core.errors import KoboshiError

CACHE_VARIABLE = "KOBOSHI_CACHE"


def cache_folder() -> Path:
    """The cache folder: $KOBOSHI_CACHE, or koboshi in the user's cache folder. Made if missing."""
    fallback = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "koboshi"
    path = Path(os.environ.get(CACHE_VARIABLE) or fallback)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise KoboshiError(
            f"{path}: {error.strerror}; {CACHE_VARIABLE} names a folder that can be written"
        ) from error
    return path.resolve()
