# SPDX-License-Identifier: MIT
"""The repository's own files."""

from __future__ import annotations

from workbench.core import repository
from workbench.core.repository import REPOSITORY


def test_source_without_licence_is_found(tmp_path):
    """A source file needs its SPDX line at the top; recorded data and other files do not."""
    (tmp_path / "tests/data").mkdir(parents=True)
    (tmp_path / "good.py").write_text("# SPDX-License-Identifier: MIT\n")
    (tmp_path / "bad.c").write_text("int x;\n")
    (tmp_path / "late.c").write_text("\n" * 10 + "/* SPDX-License-Identifier: MIT */\n")
    (tmp_path / "script").write_text("#!/bin/sh\necho\n")
    (tmp_path / "notes.md").write_text("text\n")
    (tmp_path / "tests/data/recorded.toml").write_text("x = 1\n")
    files = repository.files(tmp_path)
    assert repository.without_licence(files, tmp_path) == ["bad.c", "late.c", "script"]


def test_shell_scripts_are_told_by_their_first_line(tmp_path):
    """Whatever its name, what a POSIX shell runs is a shell script."""
    (tmp_path / "run").write_text("#!/bin/sh\n")
    (tmp_path / "other").write_text("#!/usr/bin/env python3\n")
    assert repository.shell_scripts(repository.files(tmp_path)) == [tmp_path / "run"]


def test_packages_and_requirements_have_reasons():
    """Each system package and each pinned dependency says what it is for, and pins are exact."""
    for name in ("packages.txt", "requirements.txt"):
        for line in (REPOSITORY / name).read_text().splitlines():
            entry, _, reason = line.partition("#")
            assert not entry or reason.strip(), line
            assert name != "requirements.txt" or not entry or "==" in entry, line
