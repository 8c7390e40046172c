# SPDX-License-Identifier: MIT
"""What unit tests build from the C sources: once in a test run, whatever the number of workers."""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def make(folder: str, *words: str | Path) -> None:
    """Run make in one of the repo's folders; its output is the error's."""
    command = ["make", "-s", "-C", str(ROOT / folder), *map(str, words)]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert result.returncode == 0, f"{' '.join(command)}\n{result.stdout}"


def once(factory: pytest.TempPathFactory, name: str, build: Callable[[Path], None]) -> Path:
    """A folder of the test run, filled by whichever worker comes first; the others wait for it."""
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    folder = base / f"built-{name}"
    with (base / f"built-{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            folder.mkdir(exist_ok=True)
            build(folder)
            (folder / "complete").touch()
    return folder


def librfork(factory: pytest.TempPathFactory) -> Path:
    """librfork.a (position independent), librfork-static.a and rfork-run."""

    def build(folder: Path) -> None:
        targets = [folder / name for name in ("librfork.a", "librfork-static.a", "rfork-run")]
        make("librfork", f"BUILD={folder}", *targets)

    return once(factory, "librfork", build)


def python_module(factory: pytest.TempPathFactory) -> Path:
    """rfork.abi3.so, to be put on PYTHONPATH."""
    library = librfork(factory) / "librfork.a"
    return once(factory, "python", lambda to: make("librfork/python", f"BUILD={to}", f"LIBRFORK={library}"))


def components(factory: pytest.TempPathFactory) -> Path:
    """koboshi-gps and koboshi-fault."""
    library = librfork(factory) / "librfork-static.a"
    return once(factory, "components", lambda to: make("components", f"BUILD={to}", f"LIBRFORK={library}"))
