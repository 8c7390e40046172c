# SPDX-License-Identifier: MIT
"""The repository's own files, and whether each says its licence."""

from __future__ import annotations

import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

SPDX = "SPDX-License-Identifier:"
HEAD = 8  # a Buildroot recipe begins with a title of six lines
SUFFIXES = {".py", ".pyi", ".c", ".h", ".S", ".sh", ".toml", ".config", ".mk", ".map", ".in"}
NAMES = {"Makefile", "dev", "run", "inittab", "requirements.txt", "packages.txt"}
# Texts of licences, recorded data, and patches, whose files say it themselves.
EXEMPT = ("LICENSES/", "tests/data/")


def files(repository: Path = REPOSITORY) -> list[Path]:
    """Return the files that git tracks or would track, sorted; outside a git repository, all files."""
    command = ["git", "-C", str(repository), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(command, capture_output=True)
    except FileNotFoundError:
        return _all_files(repository)
    if done.returncode:
        return _all_files(repository)
    names = sorted({name for name in done.stdout.decode().split("\0") if name})
    return [repository / name for name in names if (repository / name).is_file()]


def _all_files(repository: Path) -> list[Path]:
    return sorted(path for path in repository.rglob("*") if path.is_file() and ".git" not in path.parts)


def shell_scripts(paths: list[Path]) -> list[Path]:
    """Those that a POSIX shell runs."""
    return [path for path in paths if _first_line(path) in (b"#!/bin/sh", b"#!/bin/sh -e")]


def without_licence(paths: list[Path], repository: Path = REPOSITORY) -> list[str]:
    """Source files without an SPDX line at their top: their names."""
    names = []
    for path in paths:
        name = str(path.relative_to(repository))
        if not name.startswith(EXEMPT) and _is_source(path) and not _says_licence(path):
            names.append(name)
    return names


def _is_source(path: Path) -> bool:
    return path.suffix in SUFFIXES or path.name in NAMES or _first_line(path).startswith(b"#!")


def _first_line(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.readline().rstrip()


def _says_licence(path: Path) -> bool:
    with path.open(errors="replace") as file:
        return any(SPDX in line for _, line in zip(range(HEAD), file, strict=False))
