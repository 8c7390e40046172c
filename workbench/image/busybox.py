# SPDX-License-Identifier: MIT
"""A BusyBox linked with musl, for kernels that no glibc of today, and so no BusyBox of Debian's, runs on."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from workbench.core import cache, progress
from workbench.core.command import logged, output
from workbench.core.repository import REPOSITORY
from workbench.image import apt_source
from workbench.kernel import kconfig

FRAGMENT = REPOSITORY / "tests/image/busybox.config"
# musl has no kernel headers; /usr/include has, and comes last so that only what musl lacks is taken from it.
COMPILER = "musl-gcc -idirafter /usr/include -idirafter /usr/include/x86_64-linux-gnu"
PROGRAM, NAMES = "busybox", "busybox.links"


@dataclass(frozen=True)
class BusyBox:
    """The program, and the names that it answers to."""

    program: Path
    names: list[str]


def build() -> BusyBox:
    """From the cache while the package archive has the same version."""
    tarball = apt_source.resolve("busybox")
    compiler = output(["musl-gcc", "--version"]).splitlines()[0]

    def make(folder: Path) -> None:
        progress.note("building BusyBox with musl")
        tree = folder / "tree"
        tree.mkdir()
        archive = apt_source.download("busybox", tarball, folder)
        output(["tar", "-x", "-f", archive, "--strip-components=1", "--no-same-owner", "-C", tree])
        _compile(tree, folder / "build.log")
        for name in (PROGRAM, NAMES):
            shutil.copy(tree / name, folder / name)
        shutil.rmtree(tree)

    key = cache.key([tarball.checksum, compiler, COMPILER, FRAGMENT, Path(__file__)])
    folder = cache.entry("busybox", key, make)
    names = [Path(line).name for line in (folder / NAMES).read_text().split()]
    return BusyBox(folder / PROGRAM, names)


def _compile(tree: Path, log: Path) -> None:
    """Put the settings into allnoconfig's result, since it takes none; new questions get their defaults."""
    config, wanted = tree / ".config", kconfig.parse(FRAGMENT)
    logged(["make", "-C", tree, "allnoconfig"], log)
    config.write_text(kconfig.text({**kconfig.parse(config), **wanted}))
    logged(["sh", "-c", f"yes '' | make -C '{tree}' oldconfig"], log)
    kconfig.verify(config, wanted)
    logged(["make", "-C", tree, f"-j{os.cpu_count() or 1}", f"CC={COMPILER}", PROGRAM, NAMES], log)
