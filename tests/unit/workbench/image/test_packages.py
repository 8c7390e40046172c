# SPDX-License-Identifier: MIT
"""Debian packages that a user adds to the quick image, as far as it can be shown without an archive."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from workbench.core.command import CommandError
from workbench.image import apt, base
from workbench.image import packages as image_packages
from workbench.image.additions import AdditionError

BASE = [
    apt.Package("libc6", "2.36-9", "libc6.deb", ""),
    apt.Package("python3.11-minimal", "3.11.2-6", "python3.deb", ""),
]


@pytest.fixture(autouse=True)
def _base(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "kept", lambda: BASE)


def test_base_and_maintenance_count_as_installed() -> None:
    """apt fetches only what the image lacks; its Python satisfies packages that need python3."""
    installed = dict(image_packages._installed(BASE, ["sqlite3"]))
    assert installed["libc6"] == "2.36-9"
    assert installed["python3.11"] == "3.11.2-6"
    assert "dpkg" in installed
    assert "dpkg" not in dict(image_packages._installed(BASE, ["dpkg"]))


def test_apt_is_told_what_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The status file has a stanza for each of them, and another answer than without them."""
    monkeypatch.setattr(apt, "folder", lambda: tmp_path)
    asked: list[list[str]] = []

    def output(command: list[str]) -> str:
        asked.append(command)
        return ""

    monkeypatch.setattr(apt, "output", output)
    monkeypatch.setattr(shutil, "which", lambda name: name)
    apt.resolve(("x",), [("libc6", "2.36-9")])
    apt.resolve(("x",))
    (status,) = {
        word.partition("=")[2]
        for word in asked[1]
        if word.startswith(f"Dir::State::status={tmp_path}/status-")
    }
    assert "Package: libc6\nStatus: install ok installed\nVersion: 2.36-9\n" in Path(status).read_text()
    assert len(list(tmp_path.glob("resolved-*"))) == 2


@pytest.mark.parametrize(
    "line",
    [
        "E: Unable to locate package nosuch",
        "E: Package 'nosuch' has no installation candidate",
    ],
)
def test_unknown_package_is_told(monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    """In a line, not in apt's whole command; any other failure of apt is shown as it is."""
    failure = line

    def fail(*_: object) -> list[apt.Package]:
        raise CommandError("apt-get update", 100, failure)

    monkeypatch.setattr(apt, "resolve", fail)
    with pytest.raises(AdditionError, match=r"^--package nosuch: this machine's package archive"):
        image_packages._resolve(["nosuch"], [])
    failure = "E: no route to host"
    with pytest.raises(CommandError):
        image_packages._resolve(["nosuch"], [])


def test_option_is_no_package() -> None:
    """apt gets no word that is not a package's name."""
    with pytest.raises(AdditionError, match="--package -o: is not a valid name"):
        image_packages._resolve(["-o"], [])


def test_alternatives_are_linked(tmp_path: Path) -> None:
    """numpy needs libblas.so.3, which Debian's alternatives would link."""
    (tmp_path / "blas").mkdir()
    (tmp_path / "blas/libblas.so.3").touch()
    image_packages._link_alternatives(tmp_path)
    assert (tmp_path / "libblas.so.3").resolve() == tmp_path / "blas/libblas.so.3"
