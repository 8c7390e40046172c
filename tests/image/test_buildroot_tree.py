# SPDX-License-Identifier: MIT
"""What can be seen in seconds with a tree of Buildroot, and nothing built.

KOBOSHI_BUILDROOT names trees (with ':' between them); without it the pinned release is taken, if ./dev image
has fetched it. Skipped where there is none.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from koboshi_desk.core import places
from workbench.buildroot import boards, sbom
from workbench.buildroot import tree as buildroot_tree
from workbench.buildroot.boards import Board
from workbench.core import cache
from workbench.core.command import output
from workbench.core.repository import REPOSITORY, files
from workbench.kernel import kconfig

TREES = [Path(name) for name in os.environ.get("KOBOSHI_BUILDROOT", "").split(":") if name] or [
    places.cache_folder() / "buildroot-tree" / buildroot_tree.SHA256[: cache.KEY_LENGTH]
]
BOARD_LINES = [(board, line) for board in boards.BOARDS.values() for line in sorted(board.append)]
FOREIGN = ("PYTHONPATH", "PYTHONPYCACHEPREFIX", "MAKEFLAGS")
OURS = ("Config.in", "external.mk", "external.desc", "board", "configs", "kernel", "overlay", "package")
# A symbol that came after 2023.02: older releases have a configuration without it.
NEW = "BR2_DOWNLOAD_FORCE_CHECK_HASHES"


@pytest.fixture(params=TREES, ids=lambda path: path.name)
def tree(request: pytest.FixtureRequest) -> buildroot_tree.Tree:
    """A tree of Buildroot."""
    if not request.param.is_dir():
        pytest.skip("no tree of Buildroot: ./dev image --board fetches one, KOBOSHI_BUILDROOT=DIR names one")
    return buildroot_tree.check(request.param)


def make(tree: buildroot_tree.Tree, folder: Path, *arguments: str, external: str = str(REPOSITORY)) -> str:
    """Buildroot's make, out of tree."""
    unset = [word for name in FOREIGN for word in ("-u", name)]
    command = ["env", *unset, "make", "-s", "--no-print-directory", "-C", str(tree.path), f"O={folder}"]
    return output([*command, f"BR2_EXTERNAL={external}", *arguments])


@pytest.mark.parametrize(("board", "line"), BOARD_LINES, ids=lambda value: getattr(value, "name", value))
def test_configuration_survives(tree: buildroot_tree.Tree, board: Board, line: str, tmp_path: Path) -> None:
    """Every wanted symbol has its value, and a round trip through savedefconfig changes nothing."""
    wanted = kconfig.merge(board.buildroot(line))
    if NEW not in (tree.path / "Config.in").read_text():
        del wanted[NEW]
    make(tree, tmp_path, boards.defconfig(board, line).name)
    kconfig.verify(tmp_path / ".config", wanted)
    before = (tmp_path / ".config").read_text()
    saved = tmp_path / "saved_defconfig"
    make(tree, tmp_path, "savedefconfig", f"BR2_DEFCONFIG={saved}")
    make(tree, tmp_path, "defconfig", f"BR2_DEFCONFIG={saved}")
    assert without_comments((tmp_path / ".config").read_text()) == without_comments(before)
    bill = sbom.document(board.name, json.loads(make(tree, tmp_path, "show-info")))
    components = bill["components"]
    assert isinstance(components, list)
    assert {"koboshi", "librfork", "linux", "busybox", "python3"} <= {each["name"] for each in components}


def own_tree(folder: Path) -> Path:
    """The external tree that docs/own-components.md describes, from its blocks of code."""
    guide = (REPOSITORY / "docs/own-components.md").read_text()
    folder.mkdir()
    for name in ("external.desc", "external.mk", "Config.in"):
        (content,) = re.findall(rf"── {re.escape(name)} +(\S.*)$", guide, re.M)[:1]
        (folder / name).write_text(f"{content}\n")
    package = folder / "package/poller"
    package.mkdir(parents=True)
    for name, kind in (
        ("Config.in", "kconfig"),
        ("poller.mk", "make"),
        ("poller.c", "c"),
        ("koboshi.toml", "toml"),
    ):
        (package / name).write_text(re.findall(rf"```{kind}\n(.*?)```", guide, re.S)[0])
    (folder / "my.config").write_text(re.findall(r"```text\n(.*?)```", guide, re.S)[1])
    return folder


def test_own_packages_beside_ours(tree: buildroot_tree.Tree, tmp_path: Path) -> None:
    """The guide's tree is one for Buildroot: its package is in the image, and the demo is not."""
    own = buildroot_tree.external(own_tree(tmp_path / "my-tree"))
    board = boards.find("core2")
    wanted = kconfig.merge([*board.buildroot("linux-6.12"), own / "my.config"])
    if NEW not in (tree.path / "Config.in").read_text():
        del wanted[NEW]
    assert (wanted["BR2_PACKAGE_POLLER"], wanted["BR2_PACKAGE_KOBOSHI_DEMO"]) == ("y", "n")
    (tmp_path / "defconfig").write_text(kconfig.text(wanted))
    both, folder = f"{REPOSITORY}:{own}", tmp_path / "output"
    make(tree, folder, "defconfig", f"BR2_DEFCONFIG={tmp_path}/defconfig", external=both)
    kconfig.verify(folder / ".config", wanted)
    info = json.loads(make(tree, folder, "show-info", external=both))
    assert {"librfork", "koboshi"} <= set(info["poller"]["dependencies"])
    assert "koboshi-demo" not in info
    users = make(tree, folder, "printvars", "VARS=POLLER_USERS", "RAW_VARS=YES", external=both)
    assert "poller -1 poller -1" in users


def without_comments(config: str) -> list[str]:
    """The settings: times and the name of the defconfig's file are no part of them."""
    return [
        line
        for line in config.splitlines()
        if not line.startswith(("# ", "BR2_DEFCONFIG=")) or " is not set" in line
    ]


def test_check_package(tree: buildroot_tree.Tree) -> None:
    """Buildroot's own checker has nothing to say about recipes, defconfigs, scripts and patches."""
    needed = [name for name in ("magic", "six") if importlib.util.find_spec(name) is None]
    if needed:
        pytest.skip(f"check-package needs Python's {' and '.join(needed)}: pip install python-magic six")
    paths = [str(path) for path in files() if path.relative_to(REPOSITORY).parts[0] in OURS]
    command = [sys.executable, "utils/check-package", "-b", *paths]
    done = subprocess.run(command, cwd=tree.path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
