# SPDX-License-Identifier: MIT
"""Where programs crashed, as the kernel's log tells it ("segfault at ... ip ... in libc.so.6[...]")."""

from __future__ import annotations

import re

# arch/x86/mm/fault.c and arch/x86/kernel/traps.c; 2.6.23 says rip and names no file. A process may be called
# "v[4711]: trap": the longest name that fits is taken, so that the last number is the kernel's own.
_CRASH = re.compile(
    r"^(?:traps: )?(?P<name>.{1,15})\[(?P<pid>\d+)\]:? "
    r"(?:segfault at [0-9a-f]+|trap [a-z0-9 ]+|general protection(?: fault)?)"
    r" r?ip[: ](?P<ip>[0-9a-f]+) r?sp[: ][0-9a-f]+ error[: ][0-9a-f]+"
)
_FILE = re.compile(r" in (?P<file>\S+)\[(?:(?P<offset>[0-9a-f]+),)?(?P<base>[0-9a-f]+)\+[0-9a-f]+\]")
# kernel.print-fatal-signals: show_regs() of arch/x86/kernel/process_64.c, a few lines.
_FATAL = "potentially unexpected fatal signal"
_OWNER = re.compile(r"^CPU: \d+ (?:UID: \d+ )?PID: (\d+) Comm: ")
_REGISTER = re.compile(r"\b(R[A-Z0-9]{1,2}|EFLAGS|CR2): +(?:[0-9a-f]{4}:)?(?:0x)?([0-9a-f]{4,16})\b")
_LINES = 16
# The clock of the kernel's log is not adjusted, and drifts from CLOCK_MONOTONIC.
_SOON_S = 10.0
# mm/oom_kill.c, of the machine and of a control group; 2.6.23 names the process that it dies for first.
_KILLED = re.compile(r"(?:(?:Memory cgroup out|Out) of memory: )?Killed process (\d+) ")
# What the kernel says, and the signals that the process may have ended with.
_SIGNALS = (
    ("segfault", ("SIGSEGV", "SIGBUS")),
    ("general protection", ("SIGSEGV", "SIGBUS")),
    ("trap divide", ("SIGFPE",)),
    ("trap invalid opcode", ("SIGILL",)),
    ("trap int3", ("SIGTRAP",)),
    ("trap stack", ("SIGBUS",)),
)
_KEPT = 64


def _fits(line: str, status: str) -> bool:
    signals = next((names for text, names in _SIGNALS if text in line), ())
    return status.removeprefix("signal:") in signals


def parse(line: str) -> tuple[int, str, str] | None:
    """Thread, place and name of a crash; the place is FILE+0xOFFSET, or 0xADDRESS without a file."""
    found = _CRASH.match(line)
    if found is None:
        return None
    pid, address = int(found["pid"]), int(found["ip"], 16)
    mapped = _FILE.search(line)
    if mapped is None:
        return pid, f"{address:#x}", found["name"]
    offset = int(mapped["offset"], 16) if mapped["offset"] else address - int(mapped["base"], 16)
    return pid, f"{mapped['file']}+{offset:#x}", found["name"]


class Crashes:
    """The last crashes, by PID."""

    def __init__(self) -> None:
        self.sites: dict[int, str] = {}
        self.lines: dict[int, str] = {}
        self.registers: dict[int, dict[str, str]] = {}
        # Threads whose process is not known yet: name and time.
        self.fresh: dict[int, tuple[str, float]] = {}
        self.out_of_memory: dict[int, None] = {}
        # When the kernel last told of a process; 0 for a kernel that stamps no lines.
        self._told: dict[int, float] = {}
        # The process whose registers are being told, and for how many lines yet.
        self._owner = self._left = 0

    def take(self, lines: list[tuple[float, str]]) -> None:
        """More of the kernel's log."""
        for time, line in lines:
            before = self._owner
            found = parse(line)
            if found is not None:
                pid, site, name = found
                self._note_time(pid, time)
                self.sites.pop(pid, None)
                self.sites[pid], self.lines[pid] = site, line
                self.fresh[pid] = name, time
                while len(self.sites) > _KEPT:
                    oldest = next(iter(self.sites))
                    del self.sites[oldest], self.lines[oldest]
                    self.fresh.pop(oldest, None)
            killed = _KILLED.match(line)
            if killed is not None:
                self.out_of_memory[int(killed[1])] = None
                self._note_time(int(killed[1]), time)
                while len(self.out_of_memory) > _KEPT:
                    del self.out_of_memory[next(iter(self.out_of_memory))]
            self._take_registers(line)
            if self._owner and self._owner != before:
                self._note_time(self._owner, time)

    def _note_time(self, pid: int, time: float) -> None:
        self._told.pop(pid, None)
        self._told[pid] = time
        while len(self._told) > 3 * _KEPT:
            del self._told[next(iter(self._told))]

    def forget_other(self, pid: int, time: float) -> None:
        """Forget what was told of another process, which had this PID long before `time`."""
        told = self._told.get(pid, 0.0)
        if told and abs(told - time) > _SOON_S:
            for kept in (self.sites, self.lines, self.registers, self.fresh, self.out_of_memory, self._told):
                kept.pop(pid, None)

    def claim(self, pid: int, gone: set[int], status: str, program: str, time: float) -> None:
        """Take the crash of a thread for the crash of its process, which ended with this status at this time.

        The kernel names the thread, which is gone from /proc. So a line about a thread that is `gone` must
        fit in signal and time, and must be the only one that fits, or that has the program's name.
        """
        if pid not in self.sites:
            soon = [tid for tid in gone if tid in self.fresh and abs(self.fresh[tid][1] - time) < _SOON_S]
            fitting = [tid for tid in soon if _fits(self.lines[tid], status)]
            named = [tid for tid in fitting if self.fresh[tid][0] == program[:15]]
            chosen = fitting if len(fitting) == 1 else named
            if len(chosen) == 1:
                self.sites[pid], self.lines[pid] = self.sites[chosen[0]], self.lines[chosen[0]]
                if chosen[0] in self.registers:
                    self.registers[pid] = self.registers[chosen[0]]
        self.fresh.clear()

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
