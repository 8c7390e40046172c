# SPDX-License-Identifier: MIT
"""A layer of the quick image: Debian packages that a user names, with what they need and the base lacks.

The packages' scripts do not run, so a package that creates a user or an alternative in its script lacks it.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from workbench.core import cache, progress
from workbench.core.command import CommandError, output
from workbench.image import apt, base, cpio
from workbench.image.additions import AdditionError

# What maintains a Debian system is not needed on a device. apt takes these for installed already.
MAINTENANCE = (
    *("adduser", "apt", "base-files", "base-passwd", "bash", "bsdutils", "coreutils", "dash", "debconf"),
    *("debianutils", "diffutils", "dpkg", "findutils", "grep", "hostname", "init-system-helpers"),
    *("install-info", "login", "lsb-base", "mawk", "mount", "ncurses-bin", "passwd", "perl-base"),
    *("readline-common", "sed", "sensible-utils", "systemd", "sysvinit-utils", "tar", "ucf", "util-linux"),
)
_NAME = re.compile(r"[a-z0-9][a-z0-9.+-]+")
_NEWEST = "999:999"  # satisfies each dependency on a version
DROP_FILES = (
    *("usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/lintian", "usr/share/locale"),
    *("usr/share/bug", "usr/share/bash-completion", "usr/lib/systemd", "usr/include", "usr/lib/*/*.a"),
    *("etc/init.d", "etc/cron*", "etc/default", "etc/logrotate.d", "usr/lib/*/pkgconfig"),
)
# Extensions of Python that the base leaves out because it lacks their library, and the modules above them.
MODULES = {"_sqlite3": "sqlite3", "_curses": "curses", "_dbm": "dbm", "_ssl": "", "_hashlib": ""}


@dataclass(frozen=True)
class Layer:
    """The archive, and the names of the shared libraries in it."""

    archive: Path
    libraries: frozenset[str]


def build(names: Sequence[str], first: base.Base) -> Layer:
    """Build the layer; AdditionError if there is no such package."""
    wanted, there = tuple(sorted(set(names))), base.kept()
    installed = _installed(there, wanted)
    packages = _resolve(wanted, installed)

    def make(folder: Path) -> None:
        tree = folder / "tree"
        files = apt.download(wanted, packages, installed)
        progress.note(f"unpacking {', '.join(package.name for package in packages)}")
        for file in files:
            output(["dpkg-deb", "--extract", file, tree])
        base.merge_usr(tree)
        base.drop(tree, DROP_FILES)
        _link_alternatives(tree / base.LIBRARIES)
        _add_modules(first, folder / "python", tree)
        _compile(first, tree)
        cpio.write(folder / "packages.cpio", tree)
        libraries = sorted(path.name for path in (tree / base.LIBRARIES).glob("*.so*"))
        (folder / "libraries").write_text("\n".join(libraries))
        shutil.rmtree(tree)

    versions = [f"{package.name} {package.version} {package.checksum}" for package in packages]
    key = cache.key([*versions, first.identity, *map(Path, (__file__, base.__file__, cpio.__file__))])
    made = cache.entry("packages", key, make)
    return Layer(made / "packages.cpio", frozenset((made / "libraries").read_text().split()))


def _resolve(wanted: Sequence[str], installed: apt.Installed) -> list[apt.Package]:
    for name in wanted:
        if not _NAME.fullmatch(name):
            raise AdditionError("package", name, "is not a valid name of a Debian package")
    try:
        return apt.resolve(wanted, installed)
    except CommandError as error:
        named = re.findall(r"E: .*[Pp]ackage '?([a-z0-9.+-]+)'?", error.output)
        for name in named:
            problem = "this machine's package archive has no such package; try apt-cache search WORD"
            raise AdditionError("package", name, problem) from None
        raise


def _installed(there: Iterable[apt.Package], wanted: Sequence[str]) -> list[tuple[str, str]]:
    """What apt takes for installed: the base, and MAINTENANCE unless somebody asks for it."""
    versions = dict.fromkeys(MAINTENANCE, _NEWEST)
    for package in there:
        versions[package.name] = package.version
        if package.name.endswith("-minimal"):  # the base has what Debian calls python3
            versions[package.name.removesuffix("-minimal")] = package.version
    return sorted((name, version) for name, version in versions.items() if name not in wanted)


def _add_modules(first: base.Base, folder: Path, tree: Path) -> None:
    """Bring back the modules of MODULES whose libraries are there now."""
    packages = apt.resolve(base.PACKAGES)
    for package, file in zip(packages, apt.download(base.PACKAGES, packages), strict=True):
        if package.name.startswith("libpython3."):
            output(["dpkg-deb", "--extract", file, folder])
    base.merge_usr(folder)
    library = base.python_library(folder)
    there = {path.name for root in (first.tree, tree) for path in (root / base.LIBRARIES).glob("*")}
    for name, above in MODULES.items():
        extensions = list((library / "lib-dynload").glob(f"{name}.*"))
        if extensions and all(set(base.needed(path)) <= there for path in extensions):
            _bring(library, above, extensions, tree / library.relative_to(folder))
    shutil.rmtree(folder)


def _bring(library: Path, above: str, extensions: list[Path], target: Path) -> None:
    (target / "lib-dynload").mkdir(parents=True, exist_ok=True)
    for path in extensions:
        shutil.copy(path, target / "lib-dynload")
    if above:
        shutil.copytree(library / above, target / above, dirs_exist_ok=True)


def _link_alternatives(folder: Path) -> None:
    """Link what Debian's alternatives would: the packages' scripts do not run (libblas.so.3)."""
    for path in sorted(folder.glob("*/lib*.so.*")):
        if path.parent.name in ("blas", "lapack") and not (folder / path.name).exists():
            (folder / path.name).symlink_to(f"{path.parent.name}/{path.name}")


def _compile(first: base.Base, tree: Path) -> None:
    """Compile all modules: the image's own root would take the compiled ones, but in memory."""
    for folder in sorted((tree / "usr/lib").glob("python3*")):
        base.compile_python(first.tree, folder, tree, keep_source=True)
