# SPDX-License-Identifier: MIT
"""Folders in which make(1) goes on from the last build."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from koboshi_desk.core import places
from koboshi_desk.core.errors import KoboshiError
from workbench.core import cache

UNFINISHED = "unfinished"


class ChangedError(KoboshiError):
    """Sources changed while they were compiled."""

    def __init__(self) -> None:
        super().__init__("the sources changed during the build, so its result is discarded; build again")


@contextmanager
def folder(name: str, sources: Sequence[Path]) -> Iterator[Path]:
    """The folder of the objects that are made from `sources`. The caller holds a lock.

    make compares times. A file that changes while it is compiled is older than its object, which make would
    keep. So objects are removed after an interrupted build, and after one whose sources changed; the latter
    is a ChangedError.
    """
    path = places.cache_folder() / "objects" / name
    mark = path / UNFINISHED
    if mark.exists():
        shutil.rmtree(path)
    path.mkdir(parents=True, exist_ok=True)
    mark.touch()
    before = cache.key(sources)
    yield path
    if cache.key(sources) != before:
        raise ChangedError
    mark.unlink()
