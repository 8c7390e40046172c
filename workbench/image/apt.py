# SPDX-License-Identifier: MIT
"""Debian packages by name, with dependencies, as this machine's apt is configured; nothing is installed."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from workbench.core import cache, progress
from workbench.core.apt import ARCHITECTURE, NoAptError, command, folder
from workbench.core.command import CommandError, output

FRESH_S = 86400  # how long the archive's answer is taken as the present one
Installed = Sequence[tuple[str, str]]  # names and versions of packages that an image has already
_STANZA = """\
Package: {0}
Status: install ok installed
Version: {1}
Architecture: {2}
Multi-Arch: allowed
Maintainer: nobody
Description: in the image
"""
_URI = re.compile(r"^'[^']+' (\S+)_([^_]+)_[^_]+\.deb \d+ ?(\S*)$")


@dataclass(frozen=True, order=True)
class Package:
    """A package as the archive has it: file name in apt's cache, and the sum in the archive's index."""

    name: str
    version: str
    file: str
    checksum: str


def resolve(names: Sequence[str], installed: Installed = ()) -> list[Package]:
    """The packages and all they depend on, without those that count as installed.

    Asked once a day; the last answer serves where that fails.
    """
    if shutil.which("apt-get") is None:
        raise NoAptError
    answer = folder() / f"resolved-{cache.key([*names, *map(' '.join, installed)])}.json"
    if answer.exists() and time.time() - answer.stat().st_mtime < FRESH_S:
        return _load(answer)
    try:
        with cache.lock("apt"):
            packages = _ask(names, installed)
    except CommandError as error:
        if not answer.exists():
            raise
        progress.note(
            f"the package archive cannot be asked, so its last answer is taken: {error.output.strip()}"
        )
        return _load(answer)
    answer.write_text(json.dumps([asdict(package) for package in packages]))
    return packages


def download(names: Sequence[str], packages: Sequence[Package], installed: Installed = ()) -> list[Path]:
    """The packages' files, in apt's order of names; fetched and checked by apt."""
    archives = folder() / "cache/archives"
    files = [archives / package.file for package in packages]
    if not all(file.exists() for file in files):
        progress.note(f"fetching {len(files)} packages")
        with cache.lock("apt"):
            output(command("install", *_counting(installed), "--download-only", *names))
    return files


def _load(answer: Path) -> list[Package]:
    return [Package(**item) for item in json.loads(answer.read_text())]


def _ask(names: Sequence[str], installed: Installed) -> list[Package]:
    progress.note("asking the package archive")
    output(command("update"))
    with tempfile.TemporaryDirectory() as empty:  # apt does not print what it has in its cache
        (Path(empty) / "partial").mkdir()
        nothing = ["-o", f"Dir::Cache::archives={empty}"]
        return parse_uris(output(command("install", *_counting(installed), "--print-uris", *nothing, *names)))


def _counting(installed: Installed) -> list[str]:
    """Options that make apt take these packages for installed, with everything that they need."""
    if not installed:
        return []
    status = folder() / f"status-{cache.key(map(' '.join, installed))}"
    status.write_text("\n".join(_STANZA.format(name, version, ARCHITECTURE) for name, version in installed))
    return ["-o", f"Dir::State::status={status}"]


def parse_uris(text: str) -> list[Package]:
    """What `apt-get --print-uris install` says, sorted by name; %3a in a file name is an epoch's colon."""
    packages = []
    for line in text.splitlines():
        if found := _URI.match(line):
            file = line.split("' ", 1)[1].split(" ", 1)[0]
            packages.append(Package(found[1], found[2].replace("%3a", ":"), file, found[3]))
    return sorted(packages)
