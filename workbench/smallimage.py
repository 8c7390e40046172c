# SPDX-License-Identifier: MIT
"""An initramfs of static programs only, for kernel lines that no glibc of today runs on: no shell."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from workbench import cache, cpio, kernel
from workbench.command import output
from workbench.images import Image
from workbench.lines import KernelLine
from workbench.repository import REPOSITORY

INIT = REPOSITORY / "tests/image/init.c"
COMPILE = ("musl-gcc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-Os", "-static", "-s")
# quiet: the kernel's messages stay in its log, which init prints; only what is grave breaks up its lines.
# Without no_timer_check: on 2.6.23 that makes the timer's first and best way count as broken.
APPEND = "console=ttyS0,115200 quiet panic=1"
FOLDERS = ("dev", "proc", "tmp", "tests")
NODES = (
    cpio.Node("dev/console", 0o600, 5, 1),
    cpio.Node("dev/null", 0o666, 1, 3),
    cpio.Node("dev/zero", 0o666, 1, 5),
    cpio.Node("dev/full", 0o666, 1, 7),
)


def build(line: KernelLine, programs: Sequence[Path], init: Path = INIT) -> Image:
    """The line's kernel with PID 1, made of the C file `init`, and these programs in /tests."""
    built = kernel.build(line.name)

    def make(folder: Path) -> None:
        tree = folder / "tree"
        for name in FOLDERS:
            (tree / name).mkdir(parents=True)
        output([*COMPILE, "-o", tree / "init", init])
        for program in programs:
            shutil.copy(program, tree / "tests" / program.name)
        cpio.write(folder / "initrd", tree, NODES)
        shutil.rmtree(tree)

    named = [part for path in programs for part in (path.name, path)]
    compiler = output([COMPILE[0], "--version"]).splitlines()[0]
    key = cache.key(["small", compiler, *COMPILE, init, Path(__file__), Path(cpio.__file__), *named])
    return Image(f"small-{line.name}", built.image, cache.entry("image", key, make) / "initrd", APPEND)
