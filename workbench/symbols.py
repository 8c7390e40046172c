# SPDX-License-Identifier: MIT
"""Where a program crashed: the kernel's words, and function and line where the ELF file is at hand."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import WorkbenchError

# arch/x86/mm/fault.c, show_signal_msg() and print_vma_addr(); since 6.10 with the offset in the file first.
SEGFAULT = re.compile(
    r"^(?P<name>\S+)\[(?P<pid>\d+)\]:? (?:segfault at (?P<address>[0-9a-f]+)|\S.*?) "
    r"(?:ip|rip):?\s*(?P<ip>[0-9a-f]+) .*?(?: in (?P<file>[^\s\[]+)\[(?:(?P<offset>[0-9a-f]+),)?"
    r"(?P<base>[0-9a-f]+)\+[0-9a-f]+\])?$"
)
TRAP = re.compile(r"^traps: ")
LOOK_S = 20.0
MAGIC = b"\x7fELF"


@dataclass(frozen=True)
class Fault:
    """A process that the kernel stopped; `ip` is its address, `offset` the file's (0: not known)."""

    name: str
    pid: int
    address: str
    ip: int
    file: str
    offset: int


def fault_in(text: str) -> Fault | None:
    """The fault that a line of the kernel's tells of."""
    match = SEGFAULT.match(TRAP.sub("", text).split(" likely on CPU")[0])
    if not match:
        return None
    ip, base = int(match["ip"], 16), int(match["base"] or "0", 16)
    offset = int(match["offset"], 16) if match["offset"] else (ip - base if base else 0)
    return Fault(match["name"], int(match["pid"]), match["address"] or "", ip, match["file"] or "", offset)


def _checked(path: Path) -> Path:
    try:
        with path.open("rb") as file:
            magic = file.read(len(MAGIC))
    except OSError as error:
        raise WorkbenchError(f"{path}: {error.strerror}; --elf names a program") from error
    if magic != MAGIC:
        raise WorkbenchError(
            f"{path}: not an ELF file; --elf names a program, as it is on the device or unstripped"
        )
    return path


class Symbols:
    """Finds places in ELF files, by the files' names."""

    def __init__(self, elves: Sequence[Path]) -> None:
        self._elves = {elf.name: _checked(elf) for elf in elves}

    def place(self, fault: Fault) -> str:
        """`track_next at track.c:88`, or what the kernel said where the file is not known."""
        plain = f"{fault.file or fault.name}+{fault.offset:#x}" if fault.offset else f"ip {fault.ip:#x}"
        elf = self._elves.get(fault.file) or self._elves.get(fault.name)
        if elf is None or shutil.which("addr2line") is None:
            return plain
        found = {self._ask(elf, address) for address in (fault.ip, fault.offset)} - {""}
        return f"{min(found)} ({plain})" if found else plain

    def _ask(self, elf: Path, address: int) -> str:
        command = ["addr2line", "-f", "-s", "-e", str(elf), f"{address:#x}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LOOK_S)
        function, _, line = done.stdout.strip().partition("\n")
        if done.returncode or function in ("", "??"):
            return ""
        return f"{function} at {line}" if not line.startswith("??") else function
