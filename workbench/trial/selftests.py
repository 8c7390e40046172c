# SPDX-License-Identifier: MIT
"""The kernel's own selftests, the same programs on the patched kernel and on a stock one: same results.

Those of rfork must pass on the patched kernel, whatever the stock one says.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from koboshi_desk.console.findings import Finding
from koboshi_desk.core.errors import KoboshiError
from workbench.core import cache, progress
from workbench.core.command import CommandError, logged, output
from workbench.guest.booted import Guest
from workbench.guest.qemu import Options
from workbench.image import quick as quickimage
from workbench.kernel import lines, patches, source

# Those of tools/testing/selftests that are about processes; 6.12 has none of signals by themselves.
TARGETS = ("clone3", "pidfd", "exec", "ptrace", "timers", "rlimits", "sigaltstack", "core", "cgroup", "proc")
OURS = "rfork"
SELFTESTS = "tools/testing/selftests"
FOLDER = "/usr/lib/selftests"
LIMIT_S = 90  # one program; those that take longer end by it on both kernels
MEMORY_MB = 1024  # the programs and what they need are a hundred, and the root may have half
TRIES = 3  # of a program whose results differ: much of what they measure is time
_LISTED = re.compile(r"([\w-]+):([\w.-]+)")
_TAP = re.compile(r"^(?:# +)?(ok|not ok) +\d+ *-? *([^#]*)(#.*\bSKIP\b)?", re.IGNORECASE)


@dataclass(frozen=True)
class Result:
    """Of a program: its exit status (137: the time limit) and what it said of each of its tests."""

    status: int
    tests: tuple[str, ...]

    @property
    def text(self) -> str:
        """For people."""
        good = sum(line.startswith("ok") for line in self.tests)
        return f"status {self.status}, {good} of {len(self.tests)} ok"

    @property
    def passed(self) -> bool:
        """Whether there were tests, and all of them passed."""
        words = [line.startswith("ok") and not line.endswith("# SKIP") for line in self.tests]
        return self.status == 0 and bool(words) and all(words)


@dataclass(frozen=True)
class Pair:
    """A program's results on both kernels, each try's."""

    name: str
    patched: tuple[Result, ...]
    stock: tuple[Result, ...]

    @property
    def same(self) -> bool:
        """Whether the patched kernel gave what the stock one gave in any try, or our own test passed."""
        if self.name.startswith(f"{OURS}/"):
            return any(result.passed for result in self.patched)
        return not set(self.patched).isdisjoint(self.stock)


def run(line_name: str, only: str = "", json_file: Path | None = None) -> int:
    """Print a line per program; return 1 if any differs or the patched kernel's log has a finding."""
    programs = build(lines.find(line_name))
    wanted = [name for name in programs if any(part in name for part in only.split(","))]
    with ExitStack() as stack:
        guests = [
            stack.enter_context(_guest(name, programs)) for name in (line_name, line_name + lines.STOCK)
        ]
        for guest in guests:
            guest.boot()
        pairs = [_tell(_pair(guests, name)) for name in wanted]
        said = guests[0].verdict()
    print(summary(pairs, said))
    if json_file:
        json_file.write_text(json.dumps([asdict(pair) for pair in pairs], indent=2) + "\n")
    return 1 if said or not all(pair.same for pair in pairs) else 0


def summary(pairs: Sequence[Pair], said: Sequence[Finding]) -> str:
    """The last lines."""
    differ = [pair.name for pair in pairs if not pair.same]
    log = "".join(f"\n  the patched kernel said: {finding}" for finding in said)
    tests = sum(len(pair.patched[-1].tests) for pair in pairs)
    return (
        f"selftests: {len(pairs)} programs with {tests} tests, {len(differ)} differ {' '.join(differ)}{log}"
    )


