# SPDX-License-Identifier: MIT
"""QEMU: an image started stopped, its console attached, and nothing left behind however the host ends."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

from koboshi_desk.console.transport import StreamSocket
from koboshi_desk.core.deadline import Deadline
from koboshi_desk.core.errors import KoboshiError, PortError
from workbench.guest.errors import BootError, QmpError
from workbench.guest.qmp import Qmp
from workbench.image.bootable import Image

PROGRAM = "qemu-system-x86_64"
# The oldest CPU that the product promises to run on: an instruction that it lacks must fail here too.
# Without mwait: with two CPUs QEMU's does not wait, and Linux 2.6.23 idles by it.
CPU = "core2duo,-monitor"
# A port on PCI has an interrupt of its own; the third and fourth of ISA share those of the first two.
REQUEST_TTY = "ttyS2"
PR_SET_PDEATHSIG = 1
# Written at a reset by QEMU itself. Code that it has translated is forgotten page by page; where it is the
# next boot that overwrites the last one's, at every single write, and that boot takes twice as long.
RESET_FILE = "zeros"
RESET_FROM_MB, RESET_TO_MB = 16, 176  # from where a kernel is loaded; boot loaders are below
INITRD_ROOM_MB = 64  # it is at the end


@dataclass(frozen=True)
class Options:
    """How to run an image; what is None comes from the image."""

    smp: int | None = None
    memory_mb: int | None = None
    append: str = ""  # added to the image's
    catch_reboot: bool = False  # a reboot ends QEMU
    accel: str = "tcg"  # "kvm" only where a probe guest has booted under a time limit
    drive: Path | None = None  # a raw disk image beside what the image boots from
    drive_bus: str = "virtio"  # or "ide", which Linux 2.6.23 has too
    requests: bool = False  # a serial line on which the device answers requests (koboshictl line)
    icount: int | None = None  # one instruction takes 2**icount ns of the guest's time; needs one CPU

    def __post_init__(self) -> None:
        """None is the image's; no other number stands for it."""
        for what, number, unit in (("smp", self.smp, "CPU"), ("memory-mb", self.memory_mb, "MB")):
            if number is not None and number < 1:
                raise KoboshiError(f"--{what} {number}: no machine has that; at least 1 {unit}")


def machine(image: Image, options: Options) -> list[str]:
    """The part of the command line that makes the machine, the same for programs and for people."""
    command = [
        PROGRAM,
        "-machine",
        "pc",
        "-cpu",
        CPU,
        "-accel",
        options.accel,
        "-nodefaults",
        "-no-user-config",
    ]
    command += [
        "-display",
        "none",
        "-smp",
        str(options.smp or image.smp),
        "-m",
        str(options.memory_mb or image.memory_mb),
    ]
    if options.icount is not None:
        command += ["-icount", f"shift={options.icount},sleep=off", "-rtc", "base=2026-01-01,clock=vm"]
    command += _boots_from(image, options)
    # The board's hardware watchdog; nothing arms it but a manifest that names it.
    command += ["-device", "i6300esb"]
    if options.drive:
        command += ["-drive", f"file={options.drive},if={options.drive_bus},format=raw"]
    return [*command, "-no-reboot"] if options.catch_reboot else command


def takes_requests(image: Image, options: Options) -> bool:
    """Whether the device will read a line for requests; a disk's own loader sets the kernel's parameters."""
    return options.requests and image.disk is None


def _boots_from(image: Image, options: Options) -> list[str]:
    """QEMU as boot loader, or a disk with its own, which knows the kernel's parameters itself."""
    if image.disk is not None:
        snapshot = "off" if image.keep_disk else "on"
        return ["-drive", f"file={image.disk},format=raw,if=ide,snapshot={snapshot}"]
    append = f"{image.append} {options.append}".strip()
    if takes_requests(image, options):
        append += f" koboshi.line={REQUEST_TTY}"
    return ["-kernel", str(image.kernel), "-initrd", str(image.initrd), "-append", append]


def command_line(image: Image, options: Options, folder: Path) -> list[str]:
    """Started stopped (-S): ttyS0, ttyS1 (a GPS receiver's port) and QMP on Unix sockets in `folder`."""

    def chardev(name: str) -> list[str]:
        return [
            "-chardev",
            f"socket,id={name},path={folder / name},server=on,wait=off",
            "-serial",
            f"chardev:{name}",
        ]

    qmp = ["-qmp", f"unix:{folder / 'qmp'},server=on,wait=off"]
    command = [*machine(image, options), *chardev("console"), *chardev("nmea"), *qmp, "-S"]
    if takes_requests(image, options):
        line = f"socket,id=requests,path={folder / 'requests'},server=on,wait=off"
        command += ["-chardev", line, "-device", "pci-serial,chardev=requests"]
    if _written_at_reset_mb(image, options):
        place = f"addr={RESET_FROM_MB << 20:#x},force-raw=on"
        command += ["-device", f"loader,file={folder / RESET_FILE},{place}"]
    return command


