# SPDX-License-Identifier: MIT
"""Buildroot's side of the repository, as far as no Buildroot is needed to see it."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from koboshi.manifest import files

from koboshi_desk.core.errors import KoboshiError
from workbench.buildroot import boards, sbom
from workbench.buildroot import build as buildroot
from workbench.buildroot import task as image_task
from workbench.buildroot import tree as buildroot_tree
from workbench.core.repository import REPOSITORY
from workbench.image.own import Wanted
from workbench.kernel import kconfig, lines

BOARD_LINES = [(board, line) for board in boards.BOARDS.values() for line in sorted(board.append)]
EXTERNAL = "$(BR2_EXTERNAL_KOBOSHI_PATH)"


@pytest.mark.parametrize(("board", "line"), BOARD_LINES, ids=lambda value: getattr(value, "name", value))
def test_defconfigs_are_the_fragments(board: boards.Board, line: str) -> None:
    """configs/ is what the board's fragments add up to; `python3 -m workbench.buildroot.boards` writes it."""
    assert boards.defconfig(board, line).read_text() == boards.defconfig_text(board, line)


@pytest.mark.parametrize(("board", "line"), BOARD_LINES, ids=lambda value: getattr(value, "name", value))
def test_files_that_a_defconfig_names_are_there(board: boards.Board, line: str) -> None:
    """Each path into this repository exists."""
    text = boards.defconfig_text(board, line)
    named = re.findall(re.escape(EXTERNAL) + r"/([^\s\"]+)", text)
    assert named
    assert [name for name in named if not (REPOSITORY / name).exists()] == []


@pytest.mark.parametrize(("board", "line"), BOARD_LINES, ids=lambda value: getattr(value, "name", value))
def test_kernel_is_configured_and_patched_as_in_the_quick_image(board: boards.Board, line: str) -> None:
    """Buildroot gets the line's own fragments and patches, and what is checked is what it gets."""
    wanted = kconfig.merge(board.buildroot(line))
    value = {name: text.strip('"').replace(EXTERNAL, str(REPOSITORY)) for name, text in wanted.items()}
    given = [
        value["BR2_LINUX_KERNEL_CUSTOM_CONFIG_FILE"],
        *value["BR2_LINUX_KERNEL_CONFIG_FRAGMENT_FILES"].split(),
    ]
    assert given == [str(path) for path in board.kernel(line)]
    assert f"{value['BR2_GLOBAL_PATCH_DIR']}/linux" == str(lines.find(line).patches)
    assert value["BR2_PACKAGE_BUSYBOX_CONFIG_FRAGMENT_FILES"] == str(board.busybox)


@pytest.mark.parametrize(("board", "line"), BOARD_LINES, ids=lambda value: getattr(value, "name", value))
def test_kernel_source_has_the_pinned_sum(board: boards.Board, line: str) -> None:
    """Buildroot checks the tarball that it fetches against the sum that ./dev kernel checks."""
    record = lines.find(line)
    name = Path(record.upstream_url).name
    sums = (record.patches / "linux.hash").read_text().splitlines()
    assert f"sha256  {record.upstream_sha256}  {name}" in sums
    text = boards.defconfig_text(board, line)
    version = name.removeprefix("linux-").removesuffix(".tar.xz")
    assert f"/{name}" in text or f'CUSTOM_VERSION_VALUE="{version}"' in text


@pytest.mark.parametrize("board", boards.BOARDS.values(), ids=lambda board: board.name)
def test_the_boards_manifest_is_right(board: boards.Board, tmp_path: Path) -> None:
    """The board's part makes a right manifest together with the demo's, however often its script has run."""
    demo = (REPOSITORY / "components/koboshi.toml").read_text()
    placed = tmp_path / "etc/koboshi/koboshi.toml"
    placed.parent.mkdir(parents=True)
    placed.write_text(demo)
    subprocess.run([board.folder / "post-build.sh", tmp_path], check=True)
    assert placed.read_text() == demo  # an image without the demo
    (tmp_path / "usr/lib/koboshi/koboshi_demo").mkdir(parents=True)
    for _ in range(2):
        subprocess.run([board.folder / "post-build.sh", tmp_path], check=True)
    assert placed.read_text() == demo + board.manifest.read_text()
    assert files.load(str(placed)).device["record"] == "/data/koboshi"


def test_steps_are_counted() -> None:
    """A package's step counts, whatever colour it has; a compiler's output does not."""
    seen: list[int] = []
    count = buildroot.step_counter(lambda: seen.append(1))
    for text in (
        "\x1b[7m>>> host-m4 1.4.19 Building\x1b[27m",
        ">>> skeleton  Extracting",
        ">>> koboshi-demo 0.1.0 Installing to target",
    ):
        count(text)
    assert len(seen) == 3
    for text in ("  CC      init/main.o", "make[1]: Entering directory", "a >>> b"):
        count(text)
    assert len(seen) == 3


def test_a_folder_that_is_no_buildroot_is_refused(tmp_path: Path) -> None:
    """--buildroot says what it takes."""
    (tmp_path / "Makefile").write_text("all:\n")
    with pytest.raises(buildroot_tree.BuildrootError, match="no Buildroot; --buildroot takes the folder"):
        buildroot_tree.check(tmp_path)


def test_a_tree_is_known_by_its_makefile(tmp_path: Path) -> None:
    """The version is read from the tree."""
    (tmp_path / "package").mkdir()
    (tmp_path / "package/Config.in.host").touch()
    (tmp_path / "Makefile").write_text("# x\nexport BR2_VERSION := 2099.02.1\n")
    assert buildroot_tree.check(tmp_path).version == "2099.02.1"


