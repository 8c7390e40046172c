# SPDX-License-Identifier: MIT
"""An initramfs of static programs only: for kernels that no glibc of today runs on, and tests as PID 1."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from workbench.core import cache
from workbench.core.command import output
from workbench.core.repository import REPOSITORY
from workbench.image import busybox, cpio
from workbench.image.bootable import Image
from workbench.kernel import build as kernel
from workbench.kernel.lines import KernelLine

INIT = REPOSITORY / "tests/image/init.sh"
HEADERS = REPOSITORY / "librfork/include"
# musl has no kernel headers; /usr/include has, and comes last so that only what musl lacks is taken from it.
COMPILE = (
    *("musl-gcc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-Os", "-static", "-s", "-I", str(HEADERS)),
    *("-idirafter", "/usr/include", "-idirafter", "/usr/include/x86_64-linux-gnu"),
)
# quiet: the kernel's messages stay in its log, which init prints; only what is grave breaks up its lines.
# Without no_timer_check: on 2.6.23 that makes the timer's first and best way count as broken.
APPEND = "console=ttyS0,115200 quiet panic=1"
FOLDERS = ("bin", "dev", "etc", "proc", "sys", "tmp", "tests")
USERS = "root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n"
NODES = (
    cpio.Node("dev/console", 0o600, 5, 1),
    cpio.Node("dev/null", 0o666, 1, 3),
    cpio.Node("dev/zero", 0o666, 1, 5),
    cpio.Node("dev/full", 0o666, 1, 7),
)


def build(
    line: KernelLine,
    programs: Sequence[Path] = (),
    init: Path = INIT,
    name: str = "small",
    box: busybox.BusyBox | None = None,
) -> Image:
    """The line's kernel; PID 1 (a C file, a folder of them, a script); programs in /tests; `box` in /bin."""
    sources = sorted(init.glob("*.c")) if init.is_dir() else [init]
    built = kernel.build(line.name)

    def make(folder: Path) -> None:
        tree = folder / "tree"
        for folder_name in FOLDERS:
            (tree / folder_name).mkdir(parents=True)
        if init.suffix == ".sh":
            shutil.copy(init, tree / "init")
        else:
            output([*COMPILE, "-o", tree / "init", *sources])
        (tree / "etc/passwd").write_text(USERS)
        for program in programs:
            shutil.copy(program, tree / "tests" / program.name)
        if box:
            _add(box, tree / "bin")
        cpio.write(folder / "initrd", tree, NODES)
        shutil.rmtree(tree)

    named: list[str | Path] = [part for path in programs for part in (path.name, path)]
    compiler = output([COMPILE[0], "--version"]).splitlines()[0]
    made_with: list[str | Path] = ["small", compiler, *COMPILE, HEADERS, Path(__file__), Path(cpio.__file__)]
    if box:
        named += [box.program, *box.names]
    key = cache.key([*made_with, init, *named])
    initrd = cache.entry("image", key, make) / "initrd"
    return Image(
        f"{name}-{line.name}", built.image, initrd, f"{APPEND} {line.append}".strip(), line.memory_mb
    )


def _add(box: busybox.BusyBox, folder: Path) -> None:
    shutil.copy(box.program, folder / "busybox")
    for name in box.names:
        (folder / name).symlink_to("busybox")
