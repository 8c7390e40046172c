# SPDX-License-Identifier: MIT
"""What a user adds to the quick image with --add and --python."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.image import accounts, additions, own
from workbench.image import base as image_base
from workbench.image import packages as image_packages
from workbench.image import quick as quickimage
from workbench.image.additions import AdditionError
from workbench.image.bootable import Image

ELF = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\0\x3e\0"


def test_files_and_folders_have_their_places(tmp_path: Path) -> None:
    """A file, a folder with all below it, and a file that goes into a folder."""
    (tmp_path / "site/css").mkdir(parents=True)
    poller, page, style = (tmp_path / name for name in ("poller", "site/index.html", "site/css/a.css"))
    for file in (poller, page, style):
        file.write_text("x")
    wishes = [f"/usr/bin/poll={poller}", f"/www={tmp_path / 'site'}", f"/opt/={poller}"]
    assert additions.collect(wishes, []) == {
        "/usr/bin/poll": poller,
        "/www/index.html": page,
        "/www/css/a.css": style,
        "/opt/poller": poller,
    }


def test_module_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package and a single module are where Python looks; caches of this machine stay here."""
    (tmp_path / "mylib/__pycache__").mkdir(parents=True)
    for name in ("mylib/__init__.py", "mylib/data.json", "mylib/__pycache__/x.pyc", "single.py"):
        (tmp_path / name).write_text("")
    monkeypatch.chdir(tmp_path / "mylib")
    found = additions.collect([], [".", "../single.py"])
    assert sorted(found) == [
        "/usr/lib/koboshi/mylib/__init__.py",
        "/usr/lib/koboshi/mylib/data.json",
        "/usr/lib/koboshi/single.py",
    ]


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("poller", "must be PATH=FILE, such as /usr/bin/poller=./poller"),
        ("usr/bin/poller=./poller", "must be PATH=FILE"),
        ("/usr/bin/poller=", "must be PATH=FILE"),
        ("/usr/../../poller=arm", "/usr/../../poller is not a path"),
        ("/=arm", "/ is not a path"),
        ("/usr/bin/poller=./missing", "missing does not exist"),
        ("/usr/bin/poller=arm", "arm is not a program for x86-64"),
    ],
)
def test_wrong_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, problem: str
) -> None:
    """The message names the option, its value and the problem."""
    monkeypatch.chdir(tmp_path)
    Path("arm").write_bytes(ELF[:18] + b"\x28\0")
    with pytest.raises(AdditionError) as caught:
        additions.collect([value], [])
    assert str(caught.value).startswith(f"--add {value}: ")
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("my-lib.py", "", "my-lib.py is not a name that Python can import"),
        ("notes.txt", "", "notes.txt is not a name that Python can import"),
        ("rfork.py", "", "the image has a module rfork of its own"),
        ("koboshi/__init__.py", "", "the image has a module koboshi of its own"),
        ("koboshi_demo/__init__.py", "", "the image has a module koboshi_demo of its own"),
        ("empty/data.json", "", "there is no Python module in this folder"),
        ("project/pyproject.toml", "", "there is no Python module"),
        ("broken/__init__.py", "def (:", "__init__.py:1: invalid syntax"),
    ],
)
def test_wrong_module_is_refused(tmp_path: Path, name: str, text: str, problem: str) -> None:
    """What Python could not import, or what would hide a module of the image."""
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    value = file if file.parent == tmp_path else file.parent
    with pytest.raises(AdditionError) as caught:
        additions.collect([], [str(value)])
    assert problem in str(caught.value)


def test_dangling_link_is_refused(tmp_path: Path) -> None:
    """Nothing of a folder is left out silently."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site/gone").symlink_to("nowhere")
    with pytest.raises(AdditionError, match="site/gone is neither a file nor a folder"):
        additions.collect([f"/www={tmp_path / 'site'}"], [])


def test_same_place_twice_is_refused(tmp_path: Path) -> None:
    """Two files at one path are a mistake; the same one twice is none."""
    for name in ("a", "b"):
        (tmp_path / name).touch()
    assert len(additions.collect([f"/x={tmp_path / 'a'}"] * 2, [])) == 1
    with pytest.raises(AdditionError, match=r"/x is added twice, also from .*/a"):
        additions.collect([f"/x={tmp_path / name}" for name in "ab"], [])


def test_program_without_its_library_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library may come with a package or with --add; else the message says what brings it."""
    program = tmp_path / "poller"
    program.write_bytes(ELF)
    libraries = tmp_path / image_base.LIBRARIES
    libraries.mkdir(parents=True)
    (libraries / "libc.so.6").touch()
    first = image_base.Base(tmp_path, tmp_path, "x")
    monkeypatch.setattr(image_base, "build", lambda: first)
    monkeypatch.setattr(image_base, "needed", lambda _: ["libc.so.6", "libx.so.1", own.LOADER])
    layer = image_packages.Layer(tmp_path, frozenset({"libx.so.1"}))
    monkeypatch.setattr(image_packages, "build", lambda *_: layer)
    image = Image("x", tmp_path, tmp_path, "")
    monkeypatch.setattr(quickimage, "build", lambda *_args, **_options: image)
    wish = f"/usr/bin/poller={program}"
    with pytest.raises(AdditionError, match=r"needs libx\.so\.1, which the image lacks: --package NAME"):
        own.build(own.Wanted(add=[wish]))
    (tmp_path / "libx.so.1").touch()
    library = f"/usr/lib/libx.so.1={tmp_path / 'libx.so.1'}"
    for wanted in (own.Wanted(add=[wish], package=["x"]), own.Wanted(add=[wish, library])):
        assert own.build(wanted) is image


def test_manifests_users_are_made(tmp_path: Path) -> None:
    """Each user and group that a manifest names, once; what the image has stays as it is."""
    (tmp_path / "passwd").write_text("root::0:0:root:/root:/bin/sh\n")
    (tmp_path / "group").write_text("root:x:0:\ndialout:x:20:\n")
    manifest = tmp_path / "my.toml"
    manifest.write_text(
        "version = 1\n"
        '[component.a]\ncommand = ["/a"]\nuser = "poller"\ngroups = ["dialout", "i2c"]\n'
        '[component.b]\ncommand = ["/b"]\n[component.c]\ncommand = ["/c"]\nuser = "poller"\n'
    )
    for _ in range(2):
        accounts.add(tmp_path, manifest)
    users = (tmp_path / "passwd").read_text().splitlines()
    assert users[1:] == ["poller:*:1001:1001:poller:/:/bin/false"]
    groups = (tmp_path / "group").read_text().splitlines()
    assert groups == ["root:x:0:", "dialout:x:20:", "i2c:x:1000:", "poller:x:1001:"]
