# SPDX-License-Identifier: MIT
"""Runs librfork's tests, one per behaviour, on each backend and kernel: on the host and in guests."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from koboshi_desk.console.decoder import Item, KernelLine, Text
from koboshi_desk.console.findings import Finding, judge, judge_taint
from koboshi_desk.console.session import Console
from koboshi_desk.core import deadline, places
from koboshi_desk.core.deadline import Deadline, slow_factor
from koboshi_desk.core.errors import ConsoleClosedError, KoboshiError
from workbench.core import cache, progress
from workbench.core.command import environment, logged
from workbench.core.repository import REPOSITORY
from workbench.guest import kmemleak
from workbench.guest.booted import Guest, new_log
from workbench.guest.qemu import Options, Qemu, paste_command
from workbench.image import busybox, layer, programs
from workbench.image import quick as quickimage
from workbench.image import small as smallimage
from workbench.image.bootable import Image
from workbench.kernel import lines, source
from workbench.kernel.lines import KernelLine as Line
from workbench.trial import verdicts
from workbench.trial.verdicts import BACKENDS, FAILED, NOT_RUN, Column, Verdict

HOST = "host"
FOLDER = "/usr/lib/rfork-tests"
JOBS = 4  # most of them mostly wait
BOOT_S = 60.0  # and to clear up after a test
# In a small image: t_oom uses all of it up, and 2.6.23 looks at every page again and again before it kills.
MEMORY_MB = 128
_END = re.compile(r"conformance: (user|kernel) end (-?\d+)")
_ERROR = re.compile(r"conformance: error: .*")


@dataclass(frozen=True)
class Effort:
    """How often the tests do what only numbers can show (a leak, a race), and how long they may take."""

    full: bool
    test_s: int  # one test
    run_s: float  # one backend in a guest

    @property
    def limit(self) -> int:
        """Of one test on this machine."""
        return int(self.test_s * slow_factor())


SHORT = Effort(full=False, test_s=120, run_s=900.0)
FULL = Effort(full=True, test_s=1200, run_s=3600.0)


@dataclass(frozen=True)
class Tests:
    """librfork's tests as built, programs and scripts; `only` has parts of the names of those wanted."""

    folder: Path
    only: str = ""
    effort: Effort = SHORT
    backends: tuple[str, ...] = BACKENDS

    @property
    def files(self) -> list[Path]:
        """All that has to be taken along."""
        return sorted(
            path
            for path in self.folder.iterdir()
            if path.suffix != ".d" and (not path.name.startswith("t_") or self._selected(path.name))
        )

    def _selected(self, name: str) -> bool:
        return any(part in name for part in self.only.split(","))

    @property
    def arguments(self) -> list[str]:
        """For run-tests."""
        limit = ["--limit", str(self.effort.limit)]
        return [
            *limit,
            *("--jobs", str(JOBS)),
            *(["--only", self.only] if self.only else []),
            *(["--full"] if self.effort.full else []),
        ]

    @property
    def names(self) -> list[str]:
        """The tests, programs and scripts."""
        return [path.name for path in self.files if path.name.startswith("t_")]

    def columns(self, kernel: str) -> list[Column]:
        """Of that kernel."""
        return [Column(backend, kernel) for backend in self.backends]


def build_tests(only: str = "", effort: Effort = SHORT, backend: str = "") -> Tests:
    """Rebuild what has changed in librfork, in this checkout's own folder, for one or both backends."""
    if backend and backend not in BACKENDS:
        raise KoboshiError(f"--backend {backend}: no such level; there is {' and '.join(BACKENDS)}")
    build = places.cache_folder() / "objects" / cache.key(["conformance", str(REPOSITORY)])
    build.mkdir(parents=True, exist_ok=True)
    log = build / "build.log"
    with cache.lock(f"conformance-{build.name}"):
        log.unlink(missing_ok=True)
        logged(["make", f"-j{os.cpu_count() or 1}", "-C", layer.LIBRFORK, f"BUILD={build}", "tests"], log)
    tests = Tests(build / "tests/static", only, effort, (backend,) if backend else BACKENDS)
    if not tests.names:
        raise KoboshiError(f"--only {only}: no test of librfork has that in its name")
    return tests


