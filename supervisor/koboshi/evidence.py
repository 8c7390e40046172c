# SPDX-License-Identifier: MIT
"""A small record of each crash, in a ring of files that never grows (docs/supervisor.md, Evidence).

Of faults alike in a row only the first is written, and not more than one record in SPACING_S: a crash loop
must not wear out the flash that it is recorded on. What was left out is counted in the next record.
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
    """What others had to say of a crash: kernel, registers in hexadecimal, who called whom, component."""

    __slots__ = ("kernel", "output", "registers", "stack")

    def __init__(self, kernel: str, registers: dict[str, str], stack: list[str], output: str) -> None:
        self.kernel = kernel
        self.registers = registers
        self.stack = stack
        self.output = output


class Evidence:
    """The ring. `directory` is that of the record that outlives reboots, or the supervisor's own."""

    def __init__(self, system: System, boot: str, directory: str) -> None:
        self.system = system
        self.boot = boot
        self.seq = 0
        self.waiting: list[dict[str, object]] = []
        self.last_at: float | None = None
        self.skipped = 0
        self.use(directory)

    def use(self, directory: str) -> None:
        """Go on in this directory, after what is there."""
        self.directory = directory
        self.seq = max([self.seq, *(number for number, _values in self._slots())])

    def _path(self, number: int) -> str:
        return f"{self.directory}/crash.{number % SLOTS:02}"

    def _slots(self) -> list[tuple[int, dict[str, object]]]:
        got = (self.system.read(self._path(slot), 0) for slot in range(SLOTS))
        found = (decode_line(data[1]) for data in got if data is not None)
        return sorted((item for item in found if item is not None), key=lambda item: item[0])

    def records(self) -> list[dict[str, object]]:
        """All that are there, oldest first."""
        return [{"number": number, **values} for number, values in self._slots()]

    def note(self, component: Component, event: Event, decision: str, said: Said) -> bool:
        """A crash; True if it is to be written after the commit."""
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
        """What is waiting, each into the oldest slot; what a full disk refuses waits for the next crash."""
        while self.waiting:
            number = self.seq + 1
            if self.system.machine.write_slot(self._path(number), _fitting(number, self.waiting[0])):
                del self.waiting[:-_HELD]
                return
            self.seq = number
            del self.waiting[0]


def _fitting(seq: int, values: dict[str, object]) -> bytes:
    """A slot; the texts are cut until it is one."""
    stack = values["stack"]
    assert isinstance(stack, list)
    for keep, callers in ((_OUTPUT_BYTES, len(stack)), (100, 4), (0, 0)):
        cut = {**values, "stack": stack[:callers], "output": str(values["output"])[-keep:] if keep else ""}
        if keep == 0:
            cut["kernel"], cut["registers"] = "", {}
        if len(json.dumps(cut)) + 64 <= SLOT_BYTES:
            return encode_line(seq, cut, SLOT_BYTES)
    return encode_line(seq, {"component": values["component"], "fault": None}, SLOT_BYTES)
