# SPDX-License-Identifier: MIT
"""Kernel sources: found or fetched, checked, unpacked once, patched in place."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from koboshi_desk.core import places
from workbench.core import cache, download, progress
from workbench.core.command import CommandError, output
from workbench.kernel import archive, patches
from workbench.kernel.lines import Archived, KernelLine

PINNED = "workbench/kernel/lines.py"
SUFFIXES = (".xz", ".bz2", ".gz")  # of a tarball put by hand into the cache


SourceError = download.DownloadError


@dataclass(frozen=True)
class Source:
    """A tarball or a folder, and what identifies its contents."""

    path: Path
    identity: str
    description: str


def find(line: KernelLine, given: Path | None) -> Source:
    """The source: the one given, else what is on this machine, else what is pinned, from the network."""
    if given is not None:
        return _given(given)
    found = local(line)
    if found is not None:
        if found.path.parent == by_hand_place(line).parent and found.identity != _pinned(line).identity:
            progress.note(f"{found.path}: put there by hand and used as it is (SHA-256 {found.identity})")
        return found
    return _pinned(line, _download(line))


def local(line: KernelLine) -> Source | None:
    """What needs no network: a tarball put by hand into the cache, the package's, an earlier download."""
    if by_hand := _by_hand(line):
        return by_hand
    if line.package_tarball is not None and line.package_tarball.exists():
        return Source(line.package_tarball, cache.file_digest(line.package_tarball), _package_version(line))
    downloaded = places.cache_folder() / "download" / _download_key(line) / _download_name(line)
    return _pinned(line, downloaded) if downloaded.exists() else None


def _pinned(line: KernelLine, path: Path = Path()) -> Source:
    """What the line's record pins: Debian's package, or kernel.org's release."""
    if line.archived is not None:
        return Source(path, line.archived.sha256, str(line.archived.package))
    return Source(path, line.upstream_sha256, line.upstream_url)


def by_hand_place(line: KernelLine) -> Path:
    """Where a tarball may be put by hand, under the line's name, compressed in one of the usual ways."""
    return places.cache_folder() / "sources" / f"{line.folder.name}.tar.xz"


def _by_hand(line: KernelLine) -> Source | None:
    """Accept a file that the user put there, even with another sum; `find` reports the difference."""
    for suffix in SUFFIXES:
        path = by_hand_place(line).with_suffix(suffix)
        if path.is_file():
            digest = cache.file_digest(path)
            known = digest == _pinned(line).identity
            return Source(path, digest, _pinned(line).description if known else str(path))
    return None


def _given(path: Path) -> Source:
    if path.is_dir():
        if not (path / "Kbuild").exists():
            raise SourceError(
                path, "no kernel source", "a folder with a kernel's top Makefile and Kbuild is needed"
            )
        return Source(path.resolve(), _folder_identity(path.resolve()), str(path.resolve()))
    if not path.is_file():
        raise SourceError(path, "not there", "--linux-source takes a tarball or a folder of kernel source")
    return Source(path.resolve(), cache.file_digest(path), str(path.resolve()))


def _folder_identity(folder: Path) -> str:
    """By names, sizes and times: reading 1.5 GB at each build would cost more than it tells."""
    digest = hashlib.sha256(str(folder).encode())
    for parent, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            status = Path(parent, name).lstat()
            digest.update(f"{parent}/{name} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _package_version(line: KernelLine) -> str:
    query = ["dpkg-query", "-W", "-f", "${Package} ${Version}", str(line.package)]
    try:
        done = subprocess.run(query, capture_output=True, text=True)
    except FileNotFoundError:
        return str(line.package_tarball)
    return done.stdout or str(line.package_tarball)


def _download(line: KernelLine) -> Path:
    name = _download_name(line)

    def fetch(folder: Path) -> None:
        if line.archived is not None:
            _fetch_package(line, line.archived, folder / name)
            return
        download.fetch(
            line.upstream_url, line.upstream_sha256, folder / name, pinned=PINNED, instead=_instead(line)
        )

    return cache.entry("download", _download_key(line), fetch) / name


def _fetch_package(line: KernelLine, archived: Archived, tarball: Path) -> None:
    try:
        archive.fetch(archived.package, tarball)
    except CommandError as error:
        reason = f"cannot be fetched ({error.output.strip()})"
        raise SourceError(str(archived.package), reason, _instead(line)) from error
    download.verify(tarball, archived.sha256, PINNED)


def _instead(line: KernelLine) -> str:
    package = f"install Debian's package {line.package}, or " if line.package else ""
    by_hand = f"put its tarball at {by_hand_place(line)} (or .bz2, .gz)"
    return f"{package}give --linux-source TARBALL_OR_FOLDER, or {by_hand}"


def _download_key(line: KernelLine) -> str:
    return _pinned(line).identity[: cache.KEY_LENGTH]


def _download_name(line: KernelLine) -> str:
    return f"source.tar{Path(line.upstream_url).suffix or '.xz'}"


def unpack(source: Source, line: KernelLine) -> patches.Tree:
    """The source unpacked in the cache, ready to be patched in place; its object tree goes beside it."""

    def build(folder: Path) -> None:
        target = folder / "source"
        progress.note(f"unpacking {source.path}")
        if source.path.is_dir():
            shutil.copytree(source.path, target, symlinks=True, ignore=shutil.ignore_patterns(".git"))
        else:
            target.mkdir()
            command: list[str | Path] = [
                "tar",
                "-x",
                "-f",
                source.path,
                "--strip-components=1",
                "--no-same-owner",
                "-C",
                target,
            ]
            output(command)

    folder = cache.entry("linux", cache.key([line.name, source.identity]), build)
    return patches.Tree(folder / "source", folder / "pristine", folder / "patched.json")
