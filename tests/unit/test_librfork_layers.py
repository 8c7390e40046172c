# SPDX-License-Identifier: MIT
"""The files of librfork call each other one way."""

from __future__ import annotations

import graphlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

LIBRFORK = Path(__file__).parents[2] / "librfork"


def symbols(built: Path) -> list[tuple[str, str, str]]:
    """File, kind and name of each symbol in the objects."""
    found = []
    for line in subprocess.check_output(["nm", "-A", *sorted(built.glob("*.o"))], text=True).splitlines():
        place, _, rest = line.partition(".o:")
        *_, kind, name = rest.split()
        found.append((Path(place).name, kind, name))
    return found


@pytest.mark.skipif(not (shutil.which("make") and shutil.which("nm")), reason="no compiler")
def test_no_circle(tmp_path: Path) -> None:
    """A file that another one calls never calls that one, nor through a third."""
    objects = [f"{tmp_path}/obj/{source.stem}.o" for source in sorted((LIBRFORK / "src").glob("*.c"))]
    make = ["make", "-s", f"-j{os.cpu_count()}", "-C", str(LIBRFORK), f"BUILD={tmp_path}", *objects]
    subprocess.run(make, check=True)
    table = symbols(tmp_path / "obj")
    home = {name: file for file, kind, name in table if kind in "TDBR"}
    uses: dict[str, set[str]] = {file: set() for file, _, _ in table}
    for file, kind, name in table:
        if kind == "U" and name in home:
            uses[file].add(home[name])
    assert len(uses) == len(objects)
    assert "spare" in uses["image"]
    assert list(graphlib.TopologicalSorter(uses).static_order())
