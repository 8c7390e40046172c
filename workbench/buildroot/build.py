# SPDX-License-Identifier: MIT
"""`./dev image --board`: Buildroot with this repository as its external tree, out of tree and in steps.

The output folder stays in the cache, so that a second build makes only what has changed. Buildroot does not
notice changes by itself: what a package of ours is made from is remembered here, and a changed configuration
begins anew.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from koboshi_desk.core import places
from koboshi_desk.core.errors import KoboshiError
from workbench.buildroot import boards, sbom
from workbench.buildroot import tree as buildroot_tree
from workbench.buildroot.boards import Board
from workbench.core import cache, progress
from workbench.core.command import logged, output
from workbench.core.repository import REPOSITORY
from workbench.image import layer
from workbench.image.bootable import Image
from workbench.kernel import kconfig, lines

STEPS = 290  # lines of Buildroot that a first build prints
_STEP = re.compile(r">>> +\S+ +\S* *[A-Z]")  # ">>> host-m4 1.4.19 Building"
_COUNT = re.compile(r"[1-9]\d*")
# Where sources come from, and how fast, is not part of what is built.
_PLACES = ("BR2_DL_DIR", "BR2_PRIMARY_SITE", "BR2_PRIMARY_SITE_ONLY", "BR2_BACKUP_SITE", "BR2_JLEVEL")
# Of ./dev, for our Python; Buildroot runs Pythons of its own.
_FOREIGN = ("PYTHONPATH", "PYTHONPYCACHEPREFIX", "PYTHONHOME", "MAKEFLAGS", "KCONFIG_ALLCONFIG")
DISK = "-disk"  # at the end of an image's name: from its own boot loader
IMAGES = ("bzImage", "rootfs.cpio", "disk.img")
PACKAGES: Mapping[str, tuple[Path, ...]] = {
    "librfork": (layer.LIBRFORK,),
    "koboshi": (layer.SUPERVISOR,),
    "koboshi-demo": (layer.COMPONENTS, layer.LIBRFORK),
}


@dataclass(frozen=True)
class Options:
    """How to build; what is None is Buildroot's own default."""

    buildroot: Path | None = None  # a tree, instead of the pinned release
    dl_dir: Path | None = None
    primary_site: str | None = None
    config: Path | None = None  # one more fragment: another toolchain, more packages
    external: tuple[Path, ...] = ()  # the user's external trees, beside this repository


def build(board_name: str, line_name: str, options: Options | None = None) -> Image:
    """The image of a board and a kernel line; what has not changed since the last time stays."""
    options = options or Options()
    job = Job(boards.find(board_name), lines.find(line_name).name, options)
    with cache.lock(f"buildroot-{job.name}"):
        job.run()
    return find(job.name)


def make(board_name: str, line_name: str, target: str, options: Options | None = None) -> int:
    """Any target of Buildroot's own (menuconfig, graph-size, ...), in that folder and on this terminal."""
    job = Job(boards.find(board_name), lines.find(line_name).name, options or Options())
    with cache.lock(f"buildroot-{job.name}"):
        job.configure()
        return subprocess.run(list(map(str, job.command(*target.split())))).returncode


def folder_of(name: str) -> Path:
    """Buildroot's output folder of the image with that name."""
    return places.cache_folder() / "buildroot" / name


def names() -> list[str]:
    """Images that have been built, as --image takes them."""
    built = [
        name
        for board in boards.BOARDS.values()
        for line in sorted(board.append)
        if (folder_of(name := f"{board.name}-{line}") / "images/disk.img").is_file()
    ]
    return [each for name in built for each in (name, name + DISK)]


def find(name: str) -> Image:
    """The image of that name, BOARD-LINE for QEMU's own loader, BOARD-LINE-disk for the disk with its."""
    if name not in names():
        raise KoboshiError(
            f"--image {name}: no such image has been built; there is {', '.join(names()) or 'none'}; "
            "./dev image --board core2 --line linux-6.12 makes core2-linux-6.12"
        )
    plain = name.removesuffix(DISK)
    board_name, _, line = plain.partition("-")
    board = boards.find(board_name)
    kernel, initrd, disk = (folder_of(plain) / "images" / file for file in IMAGES)
    return Image(
        name,
        kernel,
        initrd,
        board.append[line],
        board.memory_mb,
        disk=disk if name.endswith(DISK) else None,
    )


