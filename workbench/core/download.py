# SPDX-License-Identifier: MIT
"""Downloads files with a pinned SHA-256."""

from __future__ import annotations

import hashlib
import urllib.error
import urllib.request
from pathlib import Path
from typing import BinaryIO

from koboshi_desk.core.errors import KoboshiError
from workbench.core import cache, progress

CHUNK = 1 << 20
TIMEOUT_S = 60


class DownloadError(KoboshiError):
    """A file cannot be fetched or is not what it should be."""

    def __init__(self, where: Path | str, reason: str, expected: str) -> None:
        self.where = where
        self.reason = reason
        self.expected = expected
        super().__init__(f"{where}: {reason}; {expected}")


def fetch(url: str, sha256: str, target: Path, *, pinned: str, instead: str) -> None:
    """Fetch `url` to `target`. `pinned` names the file that has the sum, `instead` says what else helps."""
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as reply:
            length = int(reply.headers.get("Content-Length") or 0)
            digest = _receive(url, reply, length, target)
    except (urllib.error.URLError, OSError) as error:
        raise DownloadError(url, f"cannot be fetched ({error})", instead) from error
    _compare(url, digest, sha256, pinned)


def verify(path: Path, sha256: str, pinned: str) -> None:
    """Raise DownloadError unless the file has that sum."""
    _compare(path, cache.file_digest(path), sha256, pinned)


def _compare(where: Path | str, got: str, wanted: str, pinned: str) -> None:
    if got != wanted:
        raise DownloadError(where, f"SHA-256 is {got}", f"{wanted} is pinned in {pinned}")


def _receive(url: str, reply: BinaryIO, length: int, target: Path) -> str:
    digest = hashlib.sha256()
    steps = progress.Progress(f"fetching {url}", length // CHUNK or None)
    with steps, target.open("wb") as out:
        while chunk := reply.read(CHUNK):
            digest.update(chunk)
            out.write(chunk)
            steps.step()
    return digest.hexdigest()
