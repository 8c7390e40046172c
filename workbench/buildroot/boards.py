# SPDX-License-Identifier: MIT
"""Boards as data: which fragments configure Buildroot, the kernel and BusyBox for a kernel line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from koboshi_desk.core.errors import KoboshiError
from workbench.core.repository import REPOSITORY
from workbench.kernel import kconfig, lines

CONFIGS = REPOSITORY / "configs"


@dataclass(frozen=True)
class Board:
    """A board that Buildroot makes images for, from its folder in board/."""

    name: str
    append: Mapping[str, str]  # a line's kernel parameters where the loader is QEMU (-kernel)
    memory_mb: int = 256
    folder: Path = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", REPOSITORY / "board" / self.name)

    def buildroot(self, line: str) -> tuple[Path, ...]:
        """Fragments of Buildroot's configuration; a later one overrides."""
        return (self.folder / "buildroot.config", self.folder / f"buildroot-{line}.config")

    def kernel(self, line: str) -> tuple[Path, ...]:
        """Fragments of the kernel's configuration, in the order in which Buildroot merges them."""
        base, *rest = lines.find(line).fragments
        return (base, self.folder / f"{line}.config", *rest)

    @property
    def busybox(self) -> Path:
        """The fragment over Buildroot's BusyBox."""
        return self.folder / "busybox.config"

    @property
    def manifest(self) -> Path:
        """What its post-build script adds to the demo's manifest."""
        return self.folder / "koboshi.toml"


BOARDS = {
    "core2": Board(
        name="core2",
        append={
            "linux-6.12": "console=ttyS0,115200 quiet panic=1 no_timer_check",
            # There no_timer_check makes the timer's first and best way count as broken.
            "linux-2.6.23": "console=ttyS0,115200 quiet panic=1",
        },
    ),
}


def find(name: str) -> Board:
    """Return the board with that name."""
    try:
        return BOARDS[name]
    except KeyError:
        raise KoboshiError(f"--board {name}: no such board; there is {', '.join(sorted(BOARDS))}") from None


def defconfig(board: Board, line: str) -> Path:
    """The defconfig for people who run Buildroot themselves."""
    return CONFIGS / f"koboshi_{board.name}_{line.translate(str.maketrans('-.', '__'))}_defconfig"


def defconfig_text(board: Board, line: str) -> str:
    """What that file must hold: the board's fragments, merged."""
    return kconfig.text(kconfig.merge(board.buildroot(line)))


def write_defconfigs() -> list[Path]:
    """Rewrite all defconfigs after a change to a fragment."""
    written = []
    for board in BOARDS.values():
        for line in sorted(board.append):
            path = defconfig(board, line)
            path.write_text(defconfig_text(board, line))
            written.append(path)
    return written


if __name__ == "__main__":
    print(*write_defconfigs(), sep="\n")
