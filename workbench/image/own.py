# SPDX-License-Identifier: MIT
"""The quick image with a user's own manifest, files, Python modules and Debian packages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from koboshi_desk.manifest import check as manifests
from workbench.image import additions, base, packages
from workbench.image import quick as quickimage
from workbench.image.bootable import Image
from workbench.kernel import lines

LOADER = "ld-linux-x86-64.so.2"


@dataclass(frozen=True)
class Wanted:
    """The options as the user wrote them: `--manifest`, and lists of `--add`, `--python` and `--package`."""

    manifest: str = ""
    add: Sequence[str] | None = None
    python: Sequence[str] | None = None
    package: Sequence[str] | None = None

    def given(self) -> dict[str, object]:
        """The options by name."""
        return {
            "manifest": self.manifest,
            "add": self.add,
            "python": self.python,
            "package": self.package,
        }


def build(wanted: Wanted, line: str = lines.DEFAULT_LINE) -> Image:
    """Build the image; AdditionError before anything is built if something cannot be added."""
    files = additions.collect(wanted.add or (), wanted.python or ())
    manifest = Path(wanted.manifest) if wanted.manifest else None
    if manifest:
        manifests.refuse_wrong(manifest)
    _refuse_unlinked(files, wanted.package or ())
    return quickimage.build(manifest, files, packages=wanted.package or (), line=line)


def _refuse_unlinked(files: Mapping[str, Path], names: Sequence[str]) -> None:
    """A program whose shared libraries the image lacks would not start."""
    programs = {path: file for path, file in files.items() if file.read_bytes()[:4] == b"\x7fELF"}
    if not programs:
        return
    first = base.build()
    there = {path.name for path in (*(first.tree / base.LIBRARIES).iterdir(), *map(Path, files))}
    there |= packages.build(names, first).libraries if names else set()
    for path, file in programs.items():
        missing = [name for name in base.needed(file) if name not in there and name != LOADER]
        if missing:
            problem = f"needs {', '.join(missing)}, which the image lacks: --package NAME adds its package"
            raise additions.AdditionError("add", f"{path}={file}", problem)
