# SPDX-License-Identifier: MIT
"""A cache of built things, keyed by what they are made from; an entry is a folder, whole or not there."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from koboshi_desk.core import places
from workbench.core import progress

KEY_LENGTH = 20  # hexadecimal digits; 80 bits are plenty among a few hundred entries
# What is rebuilt when it is missing.
KINDS = (
    "apt",
    "kernel",
    "linux",
    "download",
    "base",
    "busybox",
    "programs",
    "packages",
    "objects",
    "layer",
    "image",
    "buildroot-tree",
    "buildroot",
    "passed",
)
# Files that tools and manual builds leave in source folders are not inputs of a build.
LEFTOVERS = {"__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache", "build"}


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's contents as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def key(parts: Iterable[str | bytes | Path]) -> str:
    """The key of what is made from `parts`; a Path stands for its contents, a folder also for names."""
    digest = hashlib.sha256()
    for part in parts:
        data = _bytes_of(part)
        digest.update(b"%d:" % len(data) + data)  # with lengths: ("ab", "c") is not ("a", "bc")
    return digest.hexdigest()[:KEY_LENGTH]


def _bytes_of(part: str | bytes | Path) -> bytes:
    if isinstance(part, Path):
        if not part.is_dir():
            return file_digest(part).encode()
        files = sorted(path for path in part.rglob("*") if path.is_file())
        named = [(path.relative_to(part), path) for path in files]
        inputs = [(name, path) for name, path in named if LEFTOVERS.isdisjoint(name.parts)]
        return "\n".join(f"{name} {mode(path):o} {file_digest(path)}" for name, path in inputs).encode()
    return part.encode() if isinstance(part, str) else part


def mode(path: Path) -> int:
    """The permission bits that matter for an image: whether it may be executed."""
    return 0o755 if path.stat().st_mode & 0o100 else 0o644


@contextmanager
def lock(name: str) -> Iterator[None]:
    """Hold the lock `name` against other processes; says so when it has to wait."""
    path = places.cache_folder() / "locks" / name
    path.parent.mkdir(exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.note(f"waiting for another koboshi process that is building {name}")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def entry(kind: str, entry_key: str, build: Callable[[Path], None]) -> Path:
    """The folder of `kind` and `entry_key`, built by `build(empty folder)` if it is not there.

    Built aside and renamed into place, under a lock: a build that fails or is interrupted leaves no entry,
    and two at the same time build once.
    """
    path = places.cache_folder() / kind / entry_key
    if not path.is_dir():
        with lock(f"{kind}-{entry_key}"):
            if not path.is_dir():
                _build_aside(path, build)
    os.utime(path)  # what clean-cache goes by
    return path


def _build_aside(path: Path, build: Callable[[Path], None]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        build(aside)
        aside.chmod(0o755)
        aside.rename(path)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def clean(kinds: Iterable[str] = KINDS, older_than_days: float = 0) -> list[Path]:
    """Remove entries that were not used for this long, and report them.

    That is entries of `kinds` with what interrupted builds left, logs, and virtual environments.
    """
    limit = time.time() - older_than_days * 86400
    entries = [path for kind in kinds for path in _inside(places.cache_folder() / kind)]
    removed = []
    for path in [*entries, *_closed_logs(), *_other_environments()]:
        if path.stat().st_mtime <= limit:
            _remove(path)
            removed.append(path)
    return removed


def _inside(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _closed_logs() -> list[Path]:
    """Without those of the consoles that are open now, of which there are notes."""
    cache = places.cache_folder()
    logs, notes = _inside(cache / "logs"), cache / "running"
    return [path for path in logs if not (notes / f"{path.stem}.json").exists()]


def _other_environments() -> list[Path]:
    """The virtual environments of ./dev, without the one that this runs in."""
    return sorted(path for path in places.cache_folder().glob("venv-*") if path != Path(sys.prefix).resolve())


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
