# SPDX-License-Identifier: MIT
"""Where a program crashed: the kernel's words, and function and line where the ELF file is at hand."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from koboshi_desk.core.errors import KoboshiError

# A name may hold all that follows it, a PID in brackets too: the last one is the kernel's.
# arch/x86/mm/fault.c, show_signal_msg() and print_vma_addr(); since 6.10 with the offset in the file first.
SEGFAULT = re.compile(
    r"^(?P<name>.{1,15})\[(?P<pid>\d+)\]:? (?:segfault at (?P<address>[0-9a-f]+)|\S.*?) "
    r"(?:ip|rip):?\s*(?P<ip>[0-9a-f]+) .*?(?: in (?P<file>[^\s\[]+)\[(?:(?P<offset>[0-9a-f]+),)?"
    r"(?P<base>[0-9a-f]+)\+[0-9a-f]+\])?$"
)
TRAP = re.compile(r"^traps: ")
PLACE = re.compile(r"\b([\w.+-]+)\+0x([0-9a-f]+)\b")  # of crash records: a file, and an offset in it
LOOK_S = 20.0
MAGIC = b"\x7fELF"
PT_LOAD, PF_X = 1, 1


@dataclass(frozen=True)
class Fault:
    """A process that the kernel stopped; `ip` is its address, `offset` the file's (0: not known).

    `mapped`: the offset is that in the mapping of the code, which older kernels name instead.
    """

    name: str
    pid: int
    address: str
    ip: int
    file: str
    offset: int
    mapped: bool = False


def fault_in(text: str) -> Fault | None:
    """Return the fault that a kernel log line reports."""
    match = SEGFAULT.match(TRAP.sub("", text).split(" likely on CPU")[0])
    if not match:
        return None
    ip, base = int(match["ip"], 16), int(match["base"] or "0", 16)
    offset = int(match["offset"], 16) if match["offset"] else (ip - base if base else 0)
    names = match["name"], int(match["pid"]), match["address"] or ""
    return Fault(*names, ip, match["file"] or "", offset, mapped=not match["offset"])


class Elf:
    """Open a 64-bit program or library; raise KoboshiError if it is not one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            data = path.read_bytes()
        except OSError as error:
            raise KoboshiError(f"{path}: {error.strerror}; --elf names a program") from error
        try:
            self.fixed, self._loads = _loads(data)
        except (struct.error, ValueError, OverflowError) as error:
            expected = "--elf names a program of 64 bits, as it is on the device or unstripped"
            raise KoboshiError(f"{path}: not an ELF file; {expected}") from error

    def address(self, offset: int, mapped: bool = False) -> int | None:
        """The address that the file itself gives to what is at an offset in it, or in its code's mapping."""
        for flags, begin, address, size in self._loads:
            if mapped and flags & PF_X:
                return (address & ~0xFFF) + offset
            if not mapped and flags & PF_X and begin <= offset < begin + size:
                return address + offset - begin
        return None

    @cached_property
    def _addr2line(self) -> str | None:
        return shutil.which("addr2line")

    def place(self, address: int) -> str:
        """`track_next at track.c:88`, as much of it as the file has; "" for nothing."""
        if self._addr2line is None:
            return ""
        command = [self._addr2line, "-f", "-C", "-s", "-e", str(self.path), f"{address:#x}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LOOK_S)
        function, _, line = done.stdout.strip().partition("\n")
        if done.returncode or function in ("", "??"):
            return ""
        return f"{function} at {line.split(' (')[0]}" if not line.startswith("??") else function


def _loads(data: bytes) -> tuple[bool, list[tuple[int, int, int, int]]]:
    """Whether its addresses are fixed, and flags, offset, address and size of what is mapped (elf(5))."""
    if data[:5] != MAGIC + b"\x02":
        raise ValueError
    (kind,) = struct.unpack_from("<H", data, 16)
    (table,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    found = []
    for at in range(table, table + size * count, size or 1):
        what, flags, begin, address, _, length = struct.unpack_from("<IIQQQQ", data, at)
        if what == PT_LOAD:
            found.append((flags, begin, address, length))
    return kind == 2, found  # ET_EXEC


class Symbols:
    """A lookup of code locations in ELF files by file name."""

    def __init__(self, elves: Sequence[Path]) -> None:
        self._elves = {path.name: Elf(path) for path in elves}

    def place(self, fault: Fault) -> str:
        """`track_next at track.c:88`, or what the kernel said where the file is not known."""
        plain = f"{fault.file or fault.name}+{fault.offset:#x}" if fault.offset else f"ip {fault.ip:#x}"
        elf = self._elves.get(fault.file) or self._elves.get(fault.name)
        if elf is None:
            return plain
        address = elf.address(fault.offset, fault.mapped) if fault.offset else None
        address = fault.ip if address is None and elf.fixed else address
        found = elf.place(address) if address is not None else ""
        return f"{found} ({plain})" if found else plain

    def named(self, text: str) -> str:
        """A text with its `FILE+0xOFFSET`s as functions and lines, where the file is known."""
        return PLACE.sub(self._named, text)

    def _named(self, match: re.Match[str]) -> str:
        elf = self._elves.get(match[1])
        address = elf.address(int(match[2], 16)) if elf else None
        found = elf.place(address) if elf and address is not None else ""
        return f"{found} ({match[0]})" if found else match[0]
