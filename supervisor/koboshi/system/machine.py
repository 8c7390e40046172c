# SPDX-License-Identifier: MIT
"""System calls about the machine: the hardware watchdog, a reboot, storage that lasts, the kernel's log."""

from __future__ import annotations

import fcntl
import marshal
import os
import signal
import struct
import sys
import time
from collections.abc import Callable

from koboshi.manifest import files
from koboshi.manifest.model import Plain
from koboshi.system import opening
from koboshi.system.kernel_log import KernelLog

# linux/watchdog.h
_WDIOC_GETBOOTSTATUS = 0x80045702
_WDIOC_KEEPALIVE = 0x80045705
_WDIOC_SETTIMEOUT = 0xC0045706
_WDIOF_CARDRESET = 0x20
# File systems that a reboot empties.
_VOLATILE = ("tmpfs", "ramfs", "rootfs", "devtmpfs", "overlay")
# One above the lowest value, which would mean "never"; the second before Linux 2.6.36.
_OOM_LAST = (("/proc/self/oom_score_adj", "-999"), ("/proc/self/oom_adj", "-16"))
SYSRQ = "/proc/sysrq-trigger"
_TIOCOUTQ = 0x5411  # asm-generic/ioctls.h: bytes that a terminal has not sent yet
_SEND_S = 1.0  # a line that is held up does not hold up a reboot


