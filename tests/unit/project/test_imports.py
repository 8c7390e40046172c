# SPDX-License-Identifier: MIT
"""Which part may import which."""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest

from workbench.core.repository import files

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = {"koboshi": ROOT / "supervisor", "koboshi_desk": ROOT, "workbench": ROOT}
DEVICE = sorted((ROOT / "supervisor" / "koboshi").rglob("*.py"))
ROOMS = ("core", "console", "device", "manifest", "report", "watch", "fleet")
# What devices and hosts share.
SHARED = {"koboshi.manifest", "koboshi.wire"}
DESK = {f"koboshi_desk.{room}" for room in ROOMS}
DEVICES = {"koboshi_desk.core", "koboshi_desk.console", "koboshi_desk.device"}
BUILDERS = {"workbench.core", "workbench.kernel", "workbench.image", "workbench.buildroot"}
# What the modules of a folder may import besides each other. The host's code is in two packages:
# `koboshi_desk` needs no checkout, `workbench` does. A folder uses only folders that stand above it here.
USES: dict[str, set[str]] = {
    "koboshi.manifest": set(),
    "koboshi.wire": set(),
    "koboshi.system": SHARED,
    "koboshi.state": SHARED,
    "koboshi.rehearsal": {*SHARED, "koboshi.system"},
    "koboshi.publish": {"koboshi.wire"},
    "koboshi": {*SHARED, "koboshi.state", "koboshi.system", "koboshi.rehearsal"},
    "koboshi_desk.core": set(),
    "koboshi_desk.console": {"koboshi.wire", "koboshi_desk.core"},
    "koboshi_desk.device": {"koboshi_desk.core", "koboshi_desk.console"},
    "koboshi_desk.manifest": {"koboshi.manifest", "koboshi_desk.core"},
    "koboshi_desk.report": DEVICES,
    "koboshi_desk.watch": DEVICES,
    "koboshi_desk.fleet": DEVICES | {"koboshi_desk.watch"},
    "koboshi_desk": DESK | {"koboshi.wire"},
    "workbench": set(),
    "workbench.core": {"koboshi_desk.core"},
    "workbench.kernel": {"koboshi_desk.core", "workbench.core"},
    "workbench.image": {"koboshi_desk.core", "koboshi_desk.manifest", "workbench.core", "workbench.kernel"},
    "workbench.buildroot": {"koboshi_desk.core", "workbench.core", "workbench.kernel", "workbench.image"},
    "workbench.guest": DEVICES | {"workbench.core", "workbench.image"},
    "workbench.demo": DEVICES | {"workbench.core", "workbench.image", "workbench.guest"},
    "workbench.bench": DEVICES | BUILDERS | {"workbench.guest"},
    "workbench.trial": DEVICES | BUILDERS | {"workbench.guest", "koboshi.wire"},
    "workbench.project": DESK | BUILDERS | {"koboshi.manifest"},
}
MOST = 20  # modules in a folder
# Exceptions, to be removed: circles of modules, and folders with more modules.
CIRCLES: list[set[str]] = []
LARGE: set[str] = set()
# What makes system calls; koboshictl and its rehearsal are programs, __main__ reads the environment.
SYSTEM = {"os", "signal", "socket", "select", "selectors", "subprocess", "time", "fcntl", "ctypes"}
OWNERS = {
    "manifest/files.py": {"os"},
    "system/calls.py": {"os", "signal", "socket", "time"},
    "system/client.py": {"os", "socket"},
    "system/kernel_log.py": {"os"},
    "system/loop.py": {"os", "select", "signal", "socket"},
    "system/machine.py": {"os", "fcntl", "signal", "time"},
    "system/opening.py": {"os", "fcntl"},
    "system/places.py": {"os"},
    "system/utf8.py": {"os"},
    "ctl.py": {"os"},
    "publish/mqtt.py": {"os", "socket"},
    "publish/daemon.py": {"os", "select", "socket", "time"},
    "rehearsal/run.py": {"fcntl", "os", "signal", "time"},
    "rehearsal/inject.py": {"os", "signal"},
    "__main__.py": {"os", "time"},
    "state/told.py": {"signal"},
    "state/transitions.py": {"signal"},
}
# Each of these costs a device megabytes or milliseconds.
HEAVY = {
    "asyncio",
    "dataclasses",
    "typing",
    "subprocess",
    "logging",
    "argparse",
    "inspect",
    "pathlib",
    "ctypes",
}


