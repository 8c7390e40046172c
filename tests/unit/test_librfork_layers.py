# SPDX-License-Identifier: MIT
"""The files of librfork call each other one way, and its folders use only each other's interfaces."""

from __future__ import annotations

import graphlib
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

LIBRFORK = Path(__file__).parents[2] / "librfork"
FOLDERS = ("monitor", "posix", "run", "src")
# For each folder, the headers of other folders that it may include.
HEADERS = {
    "monitor": {"src/internal.h", "src/wire.h"},
    "posix": {"monitor/user.h", "src/internal.h"},
    "run": {"src/internal.h", "src/wire.h"},
    "src": {"monitor/user.h", "posix/posix.h"},
}
# The interface through which one folder calls another. posix/ can take the place of monitor/.
INTERFACES = {("src", "monitor"): "monitor/user.h", ("src", "posix"): "posix/posix.h"}
FORBIDDEN = {("run", "monitor"), ("run", "posix"), ("monitor", "posix"), ("posix", "monitor")}

File = tuple[str, str]  # folder and name


def symbols(built: Path) -> list[tuple[File, str, str]]:
    """Return file, kind and name of each symbol in the objects."""
    found = []
    for line in subprocess.check_output(["nm", "-A", *sorted(built.glob("*/*.o"))], text=True).splitlines():
        place, _, rest = line.partition(".o:")
        *_, kind, name = rest.split()
        found.append(((Path(place).parent.name, Path(place).name), kind, name))
    return found


def sources() -> list[str]:
    """Return the path, without its suffix, of every C file of the library and the runner."""
    files = [file for folder in FOLDERS for file in sorted((LIBRFORK / folder).glob("*.c"))]
    return [f"{file.parent.name}/{file.stem}" for file in files if file.stem != "alone"]


@pytest.mark.skipif(not (shutil.which("make") and shutil.which("nm")), reason="no compiler")
def test_no_circle(tmp_path: Path) -> None:
    """A file that another file calls never calls that file, directly or through a third."""
    objects = [f"{tmp_path}/static/{source}.o" for source in sources()]
    make = ["make", "-s", f"-j{os.cpu_count()}", "-C", str(LIBRFORK), f"BUILD={tmp_path}", *objects]
    subprocess.run(make, check=True)
    table = symbols(tmp_path / "static")
    home = {name: file for file, kind, name in table if kind in "TDBR" and name != "main"}
    uses: dict[File, set[File]] = {file: set() for file, _, _ in table}
    for file, kind, name in table:
        if kind != "U" or name not in home:
            continue
        uses[file].add(home[name])
        folders = (file[0], home[name][0])
        assert folders[1] != "run" or folders[0] == "run", f"{file} calls {name}"
        if folders in INTERFACES:
            interface = (LIBRFORK / INTERFACES[folders]).read_text()
            assert re.search(rf"\b{name}\(", interface), f"{file} calls {name}, not in {INTERFACES[folders]}"
        assert folders not in FORBIDDEN, f"{file} calls {name}"
    assert len(uses) == len(objects)
    assert ("monitor", "spare") in uses["monitor", "image"]
    assert ("monitor", "owner") in uses["src", "api"]
    assert ("posix", "owner") in uses["src", "api"]
    assert list(graphlib.TopologicalSorter(uses).static_order())


@pytest.mark.parametrize("folder", FOLDERS)
def test_headers_of_other_folders(folder: str) -> None:
    """A folder includes only the interfaces of other folders."""
    included = {
        (file.parent / name).resolve().relative_to(LIBRFORK).as_posix()
        for file in sorted((LIBRFORK / folder).glob("*.[ch]"))
        for name in re.findall(r'#include "(\.\./[^"]+)"', file.read_text())
    }
    assert included <= HEADERS[folder]
