# SPDX-License-Identifier: MIT
"""The quick image: a kernel of a line, and an initramfs of two archives, Debian's part and ours."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from koboshi_desk.manifest import check as manifests
from workbench.core import cache
from workbench.image import base, layer
from workbench.image import packages as packages_layer
from workbench.image.bootable import Image
from workbench.kernel import build as kernel
from workbench.kernel import lines

# quiet: the kernel's messages stay in dmesg; errors still reach the console. A panic ends in a reboot.
# no_timer_check: on a busy host an emulated timer can look dead when the kernel looks at it.
APPEND = "console=ttyS0,115200 quiet panic=1 no_timer_check"
SMP = 2


def build(
    manifest: Path | None = None,
    extra: Mapping[str, Path | bytes] | None = None,
    *,
    packages: Sequence[str] = (),
    line: str = lines.DEFAULT_LINE,
    linux_source: Path | None = None,
) -> Image:
    """The image with this manifest (default: the demo's), all from the cache where nothing has changed.

    `extra` are more files of the image: an absolute path there, and a file here or its contents; what is
    executable here is so there. `packages` are Debian packages by name. A wrong manifest is refused.
    """
    chosen = manifest or layer.MANIFEST
    manifests.refuse_wrong(chosen)  # before the minutes that the rest may take
    built = kernel.build(line, linux_source)
    first = base.build()
    layers = [packages_layer.build(packages, first).archive] if packages else []
    layers.append(layer.build(first, chosen, extra or {}))

    def join(folder: Path) -> None:
        # The kernel unpacks one archive after the other. Uncompressed: QEMU loads it at once, an emulated CPU
        # would take longer to unpack it.
        with (folder / "initrd").open("wb") as out:
            for part in (first.archive, *layers):
                with part.open("rb") as source:
                    shutil.copyfileobj(source, out)

    joined = cache.entry("image", cache.key([first.identity, *(each.parent.name for each in layers)]), join)
    return Image(f"quick-{line}", built.image, joined / "initrd", APPEND, lines.find(line).memory_mb, SMP)
