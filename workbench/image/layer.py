# SPDX-License-Identifier: MIT
"""The quick image's second layer: what this repository brings, made in seconds."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from workbench.core import cache, objects
from workbench.core.command import logged, output
from workbench.core.repository import REPOSITORY
from workbench.image import accounts, base, cpio

OVERLAY = REPOSITORY / "overlay"
SUPERVISOR = REPOSITORY / "supervisor"
PROGRAMS = ("koboshi-supervisor", "koboshictl", "koboshi-publish")
LIBRFORK = REPOSITORY / "librfork"
COMPONENTS = REPOSITORY / "components"
MANIFEST = COMPONENTS / "koboshi.toml"
PYTHON_FOLDER = Path("usr/lib/koboshi")

# Folders that the static files cannot bring: git keeps no empty ones.
FOLDERS = (
    "data",
    "dev",
    "etc",
    "mnt",
    "proc",
    "root",
    "run",
    "sys",
    "tmp",
    "usr/bin",
    "usr/lib",
    "usr/sbin",
    "var/log",
)
# The kernel opens /dev/console before anything is mounted.
NODES = (cpio.Node("dev/console", 0o600, 5, 1), cpio.Node("dev/null", 0o666, 1, 3))

Extra = Mapping[str, Path | bytes]  # path in the image: a file here, or contents


def build(first: base.Base, manifest: Path, extra: Extra) -> Path:
    """The layer as a cpio archive, with `manifest` as /etc/koboshi/koboshi.toml."""
    flat = [part for path, content in sorted(extra.items()) for part in (path, content)]
    parts = [*_inputs(), first.identity, manifest, *flat]
    key = cache.key(parts)

    def make(folder: Path) -> None:
        _make(folder, first, manifest, extra)
        if cache.key(parts) != key:
            raise objects.ChangedError

    return cache.entry("layer", key, make) / "layer.cpio"


def _inputs() -> list[str | Path]:
    """All that the layer is made from, besides the manifest."""
    makers = map(Path, (__file__, cpio.__file__, accounts.__file__))
    return [*_compilers(), *_sources(), *makers]


def _sources() -> list[Path]:
    """What is copied and compiled."""
    library = (LIBRFORK / name for name in ("include", "src", "monitor", "run", "python", "Makefile"))
    return [OVERLAY, SUPERVISOR, COMPONENTS, *library]


def _compilers() -> list[str]:
    """Of the static programs (musl where it is there) and of the extension (its Python's C library)."""
    there = [compiler for compiler in ("gcc", "musl-gcc") if shutil.which(compiler)]
    return [compiler + output([compiler, "--version"]).splitlines()[0] for compiler in there]


def _make(folder: Path, first: base.Base, manifest: Path, extra: Extra) -> None:
    tree = folder / "tree"
    name = cache.key([str(REPOSITORY), *_compilers()])
    with cache.lock("objects"), objects.folder(name, _sources()) as built:
        _fill(tree, manifest, extra, built)
    # With the source beside it: a traceback shows the line.
    base.compile_python(first.tree, tree / PYTHON_FOLDER, tree, keep_source=True)
    cpio.write(folder / "layer.cpio", tree, NODES)
    shutil.rmtree(tree)


def _fill(tree: Path, manifest: Path, extra: Extra, built: Path) -> None:
    shutil.copytree(OVERLAY, tree, symlinks=True)
    for name in FOLDERS:
        (tree / name).mkdir(parents=True, exist_ok=True)
    (tree / "init").symlink_to("usr/bin/busybox")
    (tree / "tmp").chmod(0o1777)
    _build_programs(tree, built)
    _add_supervisor(tree)
    _put(tree, "etc/koboshi/koboshi.toml", manifest)
    accounts.add(tree / "etc", manifest)
    for path, content in extra.items():
        _put(tree, path.lstrip("/"), content)


def _build_programs(tree: Path, built: Path) -> None:
    """librfork, then what is linked with it; the makefiles choose the compilers."""
    log = built / "build.log"
    log.unlink(missing_ok=True)
    library = built / "librfork"
    static = library / "librfork-static.a"
    install = ["install", f"DESTDIR={tree}"]
    logged(["make", f"-j{os.cpu_count() or 1}", "-C", LIBRFORK, f"BUILD={library}", "all", static], log)
    options = [f"BUILD={built}/python", f"LIBRFORK={library}/librfork.a", f"PYTHONDIR=/{PYTHON_FOLDER}"]
    logged(["make", "-C", LIBRFORK / "python", *options, *install], log)
    options = [f"BUILD={built}/components", f"LIBRFORK={static}", f"PYTHONDIR=/{PYTHON_FOLDER}"]
    logged(["make", "-C", COMPONENTS, *options, *install], log)
    shutil.copy(library / "rfork-run", tree / "usr/bin/rfork-run")


def _add_supervisor(tree: Path) -> None:
    target = tree / PYTHON_FOLDER / "koboshi"
    shutil.copytree(SUPERVISOR / "koboshi", target, ignore=shutil.ignore_patterns("__pycache__"))
    for name in PROGRAMS:
        shutil.copy(SUPERVISOR / name, tree / "usr/bin" / name)


def _put(tree: Path, path: str, content: Path | bytes) -> None:
    target = tree / path
    target.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        target.write_bytes(content)
    else:
        shutil.copy(content, target)
