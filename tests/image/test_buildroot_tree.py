# SPDX-License-Identifier: MIT
"""What can be seen in seconds with a tree of Buildroot, and nothing built.

KOBOSHI_BUILDROOT names trees (with ':' between them); without it the pinned release is taken, if ./dev image
has fetched it. Skipped where there is none.
"""

from __future__ import annotations

import importlib.util
import json
import os
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


def make(tree: buildroot_tree.Tree, folder: Path, *arguments: str) -> str:
    """Buildroot's make, out of tree."""
    unset = [word for name in FOREIGN for word in ("-u", name)]
    command = ["env", *unset, "make", "-s", "--no-print-directory", "-C", str(tree.path), f"O={folder}"]
    return output([*command, f"BR2_EXTERNAL={REPOSITORY}", *arguments])


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
