# SPDX-License-Identifier: MIT
"""`./dev image`, and the names of images that other tasks take with --image."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from koboshi_desk.core.errors import KoboshiError
from workbench.image.bootable import Image

QUICK = "quick"


def run(manifest: str, board: str, line: str, places: Mapping[str, str], site: str, target: str) -> int:
    """Build and print where it is; without a board that is the quick image. 0, or what --make ended with."""
    from workbench.buildroot import build as buildroot

    if not board:
        _refuse({**places, "primary_site": site, "make": target})
        from workbench.image import quick as quickimage

        print(quickimage.build(Path(manifest) if manifest else None, line=line).initrd)
        return 0
    if manifest:
        raise KoboshiError("--manifest: a board's image takes its manifest from its packages or overlay")
    options = buildroot.Options(
        **{name: Path(value) if value else None for name, value in places.items()}, primary_site=site or None
    )
    if target:
        return buildroot.make(board, line, target, options)
    built = buildroot.build(board, line, options)
    for name in (*buildroot.IMAGES, "sbom.cdx.json"):
        path = built.kernel.parent / name
        print(f"{path.stat().st_size / 1e6:7.2f} MB  {path}")
    return 0


def _refuse(given: Mapping[str, str]) -> None:
    wrong = [f"--{name.replace('_', '-')}" for name, value in given.items() if value]
    if wrong:
        raise KoboshiError(f"{', '.join(wrong)}: for a board's image only; --board core2 names one")


def named(name: str) -> Image | None:
    """The image of that name; None (the quick image) for none."""
    if name in ("", QUICK):
        return None
    from workbench.buildroot import build as buildroot

    return buildroot.find(name)
