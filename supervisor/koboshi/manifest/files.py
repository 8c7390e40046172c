# SPDX-License-Identifier: MIT
"""A manifest's files: koboshi.toml, and those of components.d beside it. For the device and the host."""

from __future__ import annotations

import os
import sys

from koboshi.manifest.model import FOLDER, SUFFIX, Manifest, ManifestRefusedError, unreadable


def load(path: str) -> Manifest:
    """The manifest in a file and its components.d; ManifestRefusedError with every mistake in them."""
    folder = os.path.join(os.path.dirname(path), FOLDER)
    more = tuple((name, _read(name)) for name in listed(folder))
    # The supervisor lists the files and has them checked in a child: it never loads the rules.
    from koboshi.manifest.check import decode

    return decode(_read(path), path, more)


def listed(folder: str) -> list[str]:
    """The files of a components.d, in the order of their names; none, where there is none."""
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    return [os.path.join(folder, name) for name in sorted(names) if name.endswith(SUFFIX) and name[0] != "."]


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise unreadable(path, str(error.strerror)) from None


def check(path: str) -> list[str]:
    """Every mistake as `FILE:LINE: KEY: what is wrong; what would be right`; none: the manifest is right."""
    try:
        load(path)
    except ManifestRefusedError as refused:
        return [str(error) for error in refused.errors]
    return []


def main(argv: list[str]) -> int:
    """Checks the named files; status 0 if all are right, 1 if not, 100 for wrong use."""
    if not argv:
        print("usage: python3 -m koboshi.manifest.files FILE...", file=sys.stderr)
        return 100
    mistakes = [line for path in argv for line in check(path)]
    for line in mistakes:
        print(line, file=sys.stderr)
    return 1 if mistakes else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
