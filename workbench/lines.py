# SPDX-License-Identifier: MIT
"""Kernel lines as data: where the source comes from, what is patched in, how it is configured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.repository import REPOSITORY


@dataclass(frozen=True)
class KernelLine:
    """One line of kernels that rfork(2) is kept for."""

    name: str
    package: str | None  # Debian's package with the source, and where it puts it
    package_tarball: Path | None
    upstream_url: str
    upstream_sha256: str
    patches: Path  # a folder with `series` and the patches
    fragments: tuple[Path, ...]  # merged over allnoconfig, in this order
    steps: int  # lines that make prints in a full build, for the first build's progress
    make_arguments: tuple[str, ...] = ()
    image: str = "arch/x86/boot/bzImage"
    runs_glibc: bool = True  # whether today's glibc runs there, and with it Debian's user space


LINES = {
    "linux-6.12": KernelLine(
        name="linux-6.12",
        package="linux-source-6.12",
        package_tarball=Path("/usr/src/linux-source-6.12.tar.xz"),
        upstream_url="https://cdn.kernel.org/pub/linux/kernel/v6.x/linux-6.12.80.tar.xz",
        # As OpenWrt's target/linux/generic/kernel-6.12 pins it.
        upstream_sha256="c92591d896e79ecddbc3319136f0c2f855e832b397de7593f013ad7590a43e53",
        patches=REPOSITORY / "kernel/linux-6.12/patches/linux",
        fragments=(
            REPOSITORY / "board/qemu-x86/linux-6.12.config",
            REPOSITORY / "kernel/linux-6.12/rfork.config",
        ),
        steps=1650,
    ),
    "linux-2.6.23": KernelLine(
        name="linux-2.6.23",
        package=None,
        package_tarball=None,
        upstream_url="https://cdn.kernel.org/pub/linux/kernel/v2.6/linux-2.6.23.tar.bz2",
        # As the recipes of OpenEmbedded for 2.6.23 pin it, seven of them with one value.
        upstream_sha256="d4e67c0935ffb2a4158234bff92cc791b83177866009fc9b2214104e0038dbdb",
        patches=REPOSITORY / "kernel/linux-2.6.23/patches/linux",
        fragments=(
            REPOSITORY / "board/qemu-x86/linux-2.6.23.config",
            REPOSITORY / "kernel/linux-2.6.23/rfork.config",
        ),
        steps=812,
        make_arguments=("ARCH=x86_64",),
        image="arch/x86_64/boot/bzImage",
        runs_glibc=False,  # it wants Linux 3.2
    ),
}
DEFAULT_LINE = "linux-6.12"


def find(name: str) -> KernelLine:
    """The line of that name."""
    try:
        return LINES[name]
    except KeyError:
        raise WorkbenchError(
            f"--line {name}: no such kernel line; there is {', '.join(sorted(LINES))}"
        ) from None
