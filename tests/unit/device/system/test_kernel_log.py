# SPDX-License-Identifier: MIT
"""The kernel's log, as new and as old kernels give it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from koboshi.system.kernel_log import KernelLog

OLD = b"""\
<4>[    0.000000] Linux version 2.6.23
<6>a[42]: segfault at 0000000000000008 rip 00000000004004f8 rsp 00007fff rw 6
<3>[   12.345678] Out of memory: Killed process 42 (a).
<30>forged[1]: segfault at 0 rip 0
no level
<6>[   13.0000"""


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[KernelLog, int]:
    """A log whose /dev/kmsg can only be written, with a /proc/kmsg that can be read, and its other end."""
    records, lines = tmp_path / "records", tmp_path / "lines"
    records.touch()
    os.mkfifo(lines)
    read = os.read

    def reading(fd: int, size: int) -> bytes:
        if os.path.samestat(os.fstat(fd), records.stat()):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return read(fd, size)

    monkeypatch.setattr(os, "read", reading)
    return KernelLog(str(records), str(lines)), os.open(lines, os.O_RDWR)


def test_lines_of_an_old_kernel(old: tuple[KernelLog, int]) -> None:
    """Levels and times are taken off; a line of a program, and one that is not complete, are left out."""
    log, kernel = old
    os.write(kernel, OLD)
    assert log.messages() == [
        (0.0, "Linux version 2.6.23"),
        (0.0, "a[42]: segfault at 0000000000000008 rip 00000000004004f8 rsp 00007fff rw 6"),
        (12.345678, "Out of memory: Killed process 42 (a)."),
    ]
    assert log.messages() == []
    os.write(kernel, b"00] later\n")
    assert log.messages() == [(13.0, "later")]


def test_records_of_a_new_kernel(tmp_path: Path) -> None:
    """Each read is a record; what a program has written into /dev/kmsg is not the kernel's."""
    path = tmp_path / "records"
    path.write_bytes(b"6,339,5140900,-;a[1]: segfault\n SUBSYSTEM=x\n")
    assert KernelLog(str(path), "/nowhere").messages() == [(5.1409, "a[1]: segfault")]
    path.write_bytes(b"14,340,5140901,-;a[1]: segfault\n")
    assert KernelLog(str(path), "/nowhere").messages() == []


def test_no_log(tmp_path: Path) -> None:
    """Without the right to read it there are no messages, and the next call tries again."""
    log = KernelLog(str(tmp_path / "no"), str(tmp_path / "nor"))
    assert log.messages() == []
    (tmp_path / "no").write_bytes(b"6,1,1000000,-;late\n")
    assert log.messages() == [(1.0, "late")]
