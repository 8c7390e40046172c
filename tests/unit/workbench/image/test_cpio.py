# SPDX-License-Identifier: MIT
"""The writer of initramfs archives, read back by cpio(1)."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from workbench.image import cpio

pytestmark = pytest.mark.skipif(shutil.which("cpio") is None, reason="cpio(1) is not installed")


@pytest.fixture
def tree(tmp_path):
    """A small root with odd permissions."""
    root = tmp_path / "tree"
    (root / "bin").mkdir(parents=True)
    (root / "bin/program").write_bytes(b"\x7fELF" + bytes(997))
    (root / "bin/program").chmod(0o700)
    (root / "etc").mkdir()
    (root / "etc/odd").write_text("abc")
    (root / "etc/odd").chmod(0o600)
    (root / "link").symlink_to("bin/program")
    (root / "tmp").mkdir()
    (root / "tmp").chmod(0o1777)
    return root


def listing(archive):
    """What cpio says of each entry, by name."""
    done = subprocess.run(
        ["cpio", "-tvn"], input=archive.read_bytes(), capture_output=True, check=True, env={"LC_ALL": "C"}
    )
    lines = [line.split() for line in done.stdout.decode().splitlines()]
    return {fields[fields.index("2026") + 1]: fields for fields in lines}


def test_entries_belong_to_root_with_plain_permissions(tree, tmp_path):
    """Owner, permissions and times do not depend on who built the image, or under which umask."""
    cpio.write(tmp_path / "archive", tree)
    found = listing(tmp_path / "archive")
    assert {name: fields[0] for name, fields in found.items()} == {
        "bin": "drwxr-xr-x",
        "bin/program": "-rwxr-xr-x",
        "etc": "drwxr-xr-x",
        "etc/odd": "-rw-r--r--",
        "link": "lrwxrwxrwx",
        "tmp": "drwxrwxrwt",
    }
    assert {(fields[2], fields[3]) for fields in found.values()} == {("0", "0")}


def test_contents_survive(tree, tmp_path):
    """cpio unpacks the same contents and link targets, whatever their length."""
    cpio.write(tmp_path / "archive", tree)
    out = tmp_path / "out"
    out.mkdir()
    subprocess.run(
        ["cpio", "-id", "--no-preserve-owner"],
        input=(tmp_path / "archive").read_bytes(),
        cwd=out,
        check=True,
        capture_output=True,
    )
    assert (out / "bin/program").read_bytes() == (tree / "bin/program").read_bytes()
    assert (out / "etc/odd").read_text() == "abc"
    assert (out / "link").readlink() == (tree / "link").readlink()


def test_device_nodes_need_no_root(tree, tmp_path):
    """A character device is an entry with its numbers."""
    cpio.write(tmp_path / "archive", tree, [cpio.Node("dev/console", 0o600, 5, 1)])
    fields = listing(tmp_path / "archive")["dev/console"]
    assert fields[0] == "crw-------"
    assert [field.strip(",") for field in fields[4:6]] == ["5", "1"]


def test_same_tree_gives_the_same_bytes(tree, tmp_path):
    """Two archives of equal trees are equal, though their files' times differ."""
    cpio.write(tmp_path / "first", tree)
    again = shutil.copytree(tree, tmp_path / "again", symlinks=True, copy_function=shutil.copy)
    cpio.write(tmp_path / "second", again)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()