def test_a_tarball_put_by_hand_must_have_the_pinned_sum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another file under the release's name is refused with both sums."""
    monkeypatch.setenv("KOBOSHI_CACHE", str(tmp_path))
    place = buildroot_tree.by_hand_place()
    place.parent.mkdir()
    place.write_bytes(b"something else")
    with pytest.raises(KoboshiError, match=f"{buildroot_tree.SHA256} is pinned in"):
        buildroot_tree.find()


def test_an_image_that_was_not_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--image says which images there are, and how to make one."""
    monkeypatch.setenv("KOBOSHI_CACHE", str(tmp_path))
    with pytest.raises(KoboshiError, match=r"core2-linux-6\.12: no such image has been built; there is none"):
        buildroot.find("core2-linux-6.12")
    for name in buildroot.IMAGES:
        path = buildroot.folder_of("core2-linux-6.12") / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert buildroot.find("core2-linux-6.12").disk is None
    assert buildroot.find("core2-linux-6.12-disk").disk == path
    with pytest.raises(KoboshiError, match=r"there is core2-linux-6\.12, core2-linux-6\.12-disk"):
        buildroot.find("core2-linux-9")


def test_the_quick_image_takes_no_options_of_a_board() -> None:
    """An option that would be ignored is refused."""
    with pytest.raises(KoboshiError, match="--dl-dir: for a board's image only"):
        image_task.run(Wanted(), "", "linux-6.12", {"dl_dir": "/x", "buildroot": ""}, "", "")
    with pytest.raises(KoboshiError, match="--external: for a board's image only"):
        image_task.run(Wanted(), "", "linux-6.12", {}, "", "", ["/x"])
    with pytest.raises(KoboshiError, match="--board toaster: no such board; there is core2"):
        image_task.run(Wanted(), "toaster", "linux-6.12", {}, "", "")


def test_a_boards_image_takes_no_options_of_the_quick_image(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a built image or a board's image would ignore is refused."""
    monkeypatch.setattr(image_task, "named", lambda _: "an image")
    for wanted, option in (
        (Wanted(manifest="my.toml"), "--manifest"),
        (Wanted(add=["/a=b"]), "--add"),
        (Wanted(python=["lib"]), "--python"),
        (Wanted(package=["sqlite3"]), "--package"),
    ):
        with pytest.raises(KoboshiError, match=f"{option}: for the quick image only; a board's image"):
            image_task.run(wanted, "core2", "linux-6.12", {}, "", "")
        with pytest.raises(KoboshiError, match=f"{option}: for the quick image only, not for --image x"):
            image_task.chosen("x", wanted)


def tree_of_package(folder: Path, name: str) -> Path:
    """An external tree with one package."""
    recipe = folder / "package" / name / f"{name}.mk"
    recipe.parent.mkdir(parents=True)
    recipe.write_text("# as it was\n")
    for file in ("external.desc", "Config.in", "external.mk"):
        (folder / file).write_text(f"name: {name.upper()}\n" if file == "external.desc" else "")
    return folder


def test_own_packages_stand_beside_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Buildroot gets the user's trees too; a changed recipe of one is built again, as one of ours is."""
    monkeypatch.setattr(buildroot_tree, "find", lambda _: buildroot_tree.Tree(tmp_path / "br", "2099.02"))
    own = tree_of_package(tmp_path / "own", "poller")

    def job(*external: Path) -> buildroot.Job:
        options = buildroot.Options(external=external)
        return buildroot.Job(boards.find("core2"), "linux-6.12", options)

    assert f"BR2_EXTERNAL={REPOSITORY}:{own}" in job(own).command("all")
    assert f"BR2_EXTERNAL={REPOSITORY}" in job().command("all")
    assert job(own)._identity() != job()._identity()
    before = job(own)._inputs()
    (own / "package/poller/poller.mk").write_text("# changed\n")
    after = job(own)._inputs()
    assert {name for name in after if after[name] != before[name]} == {"poller"}
    (own / "external.mk").unlink()
    with pytest.raises(buildroot_tree.BuildrootError, match=r"no external\.mk; --external takes a folder"):
        job(own)


INFO = {
    "busybox": {
        "type": "target",
        "name": "busybox",
        "virtual": False,
        "version": "1.36.0",
        "licenses": "GPL-2.0",
        "downloads": [
            {"source": "b.tar.bz2", "uris": ["file|urlencode+file:///mirror", "https+https://busybox.net/d"]}
        ],
        "dependencies": ["host-m4", "toolchain"],
        "cpe-id": "cpe:2.3:a:busybox:busybox:1.36.0:*:*:*:*:*:*:*",
    },
    "host-m4": {"type": "host", "name": "m4", "virtual": False, "version": "1.4.19", "dependencies": []},
    "toolchain": {"type": "target", "name": "toolchain", "virtual": True},
    "rootfs-cpio": {"type": "rootfs"},
}


def test_bill_of_materials() -> None:
    """Every real package is in it once, told apart by whether it is in the image, with its public source."""
    bill = json.loads(json.dumps(sbom.document("core2", INFO)))
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    busybox, m4 = bill["components"]
    assert (busybox["name"], busybox["scope"], m4["name"], m4["scope"]) == (
        "busybox",
        "required",
        "m4",
        "excluded",
    )
    assert busybox["externalReferences"][0]["url"] == "https://busybox.net/d/b.tar.bz2"
    assert busybox["cpe"].startswith("cpe:2.3:a:busybox")
    assert bill["dependencies"][0] == {"ref": "busybox", "dependsOn": ["host-m4"]}
    assert "externalReferences" not in m4
