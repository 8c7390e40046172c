# SPDX-License-Identifier: MIT
"""`./dev figures`: how big an image by Buildroot is, what it takes to build, to boot and to run.

Sizes come from Buildroot's output folder, durations from its build-time.log, the rest from booting the image,
by QEMU's loader and from the disk's own.
"""

from __future__ import annotations

import json
import os
import statistics
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from koboshi_desk.core.errors import KoboshiError
from workbench.buildroot import build as buildroot
from workbench.core import progress
from workbench.guest.booted import Guest
from workbench.image.bootable import Image

OVERLAY = "overlay"
PARTS = 6  # packages that are listed by name, the largest first
MB = 1e6
# Memory that could be had at once; MemAvailable is younger than 2.6.23.
FREE = ("MemFree", "Buffers", "Cached")


@dataclass(frozen=True)
class Boots:
    """Medians over boots: the guest's clock from the kernel's start, the host's from the power button."""

    image: str
    count: int
    kernel_to_ready_s: float
    power_to_ready_s: float
    memory_mb: int
    used_mb: float  # of that, neither free nor cache


@dataclass
class Figures:
    """Of one image; bytes and seconds."""

    image: str
    buildroot: str
    kernel: int = 0
    root: int = 0  # the files of the root file system, the kernel in /boot included
    root_files: int = 0
    cpio: int = 0
    disk: int = 0
    packages: dict[str, int] = field(default_factory=dict)
    build_s: float = 0.0
    steps_s: dict[str, float] = field(default_factory=dict)
    boots: list[Boots] = field(default_factory=list)


def run(image_name: str, count: int, json_file: Path | None) -> int:
    """For the task: measure, print, write."""
    if count < 1:
        raise KoboshiError(f"--count {count}: at least 1 boot")
    image = buildroot.find(image_name.removesuffix(buildroot.DISK))
    figures = of_output(buildroot.folder_of(image.name), image.name)
    with progress.Progress(f"booting {image.name}", 2 * count) as steps:
        for each in (image, buildroot.find(image.name + buildroot.DISK)):
            figures.boots.append(boots(each, count, steps))
    print("\n".join(lines(figures)))
    if json_file is not None:
        json_file.write_text(json.dumps(asdict(figures), indent=2) + "\n")
    return 0


def of_output(folder: Path, name: str) -> Figures:
    """What Buildroot's output folder tells."""
    state = json.loads((folder / "koboshi.json").read_text())
    target = tree(folder / "target")
    kernel, cpio, disk = ((folder / "images" / file).stat().st_size for file in buildroot.IMAGES)
    steps = durations((folder / "build/build-time.log").read_text())
    return Figures(
        name,
        state["buildroot"],
        kernel,
        sum(target.values()),
        len(target),
        cpio,
        disk,
        by_package(target, (folder / "build/packages-file-list.txt").read_text()),
        sum(steps.values()),
        steps,
    )


def tree(root: Path) -> dict[str, int]:
    """The files below `root`, as Buildroot names them (./usr/bin/x), with their sizes; links have none."""
    found = {}
    for folder, _, names in os.walk(root):
        for path in (Path(folder) / name for name in names):
            if not path.is_symlink():
                found[f"./{path.relative_to(root)}"] = path.stat().st_size
    return found


def by_package(target: Mapping[str, int], listing: str) -> dict[str, int]:
    """Bytes by package, the biggest first; what none has installed is the overlay's and the scripts'."""
    owner: dict[str, str] = {}
    for line in listing.splitlines():
        package, _, path = line.partition(",")
        owner[path] = package
    sizes = Counter[str]()
    for path, size in target.items():
        sizes[owner.get(path) or owner.get(path.removesuffix("c"), OVERLAY)] += size
    return dict(sizes.most_common())


def durations(log: str) -> dict[str, float]:
    """Seconds by package, the longest first: each step's first run, as in the first build."""
    begun: dict[tuple[str, str], float] = {}
    took: dict[tuple[str, str], float] = {}
    for line in log.splitlines():
        time, what, step, package = (word.strip() for word in line.split(":", 3))
        key = (package, step)
        if what == "start":
            begun[key] = float(time)
        elif key in begun:
            took.setdefault(key, float(time) - begun[key])
    packages: dict[str, float] = {}
    for (package, _), seconds in took.items():
        packages[package] = packages.get(package, 0.0) + seconds
    longest = sorted(packages.items(), key=lambda item: -item[1])
    return {name: round(seconds, 1) for name, seconds in longest}


def boots(image: Image, count: int, steps: progress.Progress) -> Boots:
    """Boot it so often; medians."""
    ready, power, used = [], [], []
    for _ in range(count):
        with Guest(image) as guest:
            power.append(guest.boot())
            ready.append(guest.model.all_ready_time)
            used.append(memory_used(guest.shell.run("cat /proc/meminfo").output, image.memory_mb))
        steps.step()
    median = [round(statistics.median(values), 2) for values in (ready, power, used)]
    return Boots(image.name, count, median[0], median[1], image.memory_mb, median[2])


def memory_used(meminfo: str, memory_mb: int) -> float:
    """MiB of the machine's memory that are neither free nor cache, the kernel's own included."""
    fields = [line.replace(":", " ").split() for line in meminfo.splitlines()]
    kib = {words[0]: int(words[1]) for words in fields}
    return memory_mb - sum(kib[name] for name in FREE) / 1024


def lines(figures: Figures) -> list[str]:
    """Return the figures as text."""
    biggest = ", ".join(f"{name} {size / MB:.1f}" for name, size in list(figures.packages.items())[:PARTS])
    longest = ", ".join(f"{name} {took:.0f} s" for name, took in list(figures.steps_s.items())[:PARTS])
    minutes, seconds = divmod(round(figures.build_s), 60)
    told = [
        f"{figures.image}, Buildroot {figures.buildroot}",
        f"kernel            {figures.kernel / MB:6.2f} MB",
        f"root file system  {figures.root / MB:6.2f} MB in {figures.root_files} files ({biggest})",
        f"as an archive     {figures.cpio / MB:6.2f} MB",
        f"disk image        {figures.disk / MB:6.2f} MB",
        f"first build       {minutes} min {seconds:02} s ({longest})",
    ]
    for boot in figures.boots:
        told.append(
            f"{boot.image}: kernel start to all ready {boot.kernel_to_ready_s:.2f} s, "
            f"from power-on {boot.power_to_ready_s:.2f} s; "
            f"{boot.used_mb:.0f} of {boot.memory_mb} MiB in use (medians of {boot.count})"
        )
    return told
