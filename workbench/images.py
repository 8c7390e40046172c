# SPDX-License-Identifier: MIT
"""Images as data: what is booted, and nothing about how it was made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Image:
    """A kernel and an initramfs that boot together."""

    name: str
    kernel: Path
    initrd: Path
    append: str
    memory_mb: int = 256
    smp: int = 2
