# SPDX-License-Identifier: MIT
"""What a user adds to the quick image: files, folders and Python modules of their own.

Mistakes are reported before anything is built: a program that the image cannot execute, a module that hides
one of the image's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from koboshi_desk.core.errors import KoboshiError
from workbench.core.repository import REPOSITORY

PYTHON_FOLDER = "/usr/lib/koboshi"
# Folders of the repository with modules that the image has in PYTHON_FOLDER.
_OURS = (REPOSITORY / "supervisor/koboshi", REPOSITORY / "components/koboshi_demo")
_MODULE = re.compile(r"[A-Za-z_]\w*")
_X86_64 = (2, 62)  # ELF's class of 64 bits, and the number of the machine


class AdditionError(KoboshiError):
    """`option` names something that cannot be part of the image."""

    def __init__(self, option: str, value: str, problem: str) -> None:
        self.option = option
        self.value = value
        self.problem = problem
        super().__init__(f"--{option} {value}: {problem}")


def collect(add: Sequence[str], python: Sequence[str]) -> dict[str, Path]:
    """Return paths in the image, and the file for each: of `--add PATH=FILE` and `--python PATH`."""
    found: dict[str, Path] = {}
    for option, pairs in (("add", map(_added, add)), ("python", map(_module, python))):
        for value, files in pairs:
            for path, file in files:
                if path in found and found[path] != file:
                    raise AdditionError(option, value, f"{path} is added twice, also from {found[path]}")
                found[path] = file
    return found


def _added(value: str) -> tuple[str, list[tuple[str, Path]]]:
    path, equals, name = value.partition("=")
    if not equals or not path.startswith("/") or not name:
        raise AdditionError("add", value, "must be PATH=FILE, such as /usr/bin/poller=./poller")
    if ".." in path.split("/") or not path.strip("/"):
        raise AdditionError("add", value, f"{path} is not a path of a file in the image")
    source = Path(name).expanduser()
    if not source.exists():
        raise AdditionError("add", value, f"{source} does not exist")
    if path.endswith("/") and not source.is_dir():
        path += source.name
    files = [(_joined(path, inner), file) for inner, file in _files(source)]
    for _path, file in files:
        _refuse_foreign(value, file)
    return value, files


def _module(value: str) -> tuple[str, list[tuple[str, Path]]]:
    source = Path(value).expanduser()
    if not source.exists():
        raise AdditionError("python", value, f"{source} does not exist")
    name = source.resolve().name.removesuffix(".py") if source.is_file() else source.resolve().name
    if not _MODULE.fullmatch(name) or (source.is_file() and source.suffix != ".py"):
        raise AdditionError("python", value, f"{source.name} is not a name that Python can import")
    if name == "rfork" or name in (folder.name for folder in _OURS):
        raise AdditionError("python", value, f"the image has a module {name} of its own")
    if source.is_dir() and not any(source.rglob("*.py")):
        raise AdditionError("python", value, "there is no Python module in this folder")
    if source.is_dir() and (source / "pyproject.toml").exists() and not (source / "__init__.py").exists():
        raise AdditionError("python", value, "is a project: name the folder of the package in it")
    files = [item for item in _files(source) if "__pycache__" not in item[1].parts]
    for _inner, file in files:
        _refuse_invalid(value, file)
    target = f"{PYTHON_FOLDER}/{source.resolve().name}"
    return value, [(_joined(target, inner), file) for inner, file in files]


def _joined(path: str, inner: Path) -> str:
    return str(Path(path) / inner)


def _files(source: Path) -> Iterator[tuple[Path, Path]]:
    """A file, or all files of a folder, each with its path below `source`; links are followed."""
    if source.is_file():
        yield Path(), source
        return
    for path in sorted(source.rglob("*")):
        if path.is_file():
            yield path.relative_to(source), path
        elif not path.is_dir():
            raise AdditionError("add", str(source), f"{path} is neither a file nor a folder")


def _refuse_foreign(value: str, file: Path) -> None:
    """A program of another architecture is a mistake: its exec(2) would fail on the device."""
    with file.open("rb") as opened:
        head = opened.read(20)
    if head[:4] == b"\x7fELF" and (head[4], int.from_bytes(head[18:20], "little")) != _X86_64:
        raise AdditionError("add", value, f"{file} is not a program for x86-64")


def _refuse_invalid(value: str, file: Path) -> None:
    """The image compiles all modules, which would fail with less to read."""
    if file.suffix != ".py":
        return
    try:
        compile(file.read_bytes(), str(file), "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        line = f":{error.lineno}" if isinstance(error, SyntaxError) else ""
        raise AdditionError("python", value, f"{file}{line}: {error}") from None
