# SPDX-License-Identifier: MIT
"""Writes cpio archives in the newc format, which the kernel unpacks (its driver-api/early-userspace).

Needs no root: device nodes are entries, and every entry belongs to root. The same tree gives the same bytes:
sorted, one time for all, permissions 0755 or 0644.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

TRAILER = "TRAILER!!!"
TIME = 1767225600  # 2026-01-01, for every entry


@dataclass(frozen=True)
class Node:
    """A character device: path in the archive, permissions, major and minor number."""

    path: str
    mode: int
    major: int
    minor: int


class Writer:
    """Appends entries to an archive; close() writes the trailer."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._inode = 0

    def add(self, path: str, mode: int, data: bytes = b"", device: tuple[int, int] = (0, 0)) -> None:
        """One entry: `mode` with the file's type, `data` the contents or a link's target."""
        self._inode += 1
        name = path.encode() + b"\0"
        links = 2 if stat.S_ISDIR(mode) else 1
        fields = (self._inode, mode, 0, 0, links, TIME, len(data), 0, 0, *device, len(name), 0)
        self._padded(b"070701" + b"".join(b"%08X" % field for field in fields) + name)
        self._padded(data)

    def node(self, node: Node) -> None:
        """A character device."""
        self.add(node.path, stat.S_IFCHR | node.mode, device=(node.major, node.minor))

    def tree(self, folder: Path) -> None:
        """All of a folder, without the folder itself."""
        for path in sorted(_below(folder)):
            self._file(path, str(path.relative_to(folder)))

    def close(self) -> None:
        """The trailer; whatever follows in the file is another archive."""
        self._inode = -1
        self.add(TRAILER, 0)

    def _file(self, path: Path, name: str) -> None:
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            self.add(name, stat.S_IFLNK | 0o777, bytes(path.readlink()))
        elif stat.S_ISDIR(status.st_mode):
            self.add(name, stat.S_IFDIR | (0o1777 if status.st_mode & stat.S_ISVTX else 0o755))
        else:
            executable = bool(status.st_mode & stat.S_IXUSR)
            self.add(name, stat.S_IFREG | (0o755 if executable else 0o644), path.read_bytes())

    def _padded(self, data: bytes) -> None:
        self._out.write(data + b"\0" * (-len(data) % 4))


def _below(folder: Path) -> Iterable[Path]:
    for parent, folders, files in os.walk(folder):
        yield from (Path(parent, name) for name in (*folders, *files))


def write(target: Path, folder: Path, nodes: Iterable[Node] = ()) -> None:
    """An archive of the folder and the nodes."""
    with target.open("wb") as out:
        writer = Writer(out)
        writer.tree(folder)
        for node in nodes:
            writer.node(node)
        writer.close()
