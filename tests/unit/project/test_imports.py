# SPDX-License-Identifier: MIT
"""Which part may import which."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
DEVICE = sorted((ROOT / "supervisor" / "koboshi").glob("*.py"))
HOST = [
    *sorted((ROOT / "koboshi_desk").rglob("*.py")),
    *sorted((ROOT / "workbench").rglob("*.py")),
    ROOT / "tasks.py",
]
# What makes system calls; koboshictl and its rehearsal are programs, __main__ reads the environment.
SYSTEM = {"os", "signal", "socket", "select", "selectors", "subprocess", "time", "fcntl", "ctypes"}
OWNERS = {
    "system.py": SYSTEM,
    "machine.py": {"os", "fcntl"},
    "files.py": {"os"},
    "ctl.py": {"os", "socket"},
    "mqtt.py": {"os", "socket"},
    "publish.py": {"os", "select", "socket", "time"},
    "rehearse.py": {"fcntl", "os", "signal", "time"},
    "inject.py": {"os", "signal"},
    "__main__.py": {"os"},
    "component.py": {"signal"},
    "known.py": {"signal"},
}
PURE = ("manifest", "records", "coalesce", "line")
# Reads a manifest's files, on both sides.
SHARED = (*PURE, "files", "capabilities")
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


@pytest.mark.parametrize("path", DEVICE, ids=lambda path: path.name)
def test_the_device_needs_only_the_standard_library(path: Path) -> None:
    """The supervisor imports itself and the standard library, and nothing of that which is heavy."""
    assert tops(path) <= {"koboshi", *sys.stdlib_module_names}
    assert not tops(path) & HEAVY


@pytest.mark.parametrize("path", DEVICE, ids=lambda path: path.name)
def test_one_module_makes_system_calls(path: Path) -> None:
    """Only koboshi.system, and what is a program of its own, imports what makes system calls."""
    assert tops(path) & SYSTEM <= OWNERS.get(path.name, set())


@pytest.mark.parametrize("path", [path for path in HOST if path.exists()], ids=lambda path: path.name)
def test_the_host_uses_the_pure_modules_only(path: Path) -> None:
    """The host's code may import what both sides share, and nothing else of the supervisor."""
    mine = {name for name in imports(path) if name.split(".")[0] == "koboshi" and name != "koboshi"}
    assert all(name.startswith(tuple(f"koboshi.{name}" for name in SHARED)) for name in mine)


def test_pure_modules_are_pure() -> None:
    """What the host imports makes no system calls of its own."""
    pure = {path.name: tops(path) for path in DEVICE if path.name.startswith((*PURE, "toml_lines"))}
    assert len(pure) >= 4
    assert all(not names & SYSTEM for names in pure.values())
