# SPDX-License-Identifier: MIT
"""What the quick image refuses before anything is built."""

from __future__ import annotations

from pathlib import Path

import pytest

from koboshi_desk.core import places
from koboshi_desk.manifest.check import WrongManifestError
from workbench.image import quick as quickimage
from workbench.kernel import build as kernel


@pytest.fixture(autouse=True)
def _no_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty cache, and a kernel that must not be asked for."""
    monkeypatch.setenv(places.CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(kernel, "build", lambda *_: pytest.fail("went on to build the kernel"))


def test_wrong_manifest_makes_no_image(tmp_path: Path) -> None:
    """A manifest that the device would refuse is refused with file, line and key, and nothing is cached."""
    wrong = tmp_path / "wrong.toml"
    wrong.write_text('version = 1\n[component.a]\ncommand = ["no/absolute/path"]\n')
    with pytest.raises(WrongManifestError, match=r"wrong\.toml:3: component\.a\.command: ") as caught:
        quickimage.build(wrong)
    assert [error.line for error in caught.value.errors] == [3]
    assert list(places.cache_folder().iterdir()) == []


def test_missing_manifest_is_told(tmp_path: Path) -> None:
    """A manifest that is not there is a message, not a traceback."""
    with pytest.raises(WrongManifestError, match=r"none\.toml:1: \(file\): cannot be read: No such file"):
        quickimage.build(tmp_path / "none.toml")
