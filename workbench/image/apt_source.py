# SPDX-License-Identifier: MIT
"""A Debian source package's upstream tarball, from the archive that this machine's packages come from.

Most machines are configured for binary packages only: apt gets a list that asks the same archive for sources.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from koboshi_desk.core.errors import KoboshiError
from workbench.core import apt, cache, progress
from workbench.core.command import CommandError, output
from workbench.image.apt import FRESH_S

STATE = "source-state"
TARGETS = "$(ORIGIN) $(REPO_URI) $(RELEASE) $(COMPONENT)"
_URI = re.compile(r"^'[^']+' (\S+\.orig\.tar\.\w+) \d+ (\S+)$")


@dataclass(frozen=True)
class Tarball:
    """Of the newest version that the archive has, and the sum in its index."""

    file: str
    checksum: str


def resolve(name: str) -> Tarball:
    """Asked once a day; the last answer serves where that fails."""
    if shutil.which("apt-get") is None:
        raise apt.NoAptError
    answer = apt.folder() / f"source-{name}.json"
    if answer.exists() and time.time() - answer.stat().st_mtime < FRESH_S:
        return Tarball(**json.loads(answer.read_text()))
    try:
        with cache.lock("apt"):
            tarball = _ask(name)
    except CommandError as error:
        if not answer.exists():
            raise
        progress.note(f"no answer about sources, so the last one is taken: {error.output.strip()}")
        return Tarball(**json.loads(answer.read_text()))
    answer.write_text(json.dumps(asdict(tarball)))
    return tarball


def download(name: str, tarball: Tarball, folder: Path) -> Path:
    """The file in `folder`, fetched and checked by apt."""
    progress.note(f"fetching the source of {name}")
    with cache.lock("apt"):
        output(_command("source", "--download-only", "--tar-only", name), cwd=folder)
    return folder / tarball.file


def parse_uris(name: str, text: str) -> Tarball:
    """What `apt-get --print-uris source` says."""
    for line in text.splitlines():
        if found := _URI.match(line):
            return Tarball(found[1], found[2])
    raise KoboshiError(f"{name}: the archive has no source package of that name with an upstream tarball")


def sources_list(targets: str) -> str:
    """The archive's suites as sources, from what `apt-get indextargets` says in TARGETS' form."""
    signed = f" [signed-by={apt.KEYS}]" if apt.KEYS.exists() else ""
    suites = sorted({tuple(line.split()[1:]) for line in targets.splitlines() if line.startswith("Debian ")})
    return "".join(f"deb-src{signed} {' '.join(suite)}\n" for suite in suites)


def _ask(name: str) -> Tarball:
    progress.note(f"asking the package archive for the source of {name}")
    (apt.folder() / STATE / "lists/partial").mkdir(parents=True, exist_ok=True)
    targets = output(apt.command("indextargets", "--format", TARGETS, "Created-By: Packages"))
    (apt.folder() / "sources.list").write_text(sources_list(targets))
    output(_command("update"))
    return parse_uris(name, output(_command("source", "--print-uris", "--tar-only", name)))


def _command(*arguments: str) -> list[str]:
    sources = [
        "-o",
        f"Dir::Etc::sourcelist={apt.folder()}/sources.list",
        "-o",
        "Dir::Etc::sourceparts=/dev/null",
    ]
    return apt.command(*sources, *arguments, state=STATE)
