# SPDX-License-Identifier: MIT
"""Crash records in a ring of files of fixed size (docs/supervisor.md, Evidence).

Of consecutive identical faults only the first is recorded, and at most one record is written in SPACING_S,
so that a crash loop does not wear out flash. The next record counts those that were left out.
"""

from __future__ import annotations

import json

from koboshi.state.component import Component
from koboshi.system.calls import System
from koboshi.wire.event import Event
from koboshi.wire.slot import decode_line, encode_line

SLOTS = 16
SLOT_BYTES = 2048
SPACING_S = 5.0
_OUTPUT_BYTES = 400
_LINE_BYTES = 300
_HELD = 4
_MEMORY = ("MemFree", "MemAvailable", "Committed_AS")


class Said:
    """Traces of a crash: kernel line, registers in hexadecimal, call stack, and the component's output."""

    __slots__ = ("kernel", "output", "registers", "stack")

    def __init__(self, kernel: str, registers: dict[str, str], stack: list[str], output: str) -> None:
        self.kernel = kernel
        self.registers = registers
        self.stack = stack
        self.output = output


class Evidence:
    """The ring. `directory` is device.record if it survives reboots, else the supervisor's run folder."""

    def __init__(self, system: System, boot: str, directory: str) -> None:
        self.system = system
        self.boot = boot
        self.seq = 0
        self.waiting: list[dict[str, object]] = []
        self.last_at: float | None = None
        self.skipped = 0
        self.use(directory)

    def use(self, directory: str) -> None:
        """Use this directory, and continue after the records there."""
        self.directory = directory
        self.seq = max([self.seq, *(number for number, _values in self._slots())])

    def _path(self, number: int) -> str:
        return f"{self.directory}/crash.{number % SLOTS:02}"

    def _slots(self) -> list[tuple[int, dict[str, object]]]:
        got = (self.system.read(self._path(slot), 0) for slot in range(SLOTS))
        found = (decode_line(data[1]) for data in got if data is not None)
        return sorted((item for item in found if item is not None), key=lambda item: item[0])

    def records(self) -> list[dict[str, object]]:
        """Return all records, oldest first."""
        return [{"number": number, **values} for number, values in self._slots()]

    def note(self, component: Component, event: Event, decision: str, said: Said) -> bool:
        """Note a crash; return True if it must be written after the commit."""
        now = event.time
        soon = self.last_at is not None and now - self.last_at < SPACING_S
        if soon or (component.same > 1 and decision != "ladder"):
            self.skipped += 1
            return False
        self.last_at = now
        self.waiting.append(
            {
                "boot": self.boot,
                "time": round(now, 6),
                "component": component.name,
                "pid": event.integer("old"),
                "generation": component.generation,
                "fault": component.fault,
                "status": event.keys.get("status"),
                "decision": decision,
                "skipped": self.skipped,
                "downtime": component.downtime_shown(),
                "memory_kb": self._memory(),
                "registers": said.registers,
                "stack": said.stack,
                "kernel": said.kernel[:_LINE_BYTES],
                "output": said.output[-_OUTPUT_BYTES:],
            }
        )
        self.skipped = 0
        return True

    def _memory(self) -> dict[str, int]:
        got = self.system.read("/proc/meminfo", 0)
        lines = got[1].decode("ascii", "replace").splitlines() if got is not None else []
        words = [line.split() for line in lines if line.partition(":")[0] in _MEMORY]
        return {word[0].rstrip(":"): int(word[1]) for word in words if len(word) > 1 and word[1].isdecimal()}

    def write(self) -> None:
        """Write waiting records, each over the oldest slot; retry later what a full disk refuses."""
        while self.waiting:
            number = self.seq + 1
            if self.system.machine.write_slot(self._path(number), _fitting(number, self.waiting[0])):
                del self.waiting[:-_HELD]
                return
            self.seq = number
            del self.waiting[0]


def _fitting(seq: int, values: dict[str, object]) -> bytes:
    """Encode a slot; cut the texts until it fits."""
    stack = values["stack"]
    assert isinstance(stack, list)
    for keep, callers in ((_OUTPUT_BYTES, len(stack)), (100, 4), (0, 0)):
        cut = {**values, "stack": stack[:callers], "output": str(values["output"])[-keep:] if keep else ""}
        if keep == 0:
            cut["kernel"], cut["registers"] = "", {}
        if len(json.dumps(cut)) + 64 <= SLOT_BYTES:
            return encode_line(seq, cut, SLOT_BYTES)
    return encode_line(seq, {"component": values["component"], "fault": None}, SLOT_BYTES)
