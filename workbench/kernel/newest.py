# SPDX-License-Identifier: MIT
"""Tries a line's series on the newest kernel source that Debian has, and reports each hunk that moved."""

from __future__ import annotations

import re
import subprocess
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from workbench.core import cache, progress
from workbench.core.command import environment
from workbench.kernel import archive, lines, patches, source
from workbench.kernel.archive import Package
from workbench.kernel.lines import KernelLine

FUZZ = "1"  # lines of context that may differ: our hunks have two, and without any they fit everywhere
_FILE = re.compile(r"(?:checking|patching) file (\S+)")
_HUNK = re.compile(
    r"Hunk #(\d+) (?:(FAILED)|succeeded) at (\d+)(?: with fuzz (\d))?(?: \(offset (-?\d+) lines?\))?"
)
_LOST = re.compile(r"can't find file to patch|No file to patch")


@dataclass(frozen=True)
class Moved:
    """A hunk that is not where its patch says."""

    patch: str
    file: str
    hunk: int
    at: int
    failed: bool = False
    fuzz: int = 0

    @property
    def applies(self) -> bool:
        """Whether ./dev kernel would accept the hunk: it may be at another line, but not fuzzy."""
        return not self.failed and not self.fuzz

    def __str__(self) -> str:
        how = "fails" if self.failed else f"with fuzz {self.fuzz}"
        return f"{self.patch}: {self.file}: hunk {self.hunk} {how}, line {self.at}"


def run(line_name: str) -> int:
    """Print what moved; return 1 if a hunk fails or needs fuzz."""
    line = lines.find(line_name)
    package = archive.newest()
    tarball = _tarball(package)
    series = patches.series(line.patches)
    with tempfile.TemporaryDirectory(prefix="koboshi-newest-") as name:
        stage = Path(name)
        extract(tarball, set().union(*map(patches.targets, series)), stage)
        moved = [item for patch in series for item in try_one(patch, stage)]
    print(report(line, package, series, moved))
    print(f"build it: ./dev kernel --line {line.name} --linux-source {tarball}")
    return 0 if all(item.applies for item in moved) else 1


def report(line: KernelLine, package: Package, series: Sequence[Path], moved: Sequence[Moved]) -> str:
    """A line for each hunk that needs work, and a summary."""
    bad = [item for item in moved if not item.applies]
    failed, fuzzy = (sum(item.failed == wanted for item in bad) for wanted in (True, False))
    broken = len({item.patch for item in bad})
    summary = (
        f"{line.name} on {package}: {len(series) - broken} of {len(series)} patches apply; "
        f"hunks: {failed} fail, {fuzzy} with fuzz, {len(moved) - len(bad)} at other lines"
    )
    return "\n".join([*map(str, bad), summary])


def try_one(patch: Path, stage: Path) -> list[Moved]:
    """Apply what can be applied of a patch, with fuzz too, so that the next patches find it."""
    command = ["patch", "-p1", f"-F{FUZZ}", "--batch", "--forward", "--no-backup-if-mismatch"]
    done = subprocess.run(
        [*command, "--reject-file=-"],
        cwd=stage,
        input=patch.read_bytes(),
        capture_output=True,
        env=environment(),
    )
    return parse(patch.name, (done.stdout + done.stderr).decode(errors="replace"))


def parse(patch: str, text: str) -> list[Moved]:
    """What patch(1) said of hunks that are not where the patch says; of a missing file, as one failure."""
    file, found = "", list[Moved]()
    for line in text.splitlines():
        if match := _FILE.match(line):
            file = match[1]
        elif match := _HUNK.match(line):
            number, failed, at, fuzz = int(match[1]), bool(match[2]), int(match[3]), int(match[4] or 0)
            found.append(Moved(patch, file, number, at, failed, fuzz))
        elif _LOST.match(line):
            found.append(Moved(patch, "a file that is gone", 1, 0, failed=True))
    return found


def extract(tarball: Path, wanted: set[str], folder: Path) -> None:
    """The wanted files of those that the tarball has, without its top folder."""
    progress.note(f"reading {tarball}")
    with tarfile.open(tarball, "r|*") as members:
        for member in members:
            name = member.name.removeprefix("./").partition("/")[2]
            if name in wanted and (content := members.extractfile(member)) is not None:
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content.read())


def _tarball(package: Package) -> Path:
    for line in lines.LINES.values():
        if line.archived and line.archived.package == package:
            return source.find(line, None).path

    def fetch(folder: Path) -> None:
        archive.fetch(package, folder / "source.tar.xz")

    return cache.entry("download", cache.key([package.name, package.version]), fetch) / "source.tar.xz"
