# SPDX-License-Identifier: MIT
"""Kernel lines as data: where the source comes from, what is patched in, how it is configured.

A line has variants, found by name as lines are: `linux-6.12-debug` finds its own mistakes,
`linux-6.12-stock` is without rfork.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from koboshi_desk.core.errors import KoboshiError
from workbench.core.repository import REPOSITORY
from workbench.kernel.archive import Package


@dataclass(frozen=True)
class Archived:
    """A source that Debian has in a suite which a machine need not install from, and its tarball's sum."""

    package: Package
    sha256: str


@dataclass(frozen=True)
class KernelLine:
    """One line of kernels that rfork(2) is kept for."""

    name: str
    package: str | None  # Debian's package with the source, and where it puts it
    package_tarball: Path | None
    upstream_url: str  # kernel.org's release; "" if its sum is not known here
    upstream_sha256: str
    patches: Path  # a folder with `series` and the patches
    fragments: tuple[Path, ...]  # merged over allnoconfig, in this order
    steps: int  # lines that make prints in a full build, for the first build's progress
    make_arguments: tuple[str, ...] = ()
    image: str = "arch/x86/boot/bzImage"
    runs_glibc: bool = True  # whether today's glibc runs there, and with it Debian's user space
    leave_out: tuple[str, ...] = ()  # patches with these in their names are not applied
    append: str = ""  # a guest's command line needs this
    memory_mb: int = 256  # what a guest needs at least
    slowness: float = 1.0  # how many times the time limits that an ordinary kernel keeps
    archived: Archived | None = None
    debug: Path | None = None  # the fragment of the debug variant
    debug_steps: int = 0
    trial: bool = False  # built only where somebody asks for it

    @property
    def folder(self) -> Path:
        """Where its patches and fragments are."""
        return self.patches.parent.parent


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
        debug=REPOSITORY / "kernel/linux-6.12/debug.config",
        debug_steps=1715,
    ),
    "linux-7.3": KernelLine(
        name="linux-7.3",
        package="linux-source-7.3",
        package_tarball=Path("/usr/src/linux-source-7.3.tar.xz"),
        upstream_url="",
        upstream_sha256="",
        archived=Archived(
            Package("linux-source-7.3", "7.3.4-1~bpo13+1", "trixie-backports"),
            # Computed from the package, which apt had checked.
            "76df1affb19f24926949369be1d74b60071c963c598ce8780bddd4bbf0fc3bc4",
        ),
        patches=REPOSITORY / "kernel/linux-7.3/patches/linux",
        fragments=(
            REPOSITORY / "board/qemu-x86/linux-6.12.config",
            REPOSITORY / "board/qemu-x86/linux-7.3.config",
            REPOSITORY / "kernel/linux-6.12/rfork.config",
        ),
        steps=1890,
        debug=REPOSITORY / "kernel/linux-6.12/debug.config",
        debug_steps=1715,
        trial=True,
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
        # It counts how fast the CPU is while it boots. On a busy host that can come out forty times too
        # fast, and busy waits then take forty times as long.
        append="lpj=3000000",
    ),
}
DEFAULT_LINE = "linux-6.12"
NEWEST_LINE = "linux-7.3"

DEBUG, STOCK = "-debug", "-stock"


def find(name: str) -> KernelLine:
    """The line, or the variant of one, of that name."""
    base = name.removesuffix(DEBUG).removesuffix(STOCK)
    if base not in LINES:
        raise KoboshiError(f"--line {name}: no such kernel line; there is {', '.join(sorted(LINES))}")
    if name.endswith(DEBUG):
        return _debug(LINES[base])
    return _stock(LINES[base]) if name.endswith(STOCK) else LINES[base]


def _debug(line: KernelLine) -> KernelLine:
    """With the kernel's own checkers: much slower, and a good part of the memory is theirs."""
    if line.debug is None:
        others = ", ".join(other.name for other in LINES.values() if other.debug)
        raise KoboshiError(f"--debug: {line.name} has no debug.config; the lines that have one: {others}")
    return replace(
        line,
        name=line.name + DEBUG,
        fragments=(*line.fragments, line.debug),
        steps=line.debug_steps,
        memory_mb=1024,
        slowness=5.0,
    )


def _stock(line: KernelLine) -> KernelLine:
    """Without rfork, to compare with."""
    kept = tuple(path for path in line.fragments if path.name != "rfork.config")
    return replace(line, name=line.name + STOCK, fragments=kept, leave_out=("rfork", "coredump"))
