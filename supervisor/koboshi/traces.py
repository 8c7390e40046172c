# SPDX-License-Identifier: MIT
"""Traces of an instance that has ended: rfork-run's files, and lines of the kernel's log."""

from __future__ import annotations

import re

from koboshi.evidence import Said
from koboshi.state.component import Component
from koboshi.system.calls import System
from koboshi.system.kmsg import Crashes
from koboshi.system.paths import Paths
from koboshi.wire.event import Event

# rfork-run writes its files shortly before the event. This leaves room for slow machines.
_FRESH_S = 30.0
_SLOT_BYTES = 512
_LINE_CHARACTERS = 60
# Frames in these libraries do not identify a crash.
_LIBRARY = re.compile(r"(libc|libm|libpthread|libstdc\+\+|libgcc_s|ld)[.-].*\+0x[0-9a-f]+")
_NUMBER = re.compile(r"(0x)?[0-9a-f]*[0-9][0-9a-f]*")
_ABORT = "signal:SIGABRT"


class Traces:
    """Finds the traces when a runner has reported an end."""

    def __init__(self, system: System, paths: Paths) -> None:
        self.system = system
        self.paths = paths
        self.kernel = Crashes()

    def look(self) -> None:
        """Read new lines of the kernel's log."""
        self.kernel.take(self.system.machine.kernel_log.messages())

    def was_oom(self, pid: int, time: float) -> bool:
        """Return whether the OOM killer has killed this process, which ended at that time."""
        self.look()
        self.kernel.forget_other(pid, time)
        return pid in self.kernel.out_of_memory

    def site(self, component: Component, event: Event) -> str:
        """Return what identifies this crash: the innermost place in the program's own code, if known."""
        self.look()
        self._claim(component, event)
        pid, status = event.integer("old"), event.keys.get("status", "")
        site = self.kernel.sites.get(pid, "")
        if site and not _in_library(site):
            return site
        own = [frame for frame in self._stack(component, event)[1] if not _in_library(frame)]
        if own:
            return own[0].rpartition("/")[2]
        return site or (_likeness(self.words(component, event)) if status == _ABORT else "")

    def _claim(self, component: Component, event: Event) -> None:
        """Find the crash of a thread: the kernel logs the thread's ID instead of the PID."""
        self.kernel.forget_other(event.integer("old"), event.time)
        program = component.spec.argv()[0].rpartition("/")[2] if component.spec is not None else ""
        gone = {tid for tid in self.kernel.fresh if not self.system.start_time(tid)}
        self.kernel.claim(event.integer("old"), gone, event.keys.get("status", ""), program, event.time)

    def said(self, component: Component, event: Event) -> Said:
        """Return all traces of an instance, for its crash record."""
        self.look()
        self._claim(component, event)
        pid = event.integer("old")
        registers, stack = self._stack(component, event)
        line = self.kernel.lines.get(pid, "")
        return Said(line, self.kernel.registers.get(pid) or registers, stack, self.words(component, event))

    def words(self, component: Component, event: Event) -> str:
        """Return the last output of the instance that this event is about."""
        got = self.system.read(self.paths.component(component.name) + "/words", 0)
        data = got[1] if got is not None else b""
        for start in range(0, len(data), _SLOT_BYTES):
            head, _, rest = data[start : start + _SLOT_BYTES].partition(b"\n")
            number, _, length = head.partition(b" ")
            if number == b"%d" % event.number and length.isdigit():
                return rest[: int(length)].decode("utf-8", "replace")
        return ""

    def _stack(self, component: Component, event: Event) -> tuple[dict[str, str], list[str]]:
        """Return registers and call stack, as rfork-run saved them at a hang or from a core dump."""
        pid = event.integer("old")
        files = [f"{self.paths.stacks}/{pid % 32}"]
        if event.keys.get("cause") == "heartbeat" or "detect_us" in event.keys:
            files.append(self.paths.component(component.name) + "/hang")
        registers: dict[str, str] = {}
        stack: list[str] = []
        for file in files:
            lines = self._fresh(file, pid, event.time)
            # A hang file begins with lines KEY=VALUE; a place begins with the path of its file.
            pairs = [line.partition("=") for line in lines if line[:1] != "/"]
            registers.update({key: value for key, _, value in pairs})
            stack = [line for line in lines if line[:1] == "/"] or stack
        return registers, stack

    def _fresh(self, file: str, pid: int, time: float) -> list[str]:
        got = self.system.read(file, 0)
        if got is None or not got[1]:
            return []
        head, *lines = got[1].decode("utf-8", "replace").splitlines()
        owner, _, at = head.partition(" ")
        # An older file may belong to another process with the same PID or the same slot.
        return lines if owner == str(pid) and abs(time - float(at)) < _FRESH_S else []


def last_line(words: str) -> str:
    """Return the last line that is not empty."""
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _in_library(frame: str) -> bool:
    return _LIBRARY.fullmatch(frame.rpartition("/")[2]) is not None


def _likeness(words: str) -> str:
    """Return the last line without its numbers: times and addresses do not identify a crash."""
    return _NUMBER.sub("#", last_line(words))[:_LINE_CHARACTERS]
