# SPDX-License-Identifier: MIT
"""`./dev image`, and the names of images that other tasks take with --image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from koboshi_desk.core.errors import KoboshiError
from workbench.image.bootable import Image

if TYPE_CHECKING:
    from workbench.image.own import Wanted

QUICK = "quick"


def run(
    wanted: Wanted,
    board: str,
    line: str,
    places: Mapping[str, str],
    site: str,
    target: str,
    external: Sequence[str] = (),
) -> int:
    """Build and print where it is; without a board that is the quick image. 0, or what --make ended with."""
    from workbench.buildroot import build as buildroot

    if not board:
        given = {**places, "external": external, "primary_site": site, "make": target}
        _refuse(given, "for a board's image only; --board core2 names one")
        from workbench.image import own

        print(own.build(wanted, line).initrd)
        return 0
    _refuse(
        wanted.given(), "for the quick image only; a board's image takes it from its packages or its overlay"
    )
    options = buildroot.Options(
        **{name: Path(value) if value else None for name, value in places.items()},
        primary_site=site or None,
        external=tuple(map(Path, external)),
    )
    if target:
        return buildroot.make(board, line, target, options)
    built = buildroot.build(board, line, options)
    for name in (*buildroot.IMAGES, "sbom.cdx.json"):
        path = built.kernel.parent / name
        print(f"{path.stat().st_size / 1e6:7.2f} MB  {path}")
    return 0


def _refuse(given: Mapping[str, object], why: str) -> None:
    wrong = [f"--{name.replace('_', '-')}" for name, value in given.items() if value]
    if wrong:
        raise KoboshiError(f"{', '.join(wrong)}: {why}")


def named(name: str) -> Image | None:
    """The image of that name; None (the quick image) for none."""
    if name in ("", QUICK):
        return None
    from workbench.buildroot import build as buildroot

    return buildroot.find(name)


def chosen(name: str, wanted: Wanted) -> Image:
    """The image of that name, or the quick image with what the user adds to it."""
    if built := named(name):
        _refuse(wanted.given(), f"for the quick image only, not for --image {name}, which is built")
        return built
    from workbench.image import own  # the builders are not needed for an image that is there

    return own.build(wanted)
