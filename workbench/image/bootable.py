# SPDX-License-Identifier: MIT
"""Images as data: what is booted, and nothing about how it was made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Image:
    """A kernel and an initramfs that boot together; with `disk`, what boots is that, by its own boot loader.

    What a guest writes to the disk is gone with it, unless `keep_disk` is set.
    """

    name: str
    kernel: Path
    initrd: Path
    append: str
    memory_mb: int = 256
    smp: int = 2
    disk: Path | None = None
    keep_disk: bool = False
