# SPDX-License-Identifier: MIT
"""Buildroot itself: the pinned release, fetched and unpacked once, or a tree that is given."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from koboshi_desk.core import places
from koboshi_desk.core.errors import KoboshiError
from workbench.core import cache, download, progress
from workbench.core.command import output

# The long-term release of 2026; the sum is that of the release's signed list.
RELEASE = "2026.02.3"
URL = f"https://buildroot.org/downloads/buildroot-{RELEASE}.tar.xz"
SHA256 = "5a59e7501b0b4ec52c41f4bfa79412320e0b37eae5f719605a258e8d0c6fc7fb"
_VERSION = re.compile(r"^export BR2_VERSION := (\S+)$", re.MULTILINE)


class BuildrootError(KoboshiError):
    """Buildroot is missing or is not what it should be."""

    def __init__(self, where: Path | str, reason: str, expected: str) -> None:
        self.where = where
        self.reason = reason
        self.expected = expected
        super().__init__(f"{where}: {reason}; {expected}")


@dataclass(frozen=True)
class Tree:
    """A tree of Buildroot, and its version."""

    path: Path
    version: str


def find(given: Path | None = None) -> Tree:
    """The tree given, else the pinned release."""
    if given is not None:
        return check(given)
    return check(_unpacked(_tarball()))


def check(path: Path) -> Tree:
    """The tree at `path`; BuildrootError where there is none."""
    makefile = path / "Makefile"
    found = _VERSION.search(makefile.read_text(errors="replace")) if makefile.is_file() else None
    if found is None or not (path / "package/Config.in.host").is_file():
        raise BuildrootError(path, "no Buildroot", "--buildroot takes the folder of an unpacked release")
    return Tree(path.resolve(), found[1])


def external(path: Path) -> Path:
    """An external tree of the user's; BuildrootError if Buildroot would not take it."""
    missing = [name for name in ("external.desc", "Config.in", "external.mk") if not (path / name).is_file()]
    if missing:
        expected = "--external takes a folder with external.desc, Config.in and external.mk"
        raise BuildrootError(path, f"no {' and no '.join(missing)}", expected)
    return path.resolve()


def by_hand_place() -> Path:
    """Where the release's tarball may be put by hand."""
    return places.cache_folder() / "sources" / Path(URL).name


def _tarball() -> Path:
    by_hand = by_hand_place()
    if by_hand.is_file():
        download.verify(by_hand, SHA256, "workbench/buildroot/tree.py")
        return by_hand
    name = by_hand.name
    instead = f"give --buildroot DIR, or put it at {by_hand}"
    return (
        cache.entry(
            "download",
            SHA256[: cache.KEY_LENGTH],
            lambda folder: download.fetch(
                URL, SHA256, folder / name, pinned="workbench/buildroot/tree.py", instead=instead
            ),
        )
        / name
    )


def _unpacked(tarball: Path) -> Path:
    def unpack(folder: Path) -> None:
        progress.note(f"unpacking {tarball}")
        output(["tar", "-x", "-f", tarball, "--strip-components=1", "--no-same-owner", "-C", folder])

    return cache.entry("buildroot-tree", SHA256[: cache.KEY_LENGTH], unpack)