def build(line: lines.KernelLine) -> dict[str, Path]:
    """Names as target/program, and the files; what this machine lacks a library for is left out."""
    if line.package is None:
        raise KoboshiError(f"selftests: {line.name} has none for processes")
    origin = source.find(line, None)
    tree = source.unpack(origin, line)
    series = patches.series(line.patches)
    targets = (*TARGETS, OURS)

    def compile_all(folder: Path) -> None:
        progress.note("building the kernel's selftests")
        log = folder / "build.log"
        with cache.lock(f"linux-{tree.source.parent.name}"):  # its headers are the series', or were
            patches.apply(series, tree)
            logged(["make", "-s", "-C", tree.source, f"O={folder}", "headers"], log)
        make = ["make", "-k", "-s", f"-j{os.cpu_count() or 1}", "-C", str(tree.source / SELFTESTS)]
        try:
            logged([*make, "LDLIBS=", f"O={folder}", f"TARGETS={' '.join(targets)}"], log)
        except CommandError:
            progress.note(f"not all selftests can be built here: {log}")
        (folder / "list").write_text("".join(_listed(tree.source, target) for target in targets))

    parts: list[str | Path] = ["selftests", origin.identity, *targets, *series, Path(__file__)]
    folder = cache.entry("objects", cache.key(parts), compile_all)
    named = [
        (f"{m[1]}/{m[2]}", folder / "kselftest" / m[1] / m[2])
        for m in _LISTED.finditer((folder / "list").read_text())
    ]
    return {name: path for name, path in named if path.exists()}


def _listed(tree: Path, target: str) -> str:
    """What the kernel's runner would run of a folder; its scripts want more than BusyBox."""
    said = output(["make", "-s", "-C", tree / SELFTESTS / target, "emit_tests", f"COLLECTION={target}"])
    return "".join(
        f"{line}\n" for line in said.splitlines() if _LISTED.fullmatch(line) and not line.endswith(".sh")
    )


def _guest(line: str, programs: Mapping[str, Path]) -> Guest:
    """With everything beside the programs too: some execute or read their neighbours."""
    folders = {path.parent for path in programs.values()}
    beside = [
        path
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file() and path.suffix not in (".o", ".d")
    ]
    extra = {
        f"{FOLDER}/{path.relative_to(path.parents[1])}": path for path in beside if path.parent in folders
    }
    return Guest(quickimage.build(extra=extra, line=line), Options(memory_mb=MEMORY_MB))


def _pair(guests: Sequence[Guest], name: str) -> Pair:
    tries: list[list[Result]] = []
    with ThreadPoolExecutor(len(guests)) as pool:
        while True:
            tries.append(list(pool.map(lambda guest: _once(guest, name), guests)))
            pair = Pair(name, *(tuple(one[i] for one in tries) for i in range(2)))
            if pair.same or len(tries) == TRIES:
                return pair


def _once(guest: Guest, name: str) -> Result:
    folder, program = name.split("/")
    command = f"cd {FOLDER}/{folder} && timeout -s KILL {LIMIT_S} ./{program} >/tmp/selftest.log 2>&1"
    done = guest.shell.run(command, LIMIT_S + 60.0, check=False)
    said = guest.shell.run("grep -E '^(# +)?(ok|not ok) ' /tmp/selftest.log; true", 60.0)
    return Result(done.status, tests_of(said.output))


def tests_of(text: str) -> tuple[str, ...]:
    """The TAP lines, numbers in them left out: they are PIDs, times and sizes."""
    found = [match for line in text.splitlines() if (match := _TAP.match(line))]
    return tuple(
        f"{match[1]} {re.sub(r'[0-9]+', 'N', match[2]).strip()}{' # SKIP' if match[3] else ''}"
        for match in found
    )


def _tell(pair: Pair) -> Pair:
    word = "same" if pair.same else "DIFFERENT"
    print(f"{word:10} {pair.name}: {pair.patched[-1].text}", flush=True)
    if not pair.same:
        print(f"{'':10} stock: {pair.stock[-1].text}")
        print(
            "\n".join(
                f"{'':12} {line}" for line in sorted(set(pair.patched[-1].tests) ^ set(pair.stock[-1].tests))
            )
        )
    return pair
