# SPDX-License-Identifier: MIT
"""Checks for reviewers of the kernel series: checkpatch, sparse, and unusual configurations."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from koboshi_desk.core.errors import KoboshiError
from workbench.core import cache, progress
from workbench.core.command import CommandError, logged, output
from workbench.kernel import footprint, kconfig, lines, patches, source
from workbench.kernel.lines import KernelLine

# They are not sent to a maintainer: nobody's From, no entry in MAINTAINERS. The SPDX checker needs a module.
# The checkpatch of 7.3 prefers kmalloc_obj(), which 6.12 has not got.
IGNORED = "NO_AUTHOR_SIGN_OFF,FILE_PATH_CHANGES,SPDX_LICENSE_TAG,ALLOC_WITH_SIZEOF"
# folio_walk_end() unlocks by the level of the page table, and sparse knows conditions at compile time only.
BEYOND_SPARSE = "context imbalance in 'rfork_is_anon'"
TINY = {"CONFIG_64BIT": "y"}
WERROR = {"CONFIG_WERROR": "y"}


@dataclass(frozen=True)
class Variant:
    """A configuration over allnoconfig; `whole` is linked, else only what the series touches is compiled."""

    name: str
    wanted: Mapping[str, str]
    whole: bool = False
    sparse: bool = False
    foreign: tuple[str, str] | None = None  # another architecture, and what its compiler's name begins with


def variants(line: KernelLine) -> list[Variant]:
    """With rfork and without, for one CPU and for many, tiny and as shipped."""
    shipped = {**kconfig.merge(line.fragments), **WERROR}
    single = {name: value for name, value in shipped.items() if name != "CONFIG_NR_CPUS"}
    generic = dict.fromkeys(("CONFIG_RFORK", "CONFIG_SMP", "CONFIG_PROC_FS", "CONFIG_CGROUPS"), "y")
    without, one = {"CONFIG_RFORK": "n"}, {"CONFIG_SMP": "n"}
    return [
        Variant("allnoconfig", {**TINY, **WERROR, **without}, whole=True),
        Variant("allnoconfig with rfork", {**TINY, **WERROR, "CONFIG_RFORK": "y"}, whole=True),
        Variant("as shipped", shipped, sparse=True),
        Variant("as shipped without rfork", {**shipped, **without}),
        Variant("one CPU", {**single, **one}),
        Variant("one CPU without rfork", {**single, **one, **without}),
        Variant("arm64", {**generic, **WERROR}, foreign=("arm64", "aarch64-linux-gnu-")),
        Variant("riscv", {**generic, **WERROR}, foreign=("riscv", "riscv64-linux-gnu-")),
    ]


def run(line_name: str = lines.DEFAULT_LINE) -> int:
    """Print a line for each check; return 1 if any check reports a problem."""
    line = lines.find(line_name)
    if line.package is None:
        raise KoboshiError(f"--check: not for {line.name}, its checkpatch and sparse are too old")
    series = patches.series(line.patches)
    origin = source.find(line, None)
    tree = source.unpack(origin, lines.find(line.name + lines.DEBUG))
    with cache.lock(f"linux-{tree.source.parent.name}"):
        patches.apply(series, tree)
        said = [_checkpatch(tree.source, patch) for patch in series]
        said += [_build(tree.source, variant, _objects(series)) for variant in variants(line)]
    said.append(_tell("footprint", footprint.complaint(footprint.measure(line))))
    return 1 if any(said) else 0


def _tell(what: str, said: str) -> str:
    print(f"{'failed' if said else 'passed':7} {what}{chr(10) if said else ''}{said}", flush=True)
    return said


def _checkpatch(tree: Path, patch: Path) -> str:
    options = ["--no-summary", "--terse", "--ignore", IGNORED]
    try:
        output(["perl", "scripts/checkpatch.pl", *options, patch], cwd=tree)
    except CommandError as error:
        return _tell(f"checkpatch {patch.name}", error.output)
    return _tell(f"checkpatch {patch.name}", "")


def _objects(series: list[Path]) -> list[str]:
    """What the series makes or changes of the kernel, as make's targets; its selftests are programs."""
    files = set().union(*map(patches.targets, series))
    sources = (file for file in files if file.endswith(".c") and not file.startswith("tools/"))
    return sorted(f"{file.removesuffix('.c')}.o" for file in sources)


def _build(tree: Path, variant: Variant, objects: list[str]) -> str:
    """Configure and compile; with sparse its warnings about rfork's own files count."""
    if variant.foreign and not shutil.which(f"{variant.foreign[1]}gcc"):
        print(f"skipped {variant.name}: install gcc-{variant.foreign[1].rstrip('-')}")
        return ""
    folder = tree.parent / f"check-{variant.name.replace(' ', '-')}"
    folder.mkdir(exist_ok=True)
    log = folder / "check.log"
    log.unlink(missing_ok=True)
    progress.note(f"kernel check: {variant.name}")
    make: list[str | Path] = ["make", "-C", tree, f"O={folder}", f"-j{os.cpu_count() or 1}"]
    if variant.foreign:
        make += [f"ARCH={variant.foreign[0]}", f"CROSS_COMPILE={variant.foreign[1]}"]
    wanted = folder / "wanted.config"
    wanted.write_text(kconfig.text(variant.wanted))
    try:
        logged([*make, "allnoconfig", f"KCONFIG_ALLCONFIG={wanted}"], log)
        kconfig.verify(folder / ".config", variant.wanted)
        logged([*make, *_targets(variant, objects)], log)
        said = _sparse(make, log) if variant.sparse else ""
    except KoboshiError as error:
        said = str(error)
    return _tell(variant.name, said)


def _targets(variant: Variant, objects: list[str]) -> list[str]:
    if variant.whole:
        return ["vmlinux"]
    off = variant.wanted.get("CONFIG_RFORK") == kconfig.OFF
    return [name for name in objects if not (off and name.startswith("kernel/rfork/"))]


def _sparse(make: list[str | Path], log: Path) -> str:
    said: list[str] = []

    def keep(text: str) -> None:
        if "rfork" in text and ("warning:" in text or "error:" in text) and BEYOND_SPARSE not in text:
            said.append(text)

    logged([*make, "C=2", "CHECK=sparse", "kernel/rfork/"], log, on_line=keep)
    return "\n".join(said)