def _written_at_reset_mb(image: Image, options: Options) -> int:
    """How much; nothing where a guest is not reset, or what it does is counted."""
    if options.catch_reboot or options.icount is not None:
        return 0
    end = (options.memory_mb or image.memory_mb) - INITRD_ROOM_MB
    return max(0, min(RESET_TO_MB, end) - RESET_FROM_MB)


def paste_command(image: Image, options: Options) -> str:
    """The same machine for a person's terminal."""
    return shlex.join(
        [*machine(image, replace(options, requests=False)), "-serial", "mon:stdio", "-serial", "null"]
    )


class Qemu:
    """A QEMU process and its sockets; a context manager, and `close` may be called at any time."""

    def __init__(self, image: Image, options: Options | None = None) -> None:
        self.image = image
        self.options = options or Options()
        self.folder = Path(tempfile.mkdtemp(prefix="koboshi-qemu-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._qmp: Qmp | None = None

    def __enter__(self) -> Qemu:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()

    def start(self, deadline: Deadline) -> None:
        """Start it, stopped, with its sockets listening; BootError (phase qemu) says why not."""
        try:
            self._spawn()
            self._qmp = self._connect_qmp(deadline)
        except BaseException:
            self.close()
            raise

    def _spawn(self) -> None:
        if shutil.which(PROGRAM) is None:
            raise BootError(
                "qemu", None, [], f"{PROGRAM} is not installed; ./dev installs it (package qemu-system-x86)"
            )
        with (self.folder / RESET_FILE).open("wb") as file:
            file.truncate(_written_at_reset_mb(self.image, self.options) << 20)
        with (self.folder / "errors").open("wb") as errors:
            self._process = subprocess.Popen(
                command_line(self.image, self.options, self.folder),
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                start_new_session=True,  # Ctrl-C is ours to handle: the console is drained first
                preexec_fn=_die_with_parent(),  # noqa: PLW1509 - prctl(2) alone, which takes no lock
            )

    def _connect_qmp(self, deadline: Deadline) -> Qmp:
        process = self._process
        assert process is not None
        while True:
            if process.poll() is not None:
                raise BootError("qemu", None, self.errors(), f"QEMU ended with status {process.returncode}")
            with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
                return Qmp(self.folder / "qmp", deadline)
            if deadline.expired:
                raise BootError("qemu", None, self.errors(), f"no QMP socket within {deadline.seconds:.0f} s")
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.02)

    def errors(self) -> list[str]:
        """What QEMU itself had to say."""
        with contextlib.suppress(OSError):
            return (self.folder / "errors").read_text(errors="replace").splitlines()[-20:]
        return []

    def connect(self, name: str) -> StreamSocket:
        """Connect to `console` or `nmea`."""
        try:
            return StreamSocket.connect(self.folder / name)
        except PortError as error:
            raise BootError("qemu", None, self.errors(), str(error)) from error

    @property
    def requests(self) -> Path | None:
        """The socket of the line for requests, if there is one."""
        return self.folder / "requests" if takes_requests(self.image, self.options) else None

    def qmp(self, command: str, seconds: float = 10.0) -> object:
        """A QMP command without arguments."""
        if self._qmp is None:
            raise QmpError(command, "QEMU is not running")
        return self._qmp.command(command, seconds)

    def cont(self) -> None:
        """Let the CPUs run, now that the console is attached."""
        self.qmp("cont")

    def reset(self) -> None:
        """The reset button."""
        self.qmp("system_reset")

    @property
    def pid(self) -> int | None:
        """QEMU's PID while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def close(self) -> None:
        """End QEMU and remove its sockets."""
        if self._qmp:
            self._qmp.close()
            self._qmp = None
        if self._process:
            self._end(self._process)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                if process.poll() is None:
                    os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
                return


def _die_with_parent() -> Callable[[], None]:
    """For preexec_fn: QEMU gets SIGKILL when the thread that started it ends, kill -9 included (prctl(2))."""
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getpid()

    def in_child() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it had ended before the call
            os._exit(1)

    return in_child
