# SPDX-License-Identifier: MIT
"""The little that must outlive a reboot, kept so that a power cut at any instant leaves the old or the new.

Two files of one sector each are written in turn. Each holds a line with a sequence number and a CRC-32; the
whole one with the higher number counts. The other one is never touched by a write, and a write is over when
fsync(2) has returned. Once a file is there it neither grows nor moves.
"""

from __future__ import annotations

from koboshi.system.calls import System
from koboshi.wire.slot import decode, encode


class Lasting:
    """Both slots in a directory."""

    def __init__(self, system: System, directory: str) -> None:
        self.system = system
        self.paths = [f"{directory}/ladder.{slot}" for slot in (0, 1)]
        self.seq = 0
        self.values: dict[str, object] = {}
        self.next = 0
        for slot, path in enumerate(self.paths):
            got = system.read(path, 0)
            found = decode(got[1]) if got is not None else None
            if found is not None and found[0] > self.seq:
                self.seq, self.values = found
                self.next = 1 - slot

    def store(self, values: dict[str, object]) -> str:
        """Write the values, and return once they last; what went wrong, or nothing."""
        if values == self.values:
            return ""
        error = self.system.machine.write_slot(self.paths[self.next], encode(self.seq + 1, values))
        if not error:
            self.seq += 1
            self.values = dict(values)
            self.next = 1 - self.next
        return error
