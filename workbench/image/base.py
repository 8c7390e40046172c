# SPDX-License-Identifier: MIT
"""The quick image's first layer: BusyBox, Python and their libraries, from Debian's packages, cut down."""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from koboshi_desk.core.errors import KoboshiError
from workbench.core import cache, progress
from workbench.core.command import output
from workbench.image import apt, cpio

PACKAGES = ("busybox-static", "python3-minimal", "libpython3-stdlib", "libgcc-s1")
# The dependencies hold much that a device does not run: configuration dialogues, OpenSSL, Berkeley DB.
KEEP_PACKAGES = (
    "busybox-static",
    "python3*",
    "libpython3*",
    "libc6",
    "libgcc-s1",
    "libcrypt1",
    "libexpat1*",
    "zlib1g*",
    "libffi*",
    "libbz2*",
    "liblzma5*",
    "libuuid1*",
)
DROP_FILES = (
    "etc/*",
    "usr/share/*",
    "var/*",
    "usr/lib/valgrind/*",
    "usr/lib/*/gconv/*",
    "usr/lib/*/audit/*",
    "usr/lib/*/perl*",
    "usr/sbin/*",
    "usr/bin/py*clean",
    "usr/bin/py*compile",
    "usr/bin/pdb*",
    "usr/bin/pydoc*",
    "usr/bin/pygettext*",
    "usr/bin/2to3*",
    "usr/bin/catchsegv",
    "usr/bin/getconf",
    "usr/bin/getent",
    "usr/bin/iconv",
    "usr/bin/ldd",
    "usr/bin/locale",
    "usr/bin/localedef",
    "usr/bin/tzselect",
    "usr/bin/zdump",
    "usr/bin/pldd",
    "usr/bin/sotruss",
    "usr/bin/sprof",
    "usr/lib/*/libmvec.*",
    "usr/lib/*/libBrokenLocale.*",
    "usr/lib/*/libmemusage.*",
    "usr/lib/*/libpcprofile.*",
    "usr/lib/*/libc_malloc_debug.*",
    "usr/lib/*/libthread_db.*",
    "usr/lib/*/libnsl.*",
    "usr/lib/*/libnss_[!f]*",
    "usr/lib/*/libexpatw.*",
    "usr/lib/locale/*",
    "usr/lib/python3/dist-packages/*",
)
DROP_MODULES = (  # of Python's standard library
    "config-*",
    "curses",
    "dbm",
    "distutils",
    "ensurepip",
    "idlelib",
    "lib2to3",
    "pydoc_data",
    "sqlite3",
    "test",
    "tests",
    "tkinter",
    "turtle.py",
    "turtledemo",
    "venv",
    "wsgiref",
    "xmlrpc",
    "_pydecimal.py",
    "pydoc.py",
    "__phello__",
    "sitecustomize.py",
    "LICENSE.txt",
    "unittest",
    "doctest.py",
    "pdb.py",
    "pickletools.py",
    "mailbox.py",
    "lib-dynload/audioop*",
    "lib-dynload/ossaudiodev*",
    "lib-dynload/_test*",
    "lib-dynload/xx*",
    "lib-dynload/_xx*",
    "lib-dynload/_ctypes_test*",
    "lib-dynload/_codecs_*",
    "lib-dynload/readline*",
    "lib-dynload/_tkinter*",
)
LIBRARIES = Path("usr/lib/x86_64-linux-gnu")
_NEEDED = re.compile(r"\(NEEDED\)\s+Shared library: \[([^]]+)\]")


class BaseError(KoboshiError):
    """Debian's packages are not as this module expects them."""


@dataclass(frozen=True)
class Base:
    """The layer: its archive, the same as a tree (whose Python runs here), and what identifies it."""

    archive: Path
    tree: Path
    identity: str


def kept() -> list[apt.Package]:
    """The packages that the layer is made from."""
    return [package for package in apt.resolve(PACKAGES) if _matches(package.name, KEEP_PACKAGES)]


def build() -> Base:
    """The layer, from the cache while the package archive has the same versions."""
    packages, chosen = apt.resolve(PACKAGES), kept()

    def make(folder: Path) -> None:
        files = dict(zip(packages, apt.download(PACKAGES, packages), strict=True))
        tree = folder / "tree"
        progress.note("making the base layer")
        for package in chosen:
            output(["dpkg-deb", "--extract", files[package], tree])
        fill(tree)
        cpio.write(folder / "base.cpio", tree)
        (folder / "packages").write_text("".join(f"{package.name} {package.version}\n" for package in chosen))

    versions = [f"{package.name} {package.version} {package.checksum}" for package in chosen]
    folder = cache.entry("base", cache.key([*versions, Path(__file__), Path(cpio.__file__)]), make)
    return Base(folder / "base.cpio", folder / "tree", folder.name)


