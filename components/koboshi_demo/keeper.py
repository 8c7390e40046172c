# SPDX-License-Identifier: MIT
"""The keeper component: the event log of /run, kept where it outlives a power cut.

It follows the supervisor's records and appends each, with the boot that it is of, to segments in FOLDER. A
record is acknowledged (in the file ACKNOWLEDGED) when it is on the medium. The store is bounded.
"""

from __future__ import annotations

import json
import os
import select
import socket
import sys
from typing import Any

from . import service

SEGMENT_BYTES = 128 << 10
SEGMENTS = 8
ASKED = 1000  # records of the log that are asked for at each connection
RETRY_S = 0.5


class Store:
    """Segments in a folder; a line is in it or not, whatever happened in the middle of a write."""

    def __init__(self, folder: str, segment_bytes: int = SEGMENT_BYTES, segments: int = SEGMENTS) -> None:
        self.folder = folder
        self.segment_bytes = segment_bytes
        self.segments = segments
        os.makedirs(folder, exist_ok=True)
        self._number = max(self.numbers(), default=0)
        self._file = self._open(self._number)
        self._cut()

    def numbers(self) -> list[int]:
        """The segments that are there, oldest first."""
        return sorted(int(name) for name in os.listdir(self.folder) if name.isdecimal())

    def _path(self, number: int) -> str:
        return f"{self.folder}/{number:08d}"

    def _open(self, number: int) -> int:
        descriptor = os.open(self._path(number), os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        folder = os.open(self.folder, os.O_RDONLY | os.O_CLOEXEC)
        os.fsync(folder)  # its name must last, too
        os.close(folder)
        return descriptor

    def _cut(self) -> None:
        """What a power cut left of a line goes."""
        data = os.pread(self._file, os.fstat(self._file).st_size, 0)
        if not data.endswith(b"\n"):
            os.ftruncate(self._file, data.rfind(b"\n") + 1)

    def last(self, boot: str) -> int:
        """The number of the last record that is kept of this boot; 0 if there is none."""
        for number in reversed(self.numbers()):
            with open(self._path(number)) as file:
                lines = [line for line in file if line.startswith(boot + " ")]
            if lines:
                return sequence(lines[-1].split(" ", 1)[1])
        return 0

    def keep(self, lines: list[str]) -> None:
        """Append whole lines; when it returns they are on the medium."""
        if os.fstat(self._file).st_size >= self.segment_bytes:
            self._turn()
        rest = memoryview("".join(line + "\n" for line in lines).encode())
        while rest:
            rest = rest[os.write(self._file, rest) :]
        os.fsync(self._file)

    def _turn(self) -> None:
        os.close(self._file)
        self._number += 1
        self._file = self._open(self._number)
        for number in self.numbers()[: -self.segments]:
            os.unlink(self._path(number))


def sequence(record: str) -> int:
    """The number of a record (docs/console.md); 0 where it is none."""
    words = record.split(" ", 2)
    return int(words[1]) if len(words) == 3 and words[1].isdecimal() else 0


def boot_id() -> str:
    """The name of a boot: eight digits that the kernel has drawn."""
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read()[:8]


class Keeper:
    """From the supervisor's socket to the store."""

    def __init__(self, control: str, store: Store, acknowledged: str | None, boot: str) -> None:
        self.control = control
        self.store = store
        self.acknowledged = acknowledged
        self.boot = boot
        self.kept = store.last(boot)
        self.heartbeat = service.Heartbeat()

    def run(self) -> None:
        """For ever; the supervisor may go and come back."""
        while True:
            try:
                with socket.socket(socket.AF_UNIX) as channel:
                    channel.connect(self.control)
                    self.follow(channel)
            except OSError as error:
                service.say(f"{self.control}: {error.strerror}")
            self._pause(RETRY_S)

    def follow(self, channel: socket.socket) -> None:
        """Keep what is written to this connection until its end."""
        request = {"cmd": "events", "n": ASKED, "follow": True}
        channel.sendall(json.dumps(request).encode() + b"\n")
        buffer = b""
        while True:
            if not select.select([channel], [], [], self.heartbeat.beat())[0]:
                continue
            data = channel.recv(65536)
            if not data:
                return
            *lines, buffer = (buffer + data).split(b"\n")
            self.take([json.loads(line) for line in lines])

    def take(self, replies: list[Any]) -> None:
        """Keep the records of these replies that are not kept yet, and acknowledge them."""
        records: list[str] = []
        for reply in replies:
            records += reply.get("events", [])
            records += [reply["record"]] if "record" in reply else []
        new, last = [], self.kept
        for record in records:
            if sequence(record) > last:
                new.append(f"{self.boot} {record}")
                last = sequence(record)
        if new:
            self.store.keep(new)
            self.kept = last
            self._acknowledge()

    def _acknowledge(self) -> None:
        if self.acknowledged:
            with open(self.acknowledged + ".new", "w") as file:
                file.write(f"{self.boot} {self.kept}\n")
            os.rename(self.acknowledged + ".new", self.acknowledged)

    def _pause(self, seconds: float) -> None:
        due = self.heartbeat.beat()
        select.select([], [], [], seconds if due is None else min(seconds, due))


def main(arguments: list[str] | None = None) -> None:
    """`keeper [CONTROL FOLDER [ACKNOWLEDGED]]`."""
    arguments = (sys.argv[1:] if arguments is None else arguments) or ["/run/koboshi/control", "/data/events"]
    control, folder = arguments[:2]
    service.checkpoint()  # before the store is looked at: what an instance after a crash finds in it is new
    keeper = Keeper(control, Store(folder), arguments[2] if len(arguments) > 2 else None, boot_id())
    service.notify("READY=1")
    keeper.run()


if __name__ == "__main__":
    main()
