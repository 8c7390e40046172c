# SPDX-License-Identifier: MIT
"""A program of one of Debian's packages, with its libraries, for a guest with the quick image's base."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from koboshi_desk.core.errors import KoboshiError
from workbench.core import cache, progress
from workbench.core.command import output
from workbench.image import apt, base


def find(package: str, program: str) -> dict[str, Path]:
    """Places in the image, and the files for them."""
    packages = apt.resolve((package,))

    def make(folder: Path) -> None:
        progress.note(f"unpacking {package} and what it needs")
        for file in apt.download((package,), packages):
            output(["dpkg-deb", "--extract", file, folder])
        base.merge_usr(folder)

    key = cache.key([*(f"{item.name} {item.version} {item.checksum}" for item in packages), Path(__file__)])
    tree = cache.entry("programs", key, make)
    files = [tree / "usr/bin" / program, *libraries(tree, tree / "usr/bin" / program)]
    return {f"/{file.relative_to(tree)}": file for file in files}


def libraries(tree: Path, program: Path) -> list[Path]:
    """All that the program needs, and they in their turn, without what the base has."""
    there = {path.name for path in (base.build().tree / base.LIBRARIES).iterdir()}
    found: dict[str, Path] = {}
    for name in _closure(tree, program):
        if name not in there and not name.startswith("ld-linux"):
            found[name] = _library(tree, name)
    return [found[name] for name in sorted(found)]


def _closure(tree: Path, program: Path) -> Iterator[str]:
    seen: set[str] = set()
    waiting = base.needed(program)
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            yield name
            waiting += base.needed(_library(tree, name)) if not name.startswith("ld-linux") else []


def _library(tree: Path, name: str) -> Path:
    path = tree / base.LIBRARIES / name
    if not path.exists():
        raise KoboshiError(f"{name}: none of the packages has it at {base.LIBRARIES}")
    return path
