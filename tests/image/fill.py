# SPDX-License-Identifier: MIT
"""A component that uses up what it may leave behind in memory: files, their inodes, System V's IPC.

Runs in a guest. Prints what it got of each, in KiB or pieces, and stays.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import signal
import sys

FOLDERS = (
    "/tmp",
    "/dev/shm",
    "/run",
    "/run/koboshi",
    "/run/log",
    "/var/log",
    "/var/tmp",
    "/data",
    "/dev",
    "/",
)
IPC_PRIVATE = 0
SEGMENT = 1 << 20
BLOCK = bytes(1 << 16)


def bytes_in(folder: str) -> int:
    """KiB in one file until there is no space."""
    try:
        fd = os.open(f"{folder}/fill", os.O_WRONLY | os.O_CREAT, 0o600)
    except OSError:
        return 0
    written = 0
    try:
        while got := os.write(fd, BLOCK):
            written += got
    except OSError:
        pass
    return written >> 10


def files_in(folder: str) -> int:
    """Empty files until there is no inode."""
    for count in itertools.count():
        try:
            os.close(os.open(f"{folder}/fill.{count}", os.O_WRONLY | os.O_CREAT, 0o600))
        except OSError:
            return count
    return 0


def segments() -> int:
    """KiB of shared memory, each page of it touched."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.shmat.restype = ctypes.c_void_p
    for count in itertools.count():
        segment = libc.shmget(IPC_PRIVATE, SEGMENT, 0o600)
        if segment < 0:
            return count * SEGMENT >> 10
        address = libc.shmat(segment, None, 0)
        ctypes.memset(address, 1, SEGMENT)
        libc.shmdt(ctypes.c_void_p(address))
    return 0


def semaphores() -> int:
    """Sets of semaphores."""
    libc = ctypes.CDLL(None)
    return next(count for count in itertools.count() if libc.semget(IPC_PRIVATE, 250, 0o600) < 0)


def main() -> None:
    """All of it, one after the other."""
    for folder in FOLDERS:
        print(folder, bytes_in(folder), files_in(folder))
        sys.stdout.flush()
    print("ipc", segments(), semaphores())
    print("full")
    sys.stdout.flush()
    signal.pause()


main()
