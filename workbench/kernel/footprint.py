# SPDX-License-Identifier: MIT
"""How many lines of the kernel's existing C files and headers the series for rfork changes."""

from __future__ import annotations

import difflib
import tempfile
from dataclasses import dataclass
from pathlib import Path

from koboshi_desk.core.errors import KoboshiError
from workbench.core import cache
from workbench.kernel import lines, patches, source
from workbench.kernel.lines import KernelLine

LIMIT = 60  # for --check; a maintainer reads these first


@dataclass(frozen=True)
class Footprint:
    """Lines added and removed in files that the kernel has without the series."""

    files: int
    added: int
    removed: int


def run() -> int:
    """Print each line's footprint."""
    for line in lines.LINES.values():
        if source.local(line) is None:
            print(f"{line.name}: no source on this machine")
            continue
        found = measure(line)
        print(f"{line.name}: +{found.added} -{found.removed} in {found.files} existing C files and headers")
    return 0


def complaint(found: Footprint) -> str:
    """What is wrong with it, or nothing."""
    total = found.added + found.removed
    return f"{total} lines of existing C files and headers, the limit is {LIMIT}" if total > LIMIT else ""


def measure(line: KernelLine) -> Footprint:
    """Apply the series to copies of the files that it touches, and compare them."""
    stock = lines.find(line.name + lines.STOCK)
    others = patches.series(line.patches, stock.leave_out)
    ours = [patch for patch in patches.series(line.patches) if patch not in others]
    tree = source.unpack(source.find(line, None), line)
    with tempfile.TemporaryDirectory(prefix="koboshi-footprint-") as name:
        stage = Path(name)
        with cache.lock(f"linux-{tree.source.parent.name}"):
            patches.copy_pristine([*others, *ours], tree, stage)
        for patch in others:
            patches.apply_one(patch, stage)
        before = _texts(stage)
        for patch in ours:
            patches.apply_one(patch, stage)
        return compare(before, _texts(stage))


def compare(before: dict[str, str], after: dict[str, str]) -> Footprint:
    """Count what differs in the files that are in both."""
    files = added = removed = 0
    for name, text in before.items():
        if name not in after:
            raise KoboshiError(f"{name}: the series removes a file")
        changes = [
            entry[0]
            for entry in difflib.ndiff(text.splitlines(), after[name].splitlines())
            if entry[0] in "+-"
        ]
        files += bool(changes)
        added += changes.count("+")
        removed += changes.count("-")
    return Footprint(files, added, removed)


def _texts(folder: Path) -> dict[str, str]:
    """Tables, makefiles and documents do not count."""
    return {
        str(path.relative_to(folder)): path.read_text(errors="replace")
        for path in sorted(folder.rglob("*.[ch]"))
    }