def run(kernel: str, tests: Tests, json_file: Path | None = None) -> int:
    """Print the matrix, of all kernels or of one (`host` or a line); 1 if anything failed."""
    names = [kernel] if kernel else [HOST, *sorted(lines.LINES, reverse=True)]
    wanted = [lines.find(name) for name in names if name != HOST]
    found = on_host(tests) if HOST in names and "user" in tests.backends else []
    for line in wanted:
        with deadline.slower(line.slowness):
            found += on_line(line, tests, wanted=bool(kernel))
    print(f"{verdicts.matrix(found)}\n{verdicts.summary(found)}")
    if json_file:
        json_file.write_text(verdicts.as_json(found))
    return 1 if any(item.verdict == FAILED for item in found) else 0


def on_host(tests: Tests) -> list[Verdict]:
    """The user level on this machine."""
    progress.note("conformance: user level on this machine")
    column = Column("user", HOST)
    done = subprocess.run(
        [tests.folder / "run-tests", "--backend", column.backend, *tests.arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        env=environment(),
    )
    got = verdicts.from_table(done.stdout, column)
    return verdicts.completed(got, tests.names, column, f"no verdict: {done.stderr.strip()}")


def on_line(line: Line, tests: Tests, *, wanted: bool = False) -> list[Verdict]:
    """Both levels in a guest with that line's kernel; without its source only if it is `wanted` by name."""
    if not wanted and (reason := why_not(line)):
        columns = tests.columns(line.name)
        return [item for c in columns for item in verdicts.all_the_same(tests.names, c, NOT_RUN, reason)]
    return in_quick_image(line, tests) if line.runs_glibc else in_small_image(line, tests)


def why_not(line: Line) -> str:
    """Why a line cannot be built here without fetching anything; "" if it can."""
    # A package's line is fetched without asking: it is the one that everything else is built on.
    if (line.package is not None and not line.trial) or source.local(line) is not None:
        return ""
    if line.trial:
        return f"no source of {line.name}: `./dev kernel --line {line.name}` fetches it"
    return f"no source of {line.name}: put its tarball at {source.by_hand_place(line)} (or .bz2, .gz)"


def in_quick_image(line: Line, tests: Tests) -> list[Verdict]:
    """In the image that is shipped, by the runner and shell in it."""
    extra = {f"{FOLDER}/{path.name}": path for path in tests.files}
    if "t_gdb.sh" in tests.names:
        extra |= programs.find("gdb-minimal", "gdb")
    image = quickimage.build(extra=extra, line=line.name)
    found: list[Verdict] = []
    reason = "no verdict"
    with Guest(image) as guest:
        try:
            guest.boot()
            for column in tests.columns(line.name):
                found += _by_shell(guest, tests, column)
        except KoboshiError as error:
            reason = f"no verdict: {str(error).splitlines()[0]} ({guest.log})"
    return _completed(found, tests, line.name, reason)


def _by_shell(guest: Guest, tests: Tests, column: Column) -> list[Verdict]:
    progress.note(f"conformance: {column.backend} level on {column.kernel}")
    command = f"sh {FOLDER}/run-tests --machine --backend {column.backend} {' '.join(tests.arguments)}"
    kmemleak.forget(guest.shell)
    known = set(guest.verdict())
    text = guest.shell.run(command, tests.effort.run_s, check=False).output
    new = set(guest.verdict()) - known | set(kmemleak.find(guest.shell))
    return [*verdicts.from_table(text, column), verdicts.of_log(new, column)]


def _completed(found: Sequence[Verdict], tests: Tests, kernel: str, reason: str) -> list[Verdict]:
    """Each column with a verdict for each test, one column after the other."""
    result: list[Verdict] = []
    for column in tests.columns(kernel):
        own = [item for item in found if item.backend == column.backend]
        result += verdicts.completed(own, [*tests.names, verdicts.KERNEL_LOG], column, reason)
    return result


@dataclass
class Listener:
    """Collects what tests/image/init.sh says, and what the kernel says meanwhile."""

    kernel: str
    backends: tuple[str, ...] = BACKENDS
    found: list[Verdict] = field(default_factory=list)
    error: str = ""
    ended: set[str] = field(default_factory=set)
    _table: list[str] = field(default_factory=list)
    _log: set[Finding] = field(default_factory=set)

    @property
    def heard(self) -> int:
        """Lines of the level that has not ended."""
        return len(self._table)

    @property
    def done(self) -> bool:
        """Whether nothing more is to come."""
        return bool(self.error) or self.ended >= set(self.backends)

    def begun(self) -> list[Verdict]:
        """The verdicts of a level that has not ended: they come one after the other."""
        rest = [Column(backend, self.kernel) for backend in self.backends if backend not in self.ended]
        return verdicts.from_table("\n".join(self._table), rest[0]) if rest else []

    def take(self, item: Item) -> None:
        """Handle an item; a listener for Console.listen."""
        if isinstance(item, KernelLine | Text) and (finding := judge(item)):
            self._log.add(finding)
        if isinstance(item, Text):
            self._text(item.text.rstrip())

    def _text(self, text: str) -> None:
        if end := _END.fullmatch(text):
            self._end(end[1], int(end[2]))
        elif _ERROR.fullmatch(text):
            self.error = text
        else:
            self._table.append(text)

    def _end(self, backend: str, taint: int) -> None:
        tainted = judge_taint(taint)
        findings = self._log | ({tainted} if tainted else set())
        column = Column(backend, self.kernel)
        self.found += [
            *verdicts.from_table("\n".join(self._table), column),
            verdicts.of_log(findings, column),
        ]
        self.ended.add(backend)
        self._table, self._log = [], set()


def in_small_image(line: Line, tests: Tests) -> list[Verdict]:
    """In an image of static programs, all linked with musl, a BusyBox for the scripts among them."""
    image = smallimage.build(line, tests.files, box=busybox.build())
    listener = Listener(line.name, tests.backends)
    progress.note(f"conformance: {' and '.join(tests.backends)} level on {line.name}")
    reason = _listen(image, listener, tests)
    return _completed([*listener.found, *listener.begun()], tests, line.name, reason)


def _append(tests: Tests) -> str:
    """What tests/image/init.sh reads."""
    one = f" conformance_backend={tests.backends[0]}" if len(tests.backends) == 1 else ""
    full = " conformance_full=1" if tests.effort.full else ""
    return f"conformance_limit={tests.effort.limit} conformance_jobs={JOBS}{full}{one}"


def _listen(image: Image, listener: Listener, tests: Tests) -> str:
    """Boot, listen until the end; why there may be verdicts missing."""
    log = new_log(image.name)
    options = Options(catch_reboot=True, append=_append(tests), memory_mb=MEMORY_MB)
    with Qemu(image, options) as qemu:
        qemu.start(Deadline(BOOT_S, "qemu"))
        header = f"run it by hand:\n{paste_command(image, options)}"
        console = Console(qemu.connect("console"), log, header)
        console.listen(listener.take)
        try:
            qemu.cont()
            while not listener.done:
                _next(console, listener, BOOT_S + tests.effort.test_s)
        except ConsoleClosedError:
            return f"no verdict: the guest ended early ({log})"
        except KoboshiError as error:
            return f"no verdict: {str(error).splitlines()[0]} ({log})"
        finally:
            console.drain(limit_s=2.0)
            console.close()
    return f"no verdict: {listener.error or 'its line was damaged'} ({log})"


def _next(console: Console, listener: Listener, limit_s: float) -> None:
    """Wait for one verdict more: a guest that hangs is not waited for longer than a test could take."""
    before = listener.heard
    console.until(lambda: listener.done or listener.heard != before, Deadline(limit_s), "further verdict")