class Job:
    """One output folder: its configuration, its builds, and what they were made from."""

    def __init__(self, board: Board, line: str, options: Options) -> None:
        self.board = board
        self.line = line
        self.options = options
        self.name = f"{board.name}-{line}"
        self.folder = folder_of(self.name)
        self.log = self.folder / "koboshi.log"
        self.tree = buildroot_tree.find(options.buildroot)
        self.external = [buildroot_tree.external(path) for path in options.external]
        fragments = [*board.buildroot(line), *([options.config] if options.config else [])]
        self.wanted = kconfig.merge(fragments)

    def run(self) -> None:
        """All of it, from the configuration to the papers."""
        self.configure()
        self._forget_changed()
        self._compile()
        self._verify_parts()
        self._papers()

    def command(self, *arguments: str) -> list[str | Path]:
        """Buildroot's make, with nothing of ./dev's environment."""
        unset = [word for name in _FOREIGN for word in ("-u", name)]
        command: list[str | Path] = ["env", *unset]
        if os.geteuid() == 0:
            command.append("FORCE_UNSAFE_CONFIGURE=1")  # tar's configure refuses root otherwise
        command += ["make", "-C", self.tree.path, f"O={self.folder}"]
        command.append("BR2_EXTERNAL=" + ":".join(map(str, (REPOSITORY, *self.external))))
        if self.options.dl_dir:
            command.append(f"BR2_DL_DIR={self.options.dl_dir.resolve()}")
        if self.options.primary_site:
            command.append(f"BR2_PRIMARY_SITE={self.options.primary_site}")
        return [*command, *arguments]

    def configure(self) -> None:
        """Write and check the configuration; start from an empty folder if it or Buildroot changed."""
        state = self._state()
        if state.get("identity") != self._identity():
            if self.folder.exists():
                progress.note(f"{self.name}: Buildroot or its configuration changed; full rebuild")
                shutil.rmtree(self.folder)
            self.folder.mkdir(parents=True)
            defconfig = self.folder / "koboshi_defconfig"
            defconfig.write_text(kconfig.text(self.wanted))
            logged(self.command("defconfig", f"BR2_DEFCONFIG={defconfig}"), self.log)
            kconfig.verify(self.folder / ".config", self.wanted)
            self._remember(identity=self._identity(), buildroot=self.tree.version)

    def _identity(self) -> str:
        settled = {name: value for name, value in self.wanted.items() if name not in _PLACES}
        trees = [str(path) for path in (self.tree.path, *self.external)]
        return cache.key([*trees, self.tree.version, kconfig.text(settled)])

    def _forget_changed(self) -> None:
        """Buildroot builds a package once: what changed since is thrown away, to be built again."""
        last, now = self._state().get("inputs", {}), self._inputs()
        changed = [name for name in now if name in last and last[name] != now[name]]
        if changed:
            progress.note(f"{self.name}: changed since the last build: {', '.join(changed)}")
            logged(self.command(*(f"{name}-dirclean" for name in changed)), self.log)
        self._remember(inputs=now)

    def _inputs(self) -> dict[str, str]:
        recipes = {name: [REPOSITORY / "package" / name, *paths] for name, paths in PACKAGES.items()}
        patches = lines.find(self.line).patches
        recipes["linux"] = [patches, *self.board.kernel(self.line), REPOSITORY / "external.mk"]
        recipes["busybox"] = [self.board.busybox]
        recipes["koboshi-demo"].append(self.board.manifest)
        for makefile in (path for tree in self.external for path in tree.glob("package/*/*.mk")):
            recipes[makefile.stem] = [makefile.parent]
        return {name: cache.key(paths) for name, paths in recipes.items()}

    def _compile(self) -> None:
        """With progress by Buildroot's own steps, as many as in the last first build."""
        images = self.folder / "images"
        first = not (images / IMAGES[-1]).is_file()
        total = self._state().get("steps", STEPS) if first else None
        what = f"{'' if first else 're'}building {self.name} with Buildroot {self.tree.version}"
        with progress.Progress(what, total) as steps:
            self._make_all(steps)
        if first:
            self._remember(steps=steps.count)

    def _make_all(self, steps: progress.Progress) -> None:
        logged(self.command("all"), self.log, on_line=step_counter(steps.step))

    def _verify_parts(self) -> None:
        """The kernel and BusyBox have what their fragments ask for, too."""
        for pattern, fragments in (
            ("linux-*", self.board.kernel(self.line)),
            ("busybox-*", (self.board.busybox,)),
        ):
            config = _only(self.folder / "build", f"{pattern}/.config")
            kconfig.verify(config, kconfig.merge(fragments))

    def _papers(self) -> None:
        """Write licences, their texts and a list of all parts beside the images."""
        progress.note(f"{self.name}: licences and bill of materials")
        logged(self.command("legal-info"), self.log)
        info = json.loads(output([*self.command("-s", "--no-print-directory", "show-info")]))
        document = sbom.document(self.name, info)
        (self.folder / "images/sbom.cdx.json").write_text(json.dumps(document, indent=2) + "\n")

    def _state(self) -> dict[str, Any]:
        try:
            state = json.loads((self.folder / "koboshi.json").read_text())
        except FileNotFoundError:
            return {}
        assert isinstance(state, dict)
        return state

    def _remember(self, **more: object) -> None:
        state = self._state() | more
        (self.folder / "koboshi.json").write_text(json.dumps(state, indent=2) + "\n")


def step_counter(step: Callable[[], None]) -> Callable[[str], None]:
    """Calls `step` for each line with which Buildroot begins a step of a package."""

    def count(text: str) -> None:
        if _STEP.search(text):
            step()

    return count


def _only(folder: Path, pattern: str) -> Path:
    found = [path for path in sorted(folder.glob(pattern)) if "headers" not in path.parent.name]
    if len(found) != 1:
        raise KoboshiError(f"{folder}/{pattern}: {len(found)} found; exactly one was built")
    return found[0]
