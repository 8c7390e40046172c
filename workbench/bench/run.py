# SPDX-License-Identifier: MIT
"""Runs a program of bench/ on the host or in a guest, and returns the JSON objects that it prints."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from koboshi_desk.console.decoder import Item, Text
from koboshi_desk.console.session import Console
from koboshi_desk.core import places
from koboshi_desk.core.deadline import Deadline, slow_factor
from koboshi_desk.core.errors import ConsoleClosedError, KoboshiError
from workbench.core import cache, progress
from workbench.core.command import environment, logged, output, pasteable
from workbench.core.repository import REPOSITORY
from workbench.guest.booted import new_log
from workbench.guest.errors import BootError
from workbench.guest.qemu import PROGRAM, Options, Qemu, paste_command
from workbench.image import layer
from workbench.image import small as smallimage
from workbench.image.bootable import Image
from workbench.kernel import build as kernel
from workbench.kernel import lines

BENCH = REPOSITORY / "bench"
HOST = "host"
STALL_S = 600.0  # from one result to the next; the largest memory takes minutes where the CPU is emulated
FIXED = "norandmaps"  # where instructions are counted, the same run is to give the same counts
_STATUS = re.compile(r"bench: status (-?\d+)")
Row = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """Where a program runs: `line` is HOST or a kernel line; `bzimage` takes another kernel for it."""

    line: str = lines.DEFAULT_LINE
    smp: int = 1
    memory_mb: int = 256
    icount: int | None = None
    bzimage: Path | None = None


@dataclass(frozen=True)
class Run:
    """A program's output, and how it was run."""

    rows: list[Row]
    about: dict[str, str]


def programs() -> Path:
    """Build what has changed and return the folder with this checkout's programs."""
    build = places.cache_folder() / "objects" / cache.key(["bench", str(REPOSITORY)])
    build.mkdir(parents=True, exist_ok=True)
    log = build / "build.log"
    archive = build / "librfork-static.a"
    with cache.lock(f"bench-{build.name}"):
        log.unlink(missing_ok=True)
        make = ["make", f"-j{os.cpu_count() or 1}"]
        logged([*make, "-C", layer.LIBRFORK, f"BUILD={build}", archive, build / "rfork-run"], log)
        logged([*make, "-C", BENCH, f"BUILD={build}", f"LIBRFORK={archive}"], log)
    return build


def run(command: list[str], place: Place) -> Run:
    """Run a program with its arguments; its objects but the closing one."""
    done = _on_host(command) if place.line == HOST else _in_guest(command, place)
    if not done.rows or done.rows[-1] != {"bench": "end"}:
        raise KoboshiError(f"{command[0]}: its results are not complete ({done.about['command']})")
    return replace(done, rows=done.rows[:-1])


def _on_host(command: list[str]) -> Run:
    program: list[str | Path] = [programs() / command[0], *command[1:]]
    progress.note(f"bench: {pasteable(program)}")
    done = subprocess.run(
        program, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, env=environment()
    )
    if done.returncode:
        raise KoboshiError(f"{pasteable(program)}: exit status {done.returncode}")
    about = {"command": pasteable(command), "kernel": f"{HOST}: {' '.join(os.uname()[2:4])}", "cpu": _cpu()}
    return Run([json.loads(line) for line in done.stdout.splitlines()], about)


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return f"{line.partition(':')[2].strip()}, {os.cpu_count()} CPUs"
    return "unknown"


@dataclass
class Listener:
    """Collects the objects and the status; a line that is damaged is an error."""

    rows: list[Row] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    status: int | None = None

    def take(self, item: Item) -> None:
        """Handle an item; a listener for Console.listen."""
        if not isinstance(item, Text):
            return
        text = item.text.strip()
        if text.startswith('{"bench"'):
            self.rows.append(self._object(text))
        elif found := _STATUS.fullmatch(text):
            self.status = int(found[1])
        else:
            self.said.append(text)

    def _object(self, text: str) -> Row:
        try:
            row: Row = json.loads(text)
        except ValueError as error:
            raise KoboshiError(f"a result was damaged on the console: {text}") from error
        return row


def _in_guest(command: list[str], place: Place) -> Run:
    build = programs()
    line = lines.find(place.line)
    image = smallimage.build(line, [build / command[0]], BENCH / "init.c")
    if place.bzimage:
        image = replace(image, kernel=place.bzimage)
    return in_image(image, command, place)


def in_image(image: Image, command: list[str], place: Place) -> Run:
    """Boot an image whose PID 1 runs what `bench=` says."""
    # On a busy host an emulated timer can look dead; 2.6.23 would take its best way for broken then.
    checked = "no_timer_check" if lines.find(place.line).runs_glibc else ""
    fixed = FIXED if place.icount is not None else ""
    options = Options(
        smp=place.smp,
        memory_mb=place.memory_mb,
        catch_reboot=True,
        append=f'{checked} {fixed} bench="{" ".join(command)}"'.strip(),
        icount=place.icount,
    )
    log = new_log(f"bench-{place.line}")
    progress.note(f"bench: {' '.join(command)} on {place.line}, {place.smp} CPU; its console: {log}")
    listener = Listener()
    with Qemu(image, options) as qemu:
        qemu.start(Deadline(30.0, "qemu"))
        _listen(Console(qemu.connect("console"), log, paste_command(image, options)), qemu, listener)
    if listener.status != 0:
        raise BootError("benchmark", log, listener.said[-10:], f"{command[0]}: status {listener.status}")
    return Run(listener.rows, about(image, paste_command(image, options), place.line))


def _listen(console: Console, qemu: Qemu, listener: Listener) -> None:
    """Until the status has come, or nothing has for long."""
    console.listen(listener.take)
    try:
        qemu.cont()
        while listener.status is None:
            _next(console, listener)
    except ConsoleClosedError:
        return  # without a status: the caller says so
    finally:
        console.drain(limit_s=2.0)
        console.close()


def _next(console: Console, listener: Listener) -> None:
    before = len(listener.rows)
    console.until(
        lambda: listener.status is not None or len(listener.rows) > before,
        Deadline(STALL_S * slow_factor()),
        "further result",
    )


def about(image: Image, command: str, line: str = lines.DEFAULT_LINE) -> dict[str, str]:
    """What a result depends on besides this repository."""
    built = kernel.build(line)
    own = image.kernel == built.image
    return {
        "command": _without_cache(command),
        "kernel": f"{line}: {built.release} {built.identity}" if own else _without_cache(str(image.kernel)),
        "config": cache.file_digest(built.config)[:16] if own else "unknown",
        "qemu": output([PROGRAM, "--version"]).splitlines()[0],
        "cpu": _cpu(),
    }


def _without_cache(text: str) -> str:
    """What is quoted elsewhere names no folder of this machine's."""
    return text.replace(str(places.cache_folder()), "$KOBOSHI_CACHE")


def digest(text: str) -> str:
    """A name for what is made from it."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]
