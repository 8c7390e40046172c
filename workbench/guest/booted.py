# SPDX-License-Identifier: MIT
"""A booted guest: QEMU, its console with log, the model of it, and its shell, behind one context manager."""

from __future__ import annotations

import json
import os
import shlex
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from koboshi_desk.console.decoder import KERNEL_STAMP, KernelLine
from koboshi_desk.console.findings import GREP, Finding, judge, judge_taint
from koboshi_desk.console.notes import running_notes
from koboshi_desk.console.session import Console, Listener
from koboshi_desk.console.transport import StreamSocket
from koboshi_desk.core import places
from koboshi_desk.core.deadline import Deadline
from koboshi_desk.core.errors import ConsoleClosedError, ConsoleTimeoutError
from koboshi_desk.device.model import Model
from workbench.core import progress
from workbench.guest.errors import BootError
from workbench.guest.nmea import NmeaPlayer
from workbench.guest.qemu import Options, Qemu, paste_command
from workbench.guest.shell import Shell
from workbench.image.bootable import Image

BOOT_S = 120.0
# Whatever the image says (quiet): a boot is also counted by the kernel's banner, a notice.
SHOW_BANNER = "loglevel=6"


def new_log(name: str) -> Path:
    """A log's path that no other run uses."""
    folder = places.cache_folder() / "logs"
    folder.mkdir(exist_ok=True)
    return (
        folder
        / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}-{time.monotonic_ns() % 1000000:06}.log"
    )


class Guest:
    """`with Guest(image) as guest: guest.boot()`; leaving it drains the console and ends QEMU."""

    def __init__(self, image: Image, options: Options | None = None, log: Path | None = None) -> None:
        self.image = image
        self.log = log or new_log(image.name)
        options = options or Options()
        self.qemu = Qemu(image, replace(options, append=f"{options.append} {SHOW_BANNER}".strip()))
        self.model = Model()
        self._console: Console | None = None
        self._shell: Shell | None = None
        self._nmea: NmeaPlayer | None = None
        self._nmea_port: StreamSocket | None = None
        self._listeners: list[Listener] = [self.model.take]
        self.after_pump: Callable[[], None] | None = None

    def listen(self, listener: Listener) -> None:
        """Have `listener` called with each item of the console, from the start."""
        self._listeners.append(listener)
        if self._console:
            self._console.listen(listener)

    @property
    def started(self) -> bool:
        """Whether there is a console yet."""
        return self._console is not None

    @property
    def console(self) -> Console:
        """Its console; it has one once it was started."""
        assert self._console is not None, "start() comes first"
        return self._console

    @property
    def shell(self) -> Shell:
        """Its console's shell."""
        assert self._shell is not None, "start() comes first"
        return self._shell

    def __enter__(self) -> Guest:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None
    ) -> None:
        if kind in (KeyboardInterrupt, SystemExit) and self.started:
            progress.note(f"ended while the guest was running; the whole console: {self.log}")
        self.close()

    def start(self, deadline: Deadline) -> None:
        """Start QEMU and let it run, its console attached before its first instruction."""
        self.qemu.start(deadline)
        header = f"run it by hand:\n{paste_command(self.image, self.qemu.options)}"
        self._console = Console(self.qemu.connect("console"), self.log, header)
        self._console.after_pump = self.after_pump
        for listener in self._listeners:
            self._console.listen(listener)
        self._shell = Shell(self._console)
        self._nmea_port = self.qemu.connect("nmea")
        self._nmea = NmeaPlayer(_both_ways(self._nmea_port)).start()
        self.qemu.cont()
        self._announce()

    def boot(self, seconds: float = BOOT_S) -> float:
        """Start, wait until all components are ready, return the seconds; BootError says how far it came."""
        deadline = Deadline(seconds, "all-ready")
        begin = time.monotonic()
        self.start(deadline)
        self.wait_all_ready(1, deadline)
        return time.monotonic() - begin

    def wait_all_ready(self, boots: int, deadline: Deadline) -> None:
        """Wait for `all-ready` of the boot with that number."""

        def decided() -> bool:
            return self.model.boots >= boots and (self.model.all_ready or self.model.given_up > 0)

        try:
            self.console.until(decided, deadline, f"all-ready of boot {boots}")
        except (ConsoleTimeoutError, ConsoleClosedError) as error:
            raise self._not_booted(boots, _first_line(error)) from error
        if not self.model.all_ready:
            raise self._not_booted(boots, "the supervisor gave a component up")

    def _not_booted(self, boots: int, reason: str) -> BootError:
        return BootError(self._phase(boots), self.log, self.console.last_lines(), reason)

    def _phase(self, boots: int) -> str:
        if self.console.decoder.boots < boots:
            return "kernel"
        return "user space" if self.model.boots < boots else "all-ready"

    def reboot(self, seconds: float = BOOT_S) -> float:
        """Reboot from the guest's shell; seconds until all components of the next boot are ready."""
        boots = self.model.boots + 1
        begin = time.monotonic()
        self.shell.send("reboot -f")
        self.shell.forget()
        self.wait_all_ready(boots, Deadline(seconds, "reboot"))
        return time.monotonic() - begin

    def verdict(self) -> list[Finding]:
        """What the kernel should not have said until now, and whether it is tainted.

        The console shows only the gravest messages once the guest is up, so the rest is looked for in dmesg.
        """
        found = {finding.text: finding for finding in self.console.findings}
        for line in self.shell.run(f"dmesg | grep -E {shlex.quote(GREP)}; true").output.splitlines():
            stamp = KERNEL_STAMP.match(line)
            if finding := judge(KernelLine(0.0, line[stamp.end() :] if stamp else line)):
                found.setdefault(finding.text, finding)
        taint = judge_taint(int(self.shell.run("cat /proc/sys/kernel/tainted").output))
        return [*found.values(), *([taint] if taint else [])]

    @property
    def _note(self) -> Path:
        return running_notes() / f"{self.log.stem}.json"

    def _announce(self) -> None:
        note = {"pid": os.getpid(), "log": str(self.log), "image": self.image.name}
        if requests := self.qemu.requests:
            note["requests"] = str(requests)
        new = self._note.with_suffix(".new")
        new.write_text(json.dumps(note))
        new.replace(self._note)

    def close(self) -> None:
        """Drain the console, end QEMU, remove its sockets."""
        try:
            if self._console:
                self._console.drain(limit_s=2.0)
        finally:
            self.qemu.close()
            if self._nmea and self._nmea_port:
                self._nmea.stop()  # QEMU has gone, so no write to its port waits any more
                self._nmea_port.close()
            if self._console:
                self._console.drain(limit_s=2.0)
                self._console.close()
            self._note.unlink(missing_ok=True)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]


def _both_ways(port: StreamSocket) -> Callable[[bytes], None]:
    """Write, and drop what the guest wrote: an echo must not pile up until QEMU waits for us."""

    def write(data: bytes) -> None:
        port.write(data)
        port.read(0)

    return write
