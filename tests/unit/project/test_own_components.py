# SPDX-License-Identifier: MIT
"""docs/own-components.md: its commands compile, and its files are what the programs take."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from koboshi.manifest.check import parse

from tests.unit.programs import librfork
from workbench.core.repository import REPOSITORY

GUIDE = (REPOSITORY / "docs/own-components.md").read_text()
COMPILE = re.findall(r"^ {4}((?:cc|g\+\+|musl-gcc) .*)$", GUIDE.replace("\\\n", ""), re.M)


def blocks(kind: str) -> list[str]:
    """The guide's blocks of code of a language."""
    return re.findall(rf"```{kind}\n(.*?)```", GUIDE, re.S)


@pytest.mark.parametrize("command", sorted(set(COMPILE)))
def test_compile_commands(tmp_path: Path, command: str) -> None:
    """Each makes a static program from the guide's source, which is a program in C++ too."""
    for name in ("poller.c", "meter.cpp"):
        (tmp_path / name).write_text(blocks("c")[0])
    line = command.replace("librfork/include", str(REPOSITORY / "librfork/include"))
    words = shlex.split(line.replace("/tmp/rfork", str(librfork())))
    subprocess.run(words, cwd=tmp_path, check=True)
    headers = subprocess.run(
        ["readelf", "-l", words[words.index("-o") + 1]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "INTERP" not in headers.stdout


def test_manifest_is_one() -> None:
    """The guide's manifest is valid, and runs each component as a user of its own."""
    (text,) = blocks("toml")
    users = [component.get("user") for component in parse(text, "my.toml").components.values()]
    assert users == ["poller", "store"]


def test_all_files_of_the_tree_are_shown() -> None:
    """Each recipe that the guide's picture of the tree names is written out."""
    assert "select BR2_PACKAGE_LIBRFORK" in blocks("kconfig")[0]
    assert "$(eval $(generic-package))" in blocks("make")[0]
    assert "BR2_PACKAGE_POLLER=y" in blocks("text")[1]
