# SPDX-License-Identifier: MIT
"""What unit tests build from the C sources: once for all workers, and only what has changed."""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Callable
from pathlib import Path

from koboshi_desk.core import places
from workbench.core import cache

ROOT = Path(__file__).resolve().parents[2]


def make(folder: str, *words: str | Path) -> None:
    """Run make in one of the repo's folders; its output is the error's."""
    command = ["make", "-s", "-C", str(ROOT / folder), *map(str, words)]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert result.returncode == 0, f"{' '.join(command)}\n{result.stdout}"


def once(name: str, build: Callable[[Path], None]) -> Path:
    """A folder of this checkout's in the cache, in which make builds what has changed; one at a time."""
    folder = places.cache_folder() / "objects" / cache.key(["unit", name, str(ROOT)])
    folder.mkdir(parents=True, exist_ok=True)
    with cache.lock(f"unit-{folder.name}"):
        build(folder)
    return folder


@functools.cache
def librfork() -> Path:
    """librfork.a (position independent), librfork-static.a and rfork-run."""

    def build(folder: Path) -> None:
        targets = [folder / name for name in ("librfork.a", "librfork-static.a", "rfork-run")]
        make("librfork", f"BUILD={folder}", *targets)

    return once("librfork", build)


@functools.cache
def python_module() -> Path:
    """rfork.abi3.so, to be put on PYTHONPATH."""
    library = librfork() / "librfork.a"
    return once("python", lambda to: make("librfork/python", f"BUILD={to}", f"LIBRFORK={library}"))


@functools.cache
def components() -> Path:
    """koboshi-gps and koboshi-fault."""
    library = librfork() / "librfork-static.a"
    return once("components", lambda to: make("components", f"BUILD={to}", f"LIBRFORK={library}"))


def compile_shared(source: Path, to: Path) -> None:
    """A shared library of one C file."""
    command = ["cc", "-shared", "-fPIC", "-o", str(to), str(source), "-pthread"]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert result.returncode == 0, result.stdout