def imports(path: Path) -> set[str]:
    """Every module that a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def tops(path: Path) -> set[str]:
    """The first words of what a file imports."""
    return {name.split(".")[0] for name in imports(path)}


@cache
def modules() -> dict[str, Path]:
    """Every module of the three packages, by its dotted name."""
    found = [(base, path) for name, base in PACKAGES.items() for path in (base / name).rglob("*.py")]
    return {
        ".".join(path.relative_to(base).with_suffix("").parts).removesuffix(".__init__"): path
        for base, path in found
    }


@cache
def graph() -> dict[str, set[str]]:
    """What each module imports of the three packages, and of what stands above them."""
    known = modules()
    return {
        name: {resolved(wanted, known) for wanted in imports(path)} - {"", name}
        for name, path in known.items()
    }


def resolved(wanted: str, known: Mapping[str, Path]) -> str:
    """The module or package that an import names; "" for a name in a module, or a module that is not ours."""
    if wanted.split(".")[0] in ("tasks", "tests"):
        return wanted.split(".")[0]
    return wanted if wanted in known else ""


def folder(name: str, known: Mapping[str, Path]) -> str:
    """The package that a module is in."""
    return name if name in known and known[name].name == "__init__.py" else name.rpartition(".")[0] or name


def circles(edges: Mapping[str, set[str]]) -> list[set[str]]:
    """Nodes that reach each other, as groups of more than one."""
    reach = {node: reachable(node, edges) for node in edges}
    groups = {frozenset(other for other in reach[node] if node in reach.get(other, ())) for node in edges}
    return [set(group) for group in groups if len(group) > 1]


def reachable(start: str, edges: Mapping[str, set[str]]) -> set[str]:
    """All nodes to which a path leads."""
    found: set[str] = set()
    ahead = [start]
    while ahead:
        new = edges.get(ahead.pop(), set()) - found
        found |= new
        ahead += new
    return found


@pytest.mark.parametrize("name", sorted({folder(name, modules()) for name in modules()}))
def test_a_folder_uses_what_the_table_says(name: str) -> None:
    """No module imports from a folder that the table does not give to its own."""
    known, found = modules(), graph()
    assert name in USES, "a new folder: say in the table what it may use"
    inside = [module for module in known if folder(module, known) == name]
    wrong = {
        (module, used)
        for module in inside
        for used in found[module]
        if folder(used, known) not in {name, *USES[name]}
    }
    assert wrong == set()


def test_folders_use_each_other_one_way() -> None:
    """The table itself has no circle."""
    assert circles(USES) == []


def test_modules_import_one_way() -> None:
    """No modules import each other in a circle, wherever in them."""
    assert [circle for circle in circles(graph()) if circle not in CIRCLES] == []


def test_folders_stay_small() -> None:
    """No folder of Python has more modules than somebody can look through."""
    count = Counter(
        str(path.parent.relative_to(ROOT))
        for path in files()
        if path.suffix == ".py" and path.name != "__init__.py"
    )
    assert {name: number for name, number in count.items() if number > MOST and name not in LARGE} == {}


@pytest.mark.parametrize("name", sorted(name for name in USES if "." in name))
def test_a_folder_says_what_it_is_for(name: str) -> None:
    """A room's __init__.py is one sentence, and no module repeats the room's name."""
    room = PACKAGES[name.split(".")[0]] / name.replace(".", "/")
    tree = ast.parse((room / "__init__.py").read_text())
    assert len(tree.body) == 1
    assert len((ast.get_docstring(tree) or "").splitlines()) == 1
    assert [path.name for path in room.glob("*.py") if path.stem.startswith(room.name)] == []


@pytest.mark.parametrize("path", DEVICE, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_device_needs_only_the_standard_library(path: Path) -> None:
    """The supervisor imports itself and the standard library, and nothing of that which is heavy."""
    assert tops(path) <= {"koboshi", *sys.stdlib_module_names}
    assert not tops(path) & HEAVY


@pytest.mark.parametrize("path", DEVICE, ids=lambda path: str(path.relative_to(ROOT)))
def test_one_module_makes_system_calls(path: Path) -> None:
    """Only koboshi.system.calls, and what is a program of its own, imports what makes system calls."""
    assert tops(path) & SYSTEM <= OWNERS.get(str(path.relative_to(PACKAGES["koboshi"] / "koboshi")), set())


def test_what_both_sides_share_is_pure() -> None:
    """What the host imports of the device's package makes no system calls of its own."""
    pure = [path for path in DEVICE if path.parent.name in ("manifest", "wire") and path.name != "files.py"]
    assert len(pure) >= 10
    assert [path for path in pure if tops(path) & SYSTEM] == []
