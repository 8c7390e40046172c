# SPDX-License-Identifier: MIT
"""A user's own components in the quick image, as docs/own-components.md says; no file is edited."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.image.test_quick_start import Dev, alone
from tests.unit.programs import librfork
from workbench.core.repository import REPOSITORY
from workbench.guest.booted import Guest
from workbench.image import quick as quickimage

__all__ = ["alone"]  # a fixture
GUIDE = (REPOSITORY / "docs/own-components.md").read_text()


def block(kind: str, number: int = 0) -> str:
    """A block of code of the guide's part."""
    return str(re.findall(rf"```{kind}\n(.*?)```", GUIDE, re.S)[number])


def command(start: str) -> list[str]:
    """The words of the guide's command that begins so."""
    found = re.search(rf"^ {{4}}({re.escape(start)}.*)$", GUIDE, re.M)
    assert found, start
    return found[1].split()


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The guide's files, and its program compiled by its command."""
    (tmp_path / "mylib").mkdir()
    (tmp_path / "poller.c").write_text(block("c"))
    (tmp_path / "mylib/__init__.py").write_text(block("python"))
    (tmp_path / "my.toml").write_text(block("toml"))
    here = {
        "librfork/include": str(REPOSITORY / "librfork/include"),
        "/tmp/rfork/librfork.a": str(librfork() / "librfork.a"),
    }
    subprocess.run([here.get(word, word) for word in command("cc ")], cwd=tmp_path, check=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_own_components_are_in_the_image(desk: Path, alone: dict[str, str]) -> None:
    """A C program, a Python package and a Debian package run there, as users of their own, and restart."""
    words = command("./dev boot --manifest my.toml --add")
    with Dev(*words[1:], **alone) as console:
        console.shows("Ctrl-] ends it")
        console.shows("all-ready")
        console.press("\n")
        for component in ("poller", "store"):
            console.press(f"koboshi-fault {component} wild\n")
            console.shows(f" restart component={component} ")
        console.press("ps -o user,args | grep -c '^[p]oller\\|^[s]tore' && echo do''ne\n")
        console.shows("done")
        count = "sqlite3 -readonly /run/store/rows.db 'select count(*) from rows'"
        console.press(f"while ! {count} | grep -q 2; do :; done; echo tw''o\n")
        console.shows("two")
        console.press("\x1d")
        assert console.ends() == 0


def test_manifests_of_the_guide_run(tmp_path: Path) -> None:
    """docs/component.md's components, a daemon and one in Python, become ready as they are written."""
    page = (REPOSITORY / "docs/component.md").read_text()
    blocks = re.findall(r"```toml\nversion = 1\n(.*?)```", page, re.S)
    assert any("python =" in text for text in blocks)
    manifest = tmp_path / "my.toml"
    manifest.write_text("version = 1\n" + "".join(blocks))
    with Guest(quickimage.build(manifest)) as guest:
        guest.boot()
        assert {component.state for component in guest.model.components.values()} == {"ready"}
        assert len(guest.model.components) == len(blocks)