def fill(tree: Path) -> None:
    """Make the unpacked packages a small root: merged /usr, few files, Python compiled, BusyBox linked."""
    merge_usr(tree)
    drop(tree, DROP_FILES)
    library = python_library(tree)
    drop(library, DROP_MODULES)
    _drop_unusable_modules(tree, library)
    compile_python(tree, library, tree, keep_source=False)
    _link_busybox(tree)


def merge_usr(tree: Path) -> None:
    """/bin, /lib, /lib64 and /sbin become links into /usr, as Debian has it in an installed system."""
    for name in ("bin", "lib", "lib64", "sbin"):
        old, new = tree / name, tree / "usr" / name
        if old.is_dir() and not old.is_symlink():
            shutil.copytree(old, new, symlinks=True, dirs_exist_ok=True)
            shutil.rmtree(old)
        new.mkdir(parents=True, exist_ok=True)
        if not old.is_symlink():
            old.symlink_to(f"usr/{name}")


def python_library(tree: Path) -> Path:
    """The folder of the standard library in a tree."""
    found = sorted((tree / "usr/lib").glob("python3.*"))
    if len(found) != 1:
        raise BaseError(f"usr/lib/python3.*: {len(found)} folders in the packages; one Python is expected")
    return found[0]


def compile_python(base_tree: Path, folder: Path, root: Path, *, keep_source: bool) -> None:
    """Compile a folder below `root` with the Python of the image, which runs here through its own loader.

    Without source the modules are .pyc in their places: half the size. Unchecked: files in an image do not
    change, and their times are all the same.
    """
    libraries = base_tree / LIBRARIES
    interpreter = base_tree / "usr/bin" / python_library(base_tree).name
    layout = [] if keep_source else ["-b"]
    output(
        [
            base_tree / "usr/lib64/ld-linux-x86-64.so.2",
            "--library-path",
            libraries,
            interpreter,
            "-S",
            "-m",
            "compileall",
            "-q",
            "-f",
            "--invalidation-mode",
            "unchecked-hash",
            "-s",
            root,
            "-p",
            "/",
            *layout,
            folder,
        ],
        env={
            "PYTHONHOME": str(base_tree / "usr"),
            "PYTHONPATH": "",
            "PYTHONPYCACHEPREFIX": "",
            "PYTHONHASHSEED": "0",
        },
    )
    if not keep_source:
        for path in sorted(folder.rglob("*.py")):
            path.unlink()


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatch(name, pattern) for pattern in patterns)


def drop(tree: Path, patterns: tuple[str, ...]) -> None:
    """Remove what matches, and compiled modules."""
    for pattern in patterns:
        for path in sorted(tree.glob(pattern)):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
    for path in sorted(tree.rglob("__pycache__")):
        shutil.rmtree(path)


def _drop_unusable_modules(tree: Path, library: Path) -> None:
    """Modules whose libraries were left out: an ImportError that says so is better than the loader's."""
    there = {path.name for path in (tree / LIBRARIES).iterdir()} | {"ld-linux-x86-64.so.2"}
    for path in sorted((library / "lib-dynload").glob("*.so")):
        if not set(needed(path)) <= there:
            path.unlink()
    for path in _programs(tree):
        missing = set(needed(path)) - there
        if missing:
            raise BaseError(
                f"{path.relative_to(tree)} needs {sorted(missing)}: add their package to KEEP_PACKAGES"
            )


def needed(path: Path) -> list[str]:
    """The shared libraries that a program or library names."""
    return _NEEDED.findall(output(["readelf", "-d", path]))


def _programs(tree: Path) -> Iterator[Path]:
    for folder in (tree / "usr/bin", tree / LIBRARIES):
        for path in sorted(folder.iterdir()):
            if path.is_file() and not path.is_symlink() and path.read_bytes()[:4] == b"\x7fELF":
                yield path


def _link_busybox(tree: Path) -> None:
    """A link for each of BusyBox's programs that is not there yet."""
    busybox = tree / "usr/bin/busybox"
    for name in output([busybox, "--list-full"]).split():
        link = tree / "usr" / name.removeprefix("usr/")
        link.parent.mkdir(parents=True, exist_ok=True)
        if not os.path.lexists(link):
            link.symlink_to("/usr/bin/busybox")
