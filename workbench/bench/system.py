# SPDX-License-Identifier: MIT
"""What is measured of the whole system, by its own records: components, boot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from koboshi_desk.console.decoder import Item, Record
from koboshi_desk.core.deadline import Deadline
from koboshi_desk.core.places import cache_folder
from workbench.bench import figures
from workbench.bench import run as bench_run
from workbench.bench.run import BENCH, Row, Run
from workbench.core import progress
from workbench.guest.booted import Guest
from workbench.guest.qemu import Options, paste_command
from workbench.image import quick as quickimage

BOOTS = 5
READY_S = 300.0
SMALL_MB, LARGE_MB = 1, 1024
GUEST_MB = 3584  # the largest component; freeing it is put off only where twice that is available besides
PYTHON_FOLDER = "/usr/lib/koboshi"


@dataclass(frozen=True)
class Component:
    """One to be crashed so often, and where a restart of it begins."""

    name: str
    start: str  # its lines of the manifest
    level: str
    count: int

    @property
    def table(self) -> str:
        """Its part of the manifest; limits that these crashes stay within."""
        return (
            f'[component.{self.name}]\n{self.start}\nready = "notify"\nready_timeout_s = {READY_S:.0f}\n'
            "restart = { burst = 100, window_s = 10, probation_s = 0 }\nladder = { same_fault = 0 }\n"
        )


def daemon(name: str, megabytes: int, level: str, count: int) -> Component:
    """Return the C daemon with the given amount of private memory."""
    warm = ', "warm"' if level == "warm" else ""
    return Component(name, f'command = ["/tests/daemon", "{megabytes}"{warm}]', level, count)


def python(name: str, level: str, count: int) -> Component:
    """The Python component."""
    arguments = 'arguments = ["warm"]\n' if level == "warm" else ""
    environment = f'environment = {{ PYTHONPATH = "{PYTHON_FOLDER}" }}'
    return Component(name, f'python = "koboshi_bench"\n{arguments}{environment}', level, count)


COMPONENTS = (
    python("python-warm", "warm", 20),
    python("python-cold", "cold", 8),
    daemon("daemon-warm", SMALL_MB, "warm", 20),
    daemon("daemon-cold", SMALL_MB, "cold", 20),
    daemon("gigabyte-warm", LARGE_MB, "warm", 12),
    daemon("gigabyte-cold", LARGE_MB, "cold", 4),
)


@dataclass
class Watch:
    """Each component's instance that is ready, and how long it was out of service before."""

    pid: dict[str, int] = field(default_factory=dict)
    downtime_ns: dict[str, list[int]] = field(default_factory=dict)

    def take(self, item: Item) -> None:
        """Handle an item; a listener for Guest.listen."""
        if not isinstance(item, Record) or item.event != "ready":
            return
        self.pid[item.component] = item.number("pid") or 0
        if downtime := item.number("downtime_us"):
            self.downtime_ns.setdefault(item.component, []).append(1000 * downtime)


def components() -> Run:
    """From the crash to READY=1 of the next instance, as rfork-run records it; a guest for each."""
    rows, about = [], {}
    for each in COMPONENTS:
        guest = _guest(
            f"version = 1\n\n{each.table}", {f"{PYTHON_FOLDER}/koboshi_bench.py": BENCH / "imports.py"}
        )
        with guest:
            watch = Watch()
            guest.listen(watch.take)
            guest.boot(READY_S)
            _crash(guest, watch, each)
            about = _about(guest)
        rows.append(
            {"bench": "components", "variant": each.name, "level": each.level}
            | quantiles(watch.downtime_ns[each.name])
        )
    return Run(rows, about)


def _crash(guest: Guest, watch: Watch, each: Component) -> None:
    with progress.Progress(f"crashing {each.name}", each.count) as steps:
        for done in range(1, each.count + 1):
            guest.shell.run(f"kill -SEGV {watch.pid[each.name]}")
            guest.console.until(
                _so_many(watch, each.name, done), Deadline(READY_S), f"{each.name} is ready again"
            )
            steps.step()


def _so_many(watch: Watch, name: str, count: int) -> Callable[[], bool]:
    return lambda: len(watch.downtime_ns.get(name, [])) >= count


def quantiles(values: list[int]) -> Row:
    """As bench/stats.c has them: the nearest rank."""
    ordered = sorted(values)
    at = {
        name: ordered[max(0, -(-len(ordered) * percent // 100) - 1)]
        for name, percent in (("p50", 50), ("p99", 99))
    }
    return {"n": len(ordered), "min": ordered[0], **at, "max": ordered[-1]}


def boot() -> Run:
    """From the kernel's start to every component of the demo ready."""
    image = quickimage.build()
    with progress.Progress("booting", BOOTS) as steps:
        found = figures.boots(image, BOOTS, steps)
    row = {
        "bench": "boot",
        "variant": found.image,
        "n": found.count,
        "kernel_to_ready_s": found.kernel_to_ready_s,
    }
    command = paste_command(image, Options())
    return Run([row | {"used_mb": found.used_mb}], bench_run.about(image, command))


def _guest(manifest: str, extra: dict[str, Path]) -> Guest:
    program = bench_run.programs() / "daemon"
    folder = cache_folder() / "bench"
    folder.mkdir(exist_ok=True)
    file = folder / f"{bench_run.digest(manifest)}.toml"
    file.write_text(manifest)
    image = quickimage.build(file, {"/tests/daemon": program, **extra})
    return Guest(image, Options(memory_mb=GUEST_MB, smp=1))


def _about(guest: Guest) -> dict[str, str]:
    return bench_run.about(guest.image, paste_command(guest.image, guest.qemu.options))
