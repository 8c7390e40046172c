# SPDX-License-Identifier: MIT
"""Builds a kernel of a line: patched, configured, verified, and cached by what it is made from."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from workbench.core import cache, progress
from workbench.core.command import logged, output, pasteable
from workbench.kernel import kconfig, lines, patches, source

_STEP = re.compile(r"^  [A-Z][A-Z0-9_]+ +\S")  # "  CC      kernel/fork.o"
# Names and times of a build are not part of it: the same input gives the same kernel.
REPRODUCIBLE = {
    "KBUILD_BUILD_TIMESTAMP": "2026-01-01 00:00:00 UTC",
    "KBUILD_BUILD_USER": "koboshi",
    "KBUILD_BUILD_HOST": "koboshi",
    "KBUILD_BUILD_VERSION": "1",
}


@dataclass(frozen=True)
class Kernel:
    """A built kernel: the files, and what it was built from and with."""

    line: str
    image: Path
    vmlinux: Path
    config: Path
    release: str
    identity: str

    @staticmethod
    def load(folder: Path) -> Kernel:
        """The kernel in a cache entry."""
        about = json.loads((folder / "build.json").read_text())
        return Kernel(
            about["line"],
            folder / "bzImage",
            folder / "vmlinux",
            folder / "config",
            about["release"],
            folder.name,
        )


def build(line_name: str = lines.DEFAULT_LINE, linux_source: Path | None = None) -> Kernel:
    """The kernel of a line or of a variant, from the cache where nothing that it is made from has changed."""
    line = lines.find(line_name)
    origin = source.find(line, linux_source)
    series = patches.series(line.patches, line.leave_out)
    wanted = kconfig.merge(line.fragments)
    tools = tool_versions()
    parts: list[str | Path] = [
        origin.identity,
        *series,
        kconfig.text(wanted),
        json.dumps([tools, REPRODUCIBLE, line.make_arguments]),
    ]

    def make(folder: Path) -> None:
        tree = source.unpack(origin, line)
        objects = tree.source.parent / "objects"
        with cache.lock(f"linux-{tree.source.parent.name}"):  # one tree: one patch series at a time
            patches.apply(series, tree)
            commands = Make(line, tree.source, objects).kernel(wanted, folder)
            release = (objects / "include/config/kernel.release").read_text().strip()
        about = {
            "line": line.name,
            "release": release,
            "source": origin.description,
            "source_sha256": origin.identity,
            "patches": [path.name for path in series],
            "tools": tools,
            "commands": commands,
        }
        (folder / "build.json").write_text(json.dumps(about, indent=2) + "\n")

    return Kernel.load(cache.entry("kernel", cache.key(parts), make))


def tool_versions() -> dict[str, str]:
    """Return the programs whose version can affect the build."""
    return {name: output([name, "--version"]).splitlines()[0] for name in ("gcc", "ld", "make")}


class Make:
    """The kernel's make for one source and object tree."""

    def __init__(self, line: lines.KernelLine, tree: Path, objects: Path) -> None:
        self.line = line
        self.tree = tree
        self.objects = objects
        self.commands: list[str] = []
        objects.mkdir(exist_ok=True)
        self.log = objects / "build.log"

    def kernel(self, wanted: Mapping[str, str], target: Path) -> list[str]:
        """Configure, verify, build; the results go to `target`. Returns the commands, to be pasted."""
        self.log.unlink(missing_ok=True)
        self._configure(wanted)
        kconfig.verify(self.objects / ".config", wanted)
        self._compile()
        for name, path in {"bzImage": self.line.image, "vmlinux": "vmlinux", "config": ".config"}.items():
            shutil.copyfile(self.objects / path, target / name)
        return self.commands

    def _configure(self, wanted: Mapping[str, str]) -> None:
        """Configure with the wanted settings over allnoconfig; every other symbol is off."""
        merged = self.objects / "koboshi.config"
        merged.write_text(kconfig.text(wanted))
        self._make("allnoconfig", f"KCONFIG_ALLCONFIG={merged}")

    def _compile(self) -> None:
        """With progress by the line's count; a rebuild has fewer steps, and how many cannot be told."""
        counted = self.objects / "koboshi.steps"
        again = counted.exists()
        total = None if again else self.line.steps
        with progress.Progress(f"{'re' if again else ''}building {self.line.name}", total) as steps:
            self._make("bzImage", f"-j{os.cpu_count() or 1}", on_step=steps)
        if not again:
            counted.write_text(f"{steps.count}\n")

    def _make(self, *arguments: str, on_step: progress.Progress | None = None) -> None:
        def count(text: str) -> None:
            if on_step is not None and _STEP.match(text):
                on_step.step()

        command: list[str | Path] = [
            "make",
            "-C",
            self.tree,
            f"O={self.objects}",
            *self.line.make_arguments,
            *(f"{name}={value}" for name, value in REPRODUCIBLE.items()),
            *arguments,
        ]
        self.commands.append(pasteable(command))
        logged(command, self.log, on_line=count)
