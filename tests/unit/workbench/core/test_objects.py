# SPDX-License-Identifier: MIT
"""make goes on from the last build only where that has finished, with sources that stood still."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.core import objects


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one file, and a cache of the test's own."""
    monkeypatch.setenv("KOBOSHI_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "sources"
    folder.mkdir()
    (folder / "a.h").write_text("1")
    return folder


def kept(sources: Path) -> bool:
    """Whether the next build finds the last one's object; it leaves one."""
    with objects.folder("x", [sources]) as folder:
        found = (folder / "a.o").exists()
        (folder / "a.o").touch()
    return found


def test_goes_on(sources: Path) -> None:
    """After a whole build, also of other sources: make itself sees what is newer."""
    assert not kept(sources)
    assert kept(sources)
    (sources / "a.h").write_text("2")
    assert kept(sources)


def test_interrupted(sources: Path) -> None:
    """What was compiled last may be half an object."""
    assert not kept(sources)
    with pytest.raises(KeyboardInterrupt), objects.folder("x", [sources]):
        raise KeyboardInterrupt
    assert not kept(sources)


def test_changed_meanwhile(sources: Path) -> None:
    """An object of the old header is newer than the new header."""
    assert not kept(sources)
    with pytest.raises(objects.ChangedError), objects.folder("x", [sources]):
        (sources / "a.h").write_text("2")
    assert not kept(sources)
