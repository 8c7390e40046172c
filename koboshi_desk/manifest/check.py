# SPDX-License-Identifier: MIT
"""Checks a component manifest on the host, with the same code as the device."""

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
    """The device would reject the manifest; `errors` lists the mistakes."""

    def __init__(self, refused: manifest.ManifestRefusedError) -> None:
        self.errors = refused.errors
        super().__init__(f"not a manifest that the device would take:\n{refused}")


def refuse_wrong(path: Path) -> None:
    """Raise WrongManifestError unless the file exists and is valid."""
    load(path)


def load(path: Path) -> manifest.Manifest:
    """Load the manifest; raise WrongManifestError if the device would reject it."""
    try:
        return files.load(str(path))
    except manifest.ManifestRefusedError as refused:
        raise WrongManifestError(refused) from None


def explain(path: Path, name: str = "") -> int:
    """Explain one component or all of them."""
    found = load(path)
    if name and name not in found.components:
        raise KoboshiError(f"{path}: no component {name}; there are {', '.join(found.components)}")
    print(manifest_explain.text(found, name), end="")
    return 0


def schema() -> int:
    """Print the JSON Schema for editors."""
    print(Path(manifest.__file__).with_name("schema.json").read_text(encoding="utf-8"), end="")
    return 0


def graph(path: Path, to: Path | None) -> int:
    """Write the graph to a file or to standard output."""
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
