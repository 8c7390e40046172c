# SPDX-License-Identifier: MIT
"""Files whose paths a manifest gives, opened by root so that no component decides what is opened.

As librfork/run/path.c does it: folder by folder, and with links only as long as nobody but root can change
them.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat

from koboshi.manifest.runner_args import ENVIRONMENT_FD

_MOST_LINKS = 40
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


class RefusedError(OSError):
    """A path, or what is there, that root does not use; `strerror` says why."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(errno.EPERM, f"{path} {why}")


class Place:
    """A name in a folder; to be closed."""

    def __init__(self) -> None:
        self.folder = -1
        self.name = "."
        self.guarded = True  # only root can change what the name stands for
        self.sticky = False  # in a folder such as /tmp

    def close(self) -> None:
        """Its folder."""
        if self.folder >= 0:
            os.close(self.folder)
        self.folder = -1

    def look(self) -> os.stat_result:
        """What is there, links not followed."""
        return os.stat(self.name, dir_fd=self.folder, follow_symlinks=False)


def _is_closed(found: os.stat_result) -> bool:
    return found.st_uid == 0 and not found.st_mode & _OTHERS_WRITE


def _is_sticky(found: os.stat_result) -> bool:
    return found.st_uid == 0 and bool(found.st_mode & stat.S_ISVTX)


def _enter(place: Place, word: str) -> None:
    before = os.fstat(place.folder)
    folder = os.open(word, _FOLDER | os.O_NOFOLLOW, dir_fd=place.folder)
    os.close(place.folder)
    place.folder = folder
    roots = os.fstat(folder).st_uid == 0
    place.guarded = place.guarded and (_is_closed(before) or (_is_sticky(before) and roots))


def _link(place: Place, word: str) -> str | None:
    """Where a link leads; RefusedError in a folder that others than root can write."""
    try:
        target = os.readlink(word, dir_fd=place.folder)
    except OSError:
        return None
    if not (place.guarded and _is_closed(os.fstat(place.folder))):
        raise RefusedError(word, "is a symbolic link in a folder that others than root can write")
    return target


def find(path: str) -> Place:
    """Where a path leads; OSError where it leads nowhere, RefusedError where it must not be followed."""
    place = Place()
    # As it is, for ".." after a link means the folder above the link's target.
    whole = path if path.startswith("/") else f"{os.getcwd()}/{path}"
    left, links = [word for word in whole.split("/") if word], 0
    try:
        place.folder = os.open("/", _FOLDER)
        while left:
            word = left.pop(0)
            target = _link(place, word)
            if target is not None:
                links += 1
                if links > _MOST_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
                left = [part for part in target.split("/") if part] + left
                if target.startswith("/"):
                    place.close()
                    place.folder, place.guarded = os.open("/", _FOLDER), True
            elif left or word in (".", ".."):
                _enter(place, word)
            else:
                place.name = word
        here = os.fstat(place.folder)
        place.sticky = place.guarded and _is_sticky(here)
        place.guarded = place.guarded and _is_closed(here)
    except OSError:
        place.close()
        raise
    return place


def own_folder(path: str) -> None:
    """Make a folder that only root can change, with those above it; RefusedError where it is not one.

    Then plain names in it can be trusted. Who is not root acts with the rights of a user only.
    """
    if os.geteuid() != 0:
        os.makedirs(path, 0o755, exist_ok=True)
        return
    words = [word for word in os.path.abspath(path).split("/") if word]
    for count in range(1, len(words) + 1):
        _own_part("/" + "/".join(words[:count]), count == len(words))


def _own_part(path: str, last: bool) -> None:
    place = find(path)
    try:
        try:
            os.stat(place.name, dir_fd=place.folder)
        except FileNotFoundError:
            _make(place, path)
        closed = _is_closed(place.look())
        if last and not (closed and (place.guarded or place.sticky)):
            raise RefusedError(path, "can be written by others than root")
    finally:
        place.close()


def _make(place: Place, path: str) -> None:
    if not (place.guarded or place.sticky):
        raise RefusedError(path, "is in a folder that others than root can write")
    try:
        os.mkdir(place.name, 0o755, dir_fd=place.folder)
    except FileExistsError:
        pass


def filled_pipe(data: bytes) -> int:
    """The reading end of a pipe that holds this. E2BIG where it does not fit: nobody reads while we write.

    A number above ENVIRONMENT_FD, so that it is a copy with that number that is inherited.
    """
    reading, writing = os.pipe()
    try:
        os.set_blocking(writing, False)
        if os.write(writing, data) != len(data):
            raise OSError(errno.E2BIG, os.strerror(errno.E2BIG))
        # F_DUPFD_CLOEXEC is younger than Linux 2.6.23.
        copy = fcntl.fcntl(reading, fcntl.F_DUPFD, ENVIRONMENT_FD + 1)
        os.set_inheritable(copy, False)
        return copy
    finally:
        os.close(reading)
        os.close(writing)


def private(path: str, flags: int) -> int:
    """An opener: for root alone, also what an earlier version has left half written for everybody."""
    fd = os.open(path, flags | os.O_NOFOLLOW, 0o600)
    os.fchmod(fd, 0o600)
    return fd
