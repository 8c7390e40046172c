# SPDX-License-Identifier: MIT
"""Checks a component manifest on the host, with the code that the device checks it with."""

from __future__ import annotations

import sys
from pathlib import Path

from koboshi import manifest

from workbench.errors import WorkbenchError


class WrongManifestError(WorkbenchError):
    """A manifest that the device would refuse; `errors` are its mistakes."""

    def __init__(self, refused: manifest.ManifestRefusedError) -> None:
        self.errors = refused.errors
        super().__init__(f"not a manifest that the device would take:\n{refused}")


def refuse_wrong(path: Path) -> None:
    """WrongManifestError unless the file is there and right."""
    try:
        manifest.load(str(path))
    except manifest.ManifestRefusedError as refused:
        raise WrongManifestError(refused) from None


def check(path: Path) -> int:
    """Tell each mistake as FILE:LINE: KEY: what is wrong; what would be right. 0: none, 1: some."""
    try:
        found = manifest.load(str(path))
    except manifest.ManifestRefusedError as refused:
        print(refused, file=sys.stderr)
        return 1
    names = ", ".join(found.components) or "none"
    print(f"{path}: right; components in starting order: {names}")
    return 0
