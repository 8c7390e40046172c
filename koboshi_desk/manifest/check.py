# SPDX-License-Identifier: MIT
"""Checks a component manifest on the host, with the code that the device checks it with."""

from __future__ import annotations

import sys
from pathlib import Path

from koboshi.manifest import files
from koboshi.manifest import model as manifest

from koboshi_desk.core import outfile
from koboshi_desk.core.errors import KoboshiError
from koboshi_desk.manifest import explain as manifest_explain
from koboshi_desk.manifest import graph as manifest_graph


class WrongManifestError(KoboshiError):
    """A manifest that the device would refuse; `errors` are its mistakes."""

    def __init__(self, refused: manifest.ManifestRefusedError) -> None:
        self.errors = refused.errors
        super().__init__(f"not a manifest that the device would take:\n{refused}")


def refuse_wrong(path: Path) -> None:
    """WrongManifestError unless the file is there and right."""
    load(path)


def load(path: Path) -> manifest.Manifest:
    """The manifest; WrongManifestError if the device would refuse it."""
    try:
        return files.load(str(path))
    except manifest.ManifestRefusedError as refused:
        raise WrongManifestError(refused) from None


def explain(path: Path, name: str = "") -> int:
    """Print what will happen, of one component or of all."""
    found = load(path)
    if name and name not in found.components:
        raise KoboshiError(f"{path}: no component {name}; there are {', '.join(found.components)}")
    print(manifest_explain.text(found, name), end="")
    return 0


def schema() -> int:
    """Print the JSON Schema, for editors."""
    print(Path(manifest.__file__).with_name("schema.json").read_text(encoding="utf-8"), end="")
    return 0


def graph(path: Path, to: Path | None) -> int:
    """Write the picture to a file, or to standard output."""
    picture = manifest_graph.svg(load(path))
    if to is None:
        print(picture, end="")
    else:
        outfile.write(to, picture, "--svg")
    return 0


def check(path: Path) -> int:
    """Tell each mistake as FILE:LINE: KEY: what is wrong; what would be right. 0: none, 1: some."""
    try:
        found = files.load(str(path))
    except manifest.ManifestRefusedError as refused:
        print(refused, file=sys.stderr)
        return 1
    names = ", ".join(found.components) or "none"
    print(f"{path}: right; components in starting order: {names}")
    return 0
