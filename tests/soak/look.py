# SPDX-License-Identifier: MIT
"""What a soak's observer sees in the guest: processes in /proc, and the logs, read with code of its own."""

from __future__ import annotations

import json
import os
import re
import zlib
from collections import Counter

RUN = "/run/koboshi"
# librfork's own template sleeps with every signal blocked, save those that glibc or musl keeps for itself.
_TEMPLATE = re.compile(r"^(Rfork:\s*template|SigBlk:\s*fffffff[cef][7f]ffbfeff)", re.M)
_RECORD = re.compile(r"(koboshi/1 (\d+) (\d+\.\d{6}) (\S+)((?: [a-z_]+=\S*)*)) \*([0-9a-f]{8})$")
OF_RUNNERS = frozenset(
    ("started", "ready", "checkpoint", "restart", "poisoned", "status", "extend", "missing", "end")
)


def text(path: str) -> str:
    """A file's contents; nothing if it is gone."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def instances(marks: dict[str, str]) -> dict[str, list[int]]:
    """PIDs by component: processes with its mark in their command line, neither templates nor dead."""
    found: dict[str, list[int]] = {name: [] for name in marks.values()}
    for entry in os.listdir("/proc"):
        if not entry.isdecimal():
            continue
        argv = text(f"/proc/{entry}/cmdline").split("\0")
        name = next((marks[word] for word in argv if word in marks), None)
        if name is None or "--poke" in argv:  # its runner has the mark in its own command line
            continue
        status = text(f"/proc/{entry}/status")
        if status and "State:\tZ" not in status and not _TEMPLATE.search(status):
            found[name].append(int(entry))
    return found


def told() -> dict[str, dict[str, object]]:
    """The supervisor's own account, by component."""
    try:
        components = json.loads(text(f"{RUN}/status.json"))["components"]
    except (ValueError, KeyError):
        return {}
    return dict(components)


def supervisor() -> int:
    """The PID of the supervisor that runs now, as /proc has it; 0 for none."""
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            argv = text(f"/proc/{entry}/cmdline").split("\0")
            if any(word.endswith("/koboshi-supervisor") for word in argv) and len(argv) < 5:
                return int(entry)
    return 0


class Tail:
    """Whole lines of a log since the last look, over its rotation to NAME.1."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.inode = 0
        self.offset = 0

    def lines(self) -> list[str]:
        """The new ones, oldest first."""
        found: list[str] = []
        for path in (self.path + ".1", self.path):
            try:
                inode = os.stat(path).st_ino
            except OSError:
                continue
            if path != self.path and inode != self.inode:
                continue  # one that was read to its end before
            found += self._rest(path, inode)
        return found

    def _rest(self, path: str, inode: int) -> list[str]:
        if inode != self.inode:
            self.inode, self.offset = inode, 0
        with open(path, "rb") as file:
            file.seek(self.offset)
            data = file.read()
        whole = data.rfind(b"\n") + 1
        self.offset += whole
        return data[:whole].decode("ascii", "replace").splitlines()


class Books:
    """Each runner's own log against the supervisor's records: every event once in each."""

    def __init__(self, names: list[str]) -> None:
        self.runners = {name: Tail(f"{RUN}/{name}/events") for name in names}
        self.log = Tail(f"{RUN}/events")
        self.told: Counter[tuple[str, str, str]] = Counter()
        self.recorded: Counter[tuple[str, str, str]] = Counter()
        self.seq = 0
        self.records = 0
        self.problems: list[str] = []

    def read(self) -> None:
        """All that is new; whatever agrees is forgotten."""
        for name, tail in self.runners.items():
            for words in (line.split(" ") for line in tail.lines()):
                if len(words) > 3 and words[0] == "rfork-run/1":
                    self.told[name, words[3], words[2]] += 1
        for line in self.log.lines():
            self._record(line)
        both = self.told & self.recorded
        self.told -= both
        self.recorded -= both

    def _record(self, line: str) -> None:
        found = _RECORD.search(line)
        if found is None or zlib.crc32(found[1].encode()) != int(found[6], 16):
            self.problems.append(f"no record: {line[:120]}")
            return
        seq, name = int(found[2]), found[4]
        if seq != self.seq + 1:
            self.problems.append(f"record {seq} after {self.seq}")
        self.seq = seq
        self.records += 1
        keys = dict(word.split("=", 1) for word in found[5].split())
        if name in OF_RUNNERS and keys.get("component") in self.runners:
            self.recorded[keys["component"], name, found[3]] += 1

    def missing(self) -> list[str]:
        """What is in one and not in the other."""
        return [f"not recorded: {event}" for event in self.told] + [f"never told: {e}" for e in self.recorded]
