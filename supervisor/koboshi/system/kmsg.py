# SPDX-License-Identifier: MIT
"""Where programs crashed, as the kernel's log tells it ("segfault at ... ip ... in libc.so.6[...]")."""

from __future__ import annotations

import re

# arch/x86/mm/fault.c and arch/x86/kernel/traps.c; 2.6.23 says rip and names no file.
# A process names itself, in at most 15 bytes, and the name may look like all of this: the last PID counts.
_CRASH = re.compile(
    r"^(?:traps: )?.{1,15}\[(?P<pid>\d+)\]:? "
    r"(?:segfault at [0-9a-f]+|trap [a-z ]+|general protection(?: fault)?)"
    r" r?ip[: ](?P<ip>[0-9a-f]+) r?sp[: ][0-9a-f]+ error[: ][0-9a-f]+"
)
_FILE = re.compile(r" in (?P<file>\S+)\[(?:(?P<offset>[0-9a-f]+),)?(?P<base>[0-9a-f]+)\+[0-9a-f]+\]")
# kernel.print-fatal-signals: show_regs() of arch/x86/kernel/process_64.c, a few lines.
_FATAL = "potentially unexpected fatal signal"
_OWNER = re.compile(r"^CPU: \d+ (?:UID: \d+ )?PID: (\d+) Comm: ")
_REGISTER = re.compile(r"\b(R[A-Z0-9]{1,2}|EFLAGS|CR2): +(?:[0-9a-f]{4}:)?(?:0x)?([0-9a-f]{4,16})\b")
_LINES = 16
_KEPT = 64


def parse(line: str) -> tuple[int, str] | None:
    """PID and place of a crash: FILE+0xOFFSET, or 0xADDRESS where the kernel named no file."""
    found = _CRASH.match(line)
    if found is None:
        return None
    pid, address = int(found["pid"]), int(found["ip"], 16)
    mapped = _FILE.search(line)
    if mapped is None:
        return pid, f"{address:#x}"
    offset = int(mapped["offset"], 16) if mapped["offset"] else address - int(mapped["base"], 16)
    return pid, f"{mapped['file']}+{offset:#x}"


class Crashes:
    """The last crashes, by PID."""

    def __init__(self) -> None:
        self.sites: dict[int, str] = {}
        self.lines: dict[int, str] = {}
        self.registers: dict[int, dict[str, str]] = {}
        # The process whose registers are being told, and for how many lines yet.
        self._owner = self._left = 0

    def take(self, lines: list[str]) -> None:
        """More of the kernel's log."""
        for line in lines:
            found = parse(line)
            if found is not None:
                pid, site = found
                self.sites.pop(pid, None)
                self.sites[pid], self.lines[pid] = site, line
                while len(self.sites) > _KEPT:
                    oldest = next(iter(self.sites))
                    del self.sites[oldest], self.lines[oldest]
            self._take_registers(line)

    def _take_registers(self, line: str) -> None:
        if _FATAL in line:
            self._owner, self._left = 0, _LINES
        elif self._left:
            self._left -= 1
            owner = _OWNER.match(line)
            if owner is not None:
                self._owner = int(owner[1])
                self.registers[self._owner] = {}
                while len(self.registers) > _KEPT:
                    del self.registers[next(iter(self.registers))]
            elif self._owner:
                found = ((name.lower(), value.lstrip("0") or "0") for name, value in _REGISTER.findall(line))
                self.registers[self._owner].update(found)