class Machine:
    """The machine, as the supervisor sees it."""

    watchdog_fd = -1

    def __init__(self) -> None:
        self.locks: dict[str, int] = {}
        self.kernel_log = KernelLog()

    def unlock(self) -> None:
        """Give back every lock."""
        while self.locks:
            os.close(self.locks.popitem()[1])

    # What comes from the process that has started this one

    def forget_inherited(self) -> None:
        """Neither the supervisor nor a component depends on the state of the process that has started it."""
        os.umask(0o022)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        for name in os.listdir("/proc/self/fd"):
            try:
                if int(name) > 2:
                    os.set_inheritable(int(name), False)
            except OSError:
                pass  # the descriptor that listdir() itself had

    # Resources that one process has

    def lock(self, path: str) -> int | None:
        """Hold the lock until this process ends: 0. Where another process holds it, its PID; None: unknown.

        It is a record lock. A child never has it, so it is free as soon as this process is gone, and the
        kernel knows whose it is.
        """
        if path in self.locks:
            return 0
        # For root alone: whoever can read the file can take a lock that shuts out this one.
        fd = opening.private(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            asked = struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            got = struct.unpack("hhqqi", fcntl.fcntl(fd, fcntl.F_GETLK, asked))
            os.close(fd)
            return got[4] or None
        self.locks[path] = fd
        return 0

    # The hardware watchdog

    def watchdog_open(self, path: str, seconds: int) -> str:
        """Arm it, or take it over from a predecessor; what went wrong, or nothing."""
        try:
            self.watchdog_fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        except OSError as error:
            return str(error.strerror)
        try:
            fcntl.ioctl(self.watchdog_fd, _WDIOC_SETTIMEOUT, struct.pack("i", seconds))
        except OSError as error:
            return f"a timeout of {seconds} s: {error.strerror}"
        return ""

    def watchdog_fired(self) -> bool:
        """Whether it was the watchdog that reset the machine the last time."""
        try:
            status = fcntl.ioctl(self.watchdog_fd, _WDIOC_GETBOOTSTATUS, struct.pack("i", 0))
        except OSError:
            return False
        return bool(struct.unpack("i", status)[0] & _WDIOF_CARDRESET)

    def watchdog_feed(self) -> None:
        """Not again for its timeout."""
        try:
            fcntl.ioctl(self.watchdog_fd, _WDIOC_KEEPALIVE, struct.pack("i", 0))
        except OSError:
            pass

    def watchdog_close(self) -> None:
        """Disarm it: V is the magic character of the kernel's watchdog API."""
        try:
            os.write(self.watchdog_fd, b"V")
            os.close(self.watchdog_fd)
        except OSError:
            pass
        self.watchdog_fd = -1

    # Memory

    def protect(self) -> None:
        """Be among the last that the OOM killer takes, also without a keeper (docs/threats.md)."""
        for path, value in _OOM_LAST:
            try:
                _set(path, value)
            except OSError:
                continue
            return

    def remove_cgroup(self, path: str) -> None:
        """Of a component that is no more; it stays if a process is in it."""
        try:
            os.rmdir(path)
        except OSError:
            pass

    # The manifest

    def listed(self, folder: str) -> list[str]:
        """The files of a components.d."""
        return files.listed(folder)

    def apart(self, work: Callable[[], Plain]) -> Plain:
        """What `work` gives, worked out in a child, whose memory is gone afterwards; without one, here."""
        reading, writing = os.pipe()
        try:
            pid = os.fork()
        except OSError:
            os.close(reading)
            os.close(writing)
            return work()
        if pid == 0:
            _hand_over(writing, work)
        os.close(writing)
        with open(reading, "rb") as pipe:
            data = pipe.read()
        _pid, status = os.waitpid(pid, 0)
        if status:
            return work()  # it was killed, for memory perhaps
        right, parts = marshal.loads(data)
        return right, parts

    # Reboot

    def may_reboot(self, trigger: str) -> bool:
        """Only a supervisor that PID 1 has started, or that is told where to say it, reboots a machine."""
        return _started_by_init() or trigger != SYSRQ

    def reboot(self, trigger: str, console_fd: int) -> None:
        """Without a new process: what is dirty is written, then sysrq b; without sysrq, PID 1 is asked.

        The reset would take what the console has not sent yet, and the reason for it is among that.
        """
        os.sync()
        _send_out(console_fd)
        try:
            fd = os.open(trigger, os.O_WRONLY | os.O_CLOEXEC)
            os.write(fd, b"b")
            os.close(fd)
        except OSError:
            os.kill(1, 15)  # BusyBox init, sysvinit and systemd take it for a wish to reboot or to re-execute

    # Storage that lasts

    def volatile(self, directory: str) -> str:
        """Why what is written there would not outlive a reboot; nothing if it would. Made if missing."""
        try:
            opening.own_folder(directory)
            real = os.path.realpath(directory)
            with open("/proc/mounts", "rb") as mounts:
                found = max(_mounts_over(mounts.read().decode("utf-8", "replace"), real))
        except (OSError, ValueError) as error:
            return getattr(error, "strerror", None) or "its file system is not known"
        if found[2] in _VOLATILE:
            return f"is on {found[2]}, which a reboot empties"
        return "is mounted read-only" if "ro" in found[3].split(",") else ""

    def write_slot(self, path: str, data: bytes) -> str:
        """Over the start of a file, and on the disk when this returns; what went wrong, or nothing."""
        try:
            new = not os.path.exists(path)
            # In a folder that only root writes (see `volatile`). A record may hold a component's last words.
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                os.fchmod(fd, 0o600)
                if os.write(fd, data) != len(data):
                    return "no space"
                os.fsync(fd)
            finally:
                os.close(fd)
            if new:
                _sync_directory(os.path.dirname(path))
        except OSError as error:
            return str(error.strerror)
        return ""

    def cgroups(self) -> str:
        """Where components' control groups are made; nothing, where there is no cgroup2 (Linux 2.6.23)."""
        root = "/sys/fs/cgroup"
        there = os.path.exists(root + "/cgroup.controllers") and os.access(root, os.W_OK)
        return root + "/koboshi" if there and _started_by_init() else ""

    def program(self, words: list[str]) -> list[str]:
        """The command line of koboshictl with these words: the same Python, the same package."""
        here = os.path.abspath(__file__).removesuffix("/koboshi/system/machine.py")
        path = f"import sys; sys.path.insert(0, {here!r})"
        start = f"{path}; from koboshi.ctl import main; sys.exit(main({words!r}))"
        return [sys.executable, "-ISEBXutf8", "-c", start]

    # The kernel's log

    def tell_registers(self, wanted: bool) -> None:
        """Of every fatal signal; where the kernel cannot, crash records have none."""
        try:
            _set("/proc/sys/kernel/print-fatal-signals", "1" if wanted else "0")
        except OSError:
            pass

    def tell_stacks(self, program: str, folder: str) -> str:
        """From core dumps, by rfork-run; without `program` to `core` again, if it was here that they went.

        Returns why not, or nothing.
        """
        pattern = f"|{program} --stack {folder} -- %P" if program else "core"
        path = "/proc/sys/kernel/core_pattern"
        if len(pattern) > 127:
            return f"{pattern}: longer than the kernel takes"
        try:
            with open(path, "rb") as file:
                ours = b" --stack " in file.read()
            if not program and not ours:
                return ""
            if program:
                opening.own_folder(folder)
                os.chmod(folder, 0o700)
                # The process is looked into, so the kernel has to wait; not for more than so many at a time.
                _set("/proc/sys/kernel/core_pipe_limit", "4")
            _set(path, pattern)
        except OSError as error:
            return f"{error.filename}: {error.strerror}" if program else ""
        return ""


def _set(path: str, value: str) -> None:
    with open(path, "wb", buffering=0) as file:
        file.write(value.encode())


def _hand_over(pipe: int, work: Callable[[], Plain]) -> None:
    """The child's part; it never comes back."""
    status = 1
    try:
        with open(pipe, "wb") as file:
            file.write(marshal.dumps(list(work())))
        status = 0
    finally:
        os._exit(status)


def _started_by_init() -> bool:
    """By PID 1, or by a keeper that it has started (rfork-run --keep)."""
    return str(os.getppid()) in ("1", os.environ.get("KOBOSHI_KEEPER"))


def _send_out(console_fd: int) -> None:
    """Wait until the console has sent what it took."""
    end = time.monotonic() + _SEND_S
    try:
        while time.monotonic() < end and fcntl.ioctl(console_fd, _TIOCOUTQ, bytes(4)) != bytes(4):
            time.sleep(0.01)
    except (OSError, ValueError):
        return  # no terminal, or none at all (ValueError: a descriptor of -1)


def _mounts_over(text: str, path: str) -> list[tuple[int, int, str, str]]:
    """The mounts that a path is in: length of the mount point, place in the list, type, options."""
    found = []
    for place, line in enumerate(text.splitlines()):
        _device, point, kind, options, *_ = line.split(" ")
        if path == point or path.startswith(point.rstrip("/") + "/"):
            found.append((len(point), place, kind, options))
    return found


def _sync_directory(path: str) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
