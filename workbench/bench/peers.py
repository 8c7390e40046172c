# SPDX-License-Identifier: MIT
"""The same component under the supervisors that Debian has, in one guest and kernel: how long it is down.

A nanosecond of the guest is an instruction, so that what else this machine does changes nothing.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from workbench.bench import run as bench_run
from workbench.bench.run import Row, Run
from workbench.core import cache, progress
from workbench.core.command import output
from workbench.image import apt, base, busybox, cpio
from workbench.image import small as smallimage
from workbench.image.bootable import Image
from workbench.kernel import build as kernel
from workbench.kernel import lines

PID1 = bench_run.BENCH / "peers/pid1"
PACKAGES = (
    "busybox-static",
    "finit",
    "monit",
    "python3-minimal",
    "libpython3-stdlib",
    "runit",
    "s6",
    "supervisor",
    "systemd",
)
DROP = (
    "usr/share/doc",
    "usr/share/locale",
    "usr/share/man",
    "usr/share/perl*",
    "usr/lib/*/perl*",
    "usr/share/zoneinfo",
)
PEERS = (
    "koboshi-warm",
    "koboshi-user",
    "koboshi-cold",
    "runit",
    "s6",
    "busybox-init",
    "busybox-runsv",
    "supervisord",
    "finit",
    "monit",
    "systemd",
)
RUNSV = ("runsvdir", "runsv")
HEALTHY, LIFE_MS, LOOP, SECONDS = 8, 1500, 8, 60
MEMORY_MB = 1024
APPEND = "console=ttyS0,115200 quiet panic=1 rdinit=/tests/pid1"


def packages_tree(folder: Path) -> Path:
    """All packages unpacked, without what only people read."""
    packages = apt.resolve(PACKAGES)
    tree = folder / "tree"
    for file in apt.download(PACKAGES, packages):
        output(["dpkg-deb", "--extract", file, tree])
    base.merge_usr(tree)
    for pattern in DROP:
        for path in tree.glob(pattern):
            shutil.rmtree(path)
    return tree


def image() -> Image:
    """The shipped kernel with the peers, the component and the script that starts one of them."""
    line = lines.find(lines.DEFAULT_LINE)
    build = bench_run.programs()
    own = [build / "component", build / "rfork-run", PID1]
    box = busybox.build().program  # for runsv, which Debian's has not

    def make(folder: Path) -> None:
        progress.note("making the peers' image")
        tree = packages_tree(folder)
        for name in ("dev", "proc", "sys", "run", "tmp", "tests", "etc/systemd/system"):
            (tree / name).mkdir(parents=True, exist_ok=True)
        for path in own:
            shutil.copy(path, tree / "tests" / path.name)
        (tree / "tests/box").mkdir()
        for name in RUNSV:
            shutil.copy(box, tree / "tests/box" / name)
        (tree / "etc/passwd").write_text("root::0:0:root:/:/bin/sh\n")  # monit looks up its own user
        python = sorted((tree / "usr/bin").glob("python3.*"))[0]
        (tree / "usr/bin/python3").unlink(missing_ok=True)
        (tree / "usr/bin/python3").symlink_to(python.name)
        cpio.write(folder / "initrd", tree, smallimage.NODES)
        shutil.rmtree(tree)

    versions = [f"{package.name} {package.version} {package.checksum}" for package in apt.resolve(PACKAGES)]
    key = cache.key(["peers", *versions, Path(__file__), *own, box])
    initrd = cache.entry("image", key, make) / "initrd"
    return Image(f"peers-{line.name}", kernel.build(line.name).image, initrd, APPEND, MEMORY_MB, 1)


def run(names: Sequence[str]) -> Run:
    """Each in a guest of its own; the results of all, and of the last how it was run."""
    booted = image()
    rows: list[Row] = []
    about: dict[str, str] = {}
    for name in names:
        command = [name, *map(str, (HEALTHY, LIFE_MS, LOOP, SECONDS))]
        done = bench_run.in_image(booted, command, bench_run.Place(smp=1, memory_mb=MEMORY_MB, icount=0))
        rows += done.rows[:-1]
        about = done.about
    versions = {package.name: package.version for package in apt.resolve(PACKAGES)}
    return Run(rows, {**about, **{name: versions[name] for name in PACKAGES}})


def table(rows: Sequence[Row]) -> str:
    """Milliseconds from the crash to the component's first statement."""
    text = [f"{'peer':<15}{'case':<9}{'restarts':>9}{'min':>11}{'median':>11}{'max':>11}  (ms)"]
    for row in rows:
        times = "".join(f"{row[key] / 1e6:11.3f}" for key in ("min", "p50", "max")) if row["n"] else ""
        text.append(f"{row['peer']:<15}{row['case']:<9}{row['n']:>9}{times}")
    return "\n".join(text)
