# SPDX-License-Identifier: MIT
"""A patch series on a source tree, so that a changed patch touches only the files it changes.

The tree stays where it is, for the object tree beside it knows its files by name and time. A series is tried
on pristine copies of the files it touches; only where all of it applies are the files that differ written.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from koboshi_desk.core.errors import KoboshiError
from workbench.core import progress
from workbench.core.command import CommandError, environment

_TARGET = re.compile(r"^(?:---|\+\+\+) (?!/dev/null)[^/\s]+/(\S+)", re.MULTILINE)


class PatchError(KoboshiError):
    """A patch does not apply, or only with fuzz; `output` is what patch(1) said."""

    def __init__(self, patch: Path, output: str) -> None:
        self.patch = patch
        self.output = output
        super().__init__(
            f"{patch}: does not apply as it is:\n{output.rstrip()}\n"
            "fuzz is refused: a hunk in the wrong place can compile; rebase the patch on this source"
        )


class SeriesError(KoboshiError):
    """The series names a patch that is not there."""

    def __init__(self, series: Path, line: int, name: str) -> None:
        self.series = series
        self.line = line
        super().__init__(f"{series}:{line}: {name}: no such patch in {series.parent}")


@dataclass(frozen=True)
class Tree:
    """A source tree, the pristine copies of files that patches have touched, and the list of these files."""

    source: Path
    pristine: Path
    state: Path


def series(folder: Path, leave_out: tuple[str, ...] = ()) -> list[Path]:
    """The patches that `series` in the folder names, in order; none where there is no such file.

    Without those whose name contains a word of `leave_out`.
    """
    listing = folder / "series"
    if not listing.exists():
        return []
    patches = []
    for number, line in enumerate(listing.read_text().splitlines(), 1):
        name = line.split("#", 1)[0].strip()
        if name and not (folder / name).is_file():
            raise SeriesError(listing, number, name)
        if name and not any(word in name for word in leave_out):
            patches.append(folder / name)
    return patches


def targets(patch: Path) -> set[str]:
    """The files that a patch touches, without the first part of their names (-p1)."""
    return set(_TARGET.findall(patch.read_text(errors="replace")))


def apply(patches: list[Path], tree: Tree) -> None:
    """Make the tree the pristine source with exactly these patches; PatchError leaves it as it was."""
    before = set(json.loads(tree.state.read_text())) if tree.state.exists() else set()
    wanted = set().union(*map(targets, patches))
    with tempfile.TemporaryDirectory(dir=tree.state.parent, prefix=".patching.") as name:
        stage = Path(name)
        for file in sorted(before | wanted):
            _save_pristine(tree, file, known=file in before)
            _copy(tree.pristine / file, stage / file)
        for patch in patches:
            apply_one(patch, stage)
        # Written before the tree changes: an interrupted run must not lose a file's name.
        tree.state.write_text(json.dumps(sorted(before | wanted)))
        for file in sorted(before | wanted):
            _write_back(stage / file, tree.source / file)


def copy_pristine(patches: list[Path], tree: Tree, folder: Path) -> None:
    """Copy the files that the patches touch into a folder, as they are without any patch."""
    patched = set(json.loads(tree.state.read_text())) if tree.state.exists() else set()
    for file in set().union(*map(targets, patches)):
        _copy((tree.pristine if file in patched else tree.source) / file, folder / file)


def apply_one(patch: Path, folder: Path) -> None:
    """`patch -p1` without fuzz; offsets are reported."""
    command = ["patch", "-p1", "-F0", "--batch", "--forward", "--no-backup-if-mismatch", "--reject-file=-"]
    done = subprocess.run(
        command, cwd=folder, input=patch.read_bytes(), capture_output=True, env=environment()
    )
    text = (done.stdout + done.stderr).decode(errors="replace")
    if done.returncode > 1:
        raise CommandError(f"{' '.join(command)} <{patch}", done.returncode, text)
    if done.returncode or " with fuzz " in text:
        raise PatchError(patch, text)
    for line in text.splitlines():
        if "(offset" in line:
            progress.note(f"{patch.name}: {line.strip()}")


def _save_pristine(tree: Tree, file: str, *, known: bool) -> None:
    """Keep the file as it was before any patch; a file that patches made has no pristine copy."""
    if not known:
        _copy(tree.source / file, tree.pristine / file)


def _copy(source: Path, target: Path) -> None:
    if source.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)


def _write_back(new: Path, target: Path) -> None:
    if not new.exists():
        target.unlink(missing_ok=True)
    elif not target.exists() or target.read_bytes() != new.read_bytes():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(new, target)  # its time is now: make sees that it has changed
        shutil.copymode(new, target)
