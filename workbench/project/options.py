# SPDX-License-Identifier: MIT
"""A line for each option of each task, shown by `./dev TASK --help`."""

from __future__ import annotations

LINE = "kernel line: linux-6.12, linux-7.3 or linux-2.6.23"
BOARD_LINE = "kernel line: linux-6.12 or linux-2.6.23"
JSON = "write the results to this file"
MANIFEST = "component manifest; default: components/koboshi.toml"
IMAGE = "image of `./dev image --board`, by name or file; default: the quick image"
MINUTES = "how long to run"
OWN = {
    "add": "a file of yours in the image, as PATH=FILE; may be repeated",
    "python": "a Python module or package of yours in the image; may be repeated",
    "package": "a Debian package in the image; may be repeated",
}

HELP: dict[str, dict[str, str]] = {
    "kernel": {
        "line": f"{LINE}; default: linux-6.12, and linux-7.3 for --newest",
        "linux-source": "folder or archive of the kernel's sources; default: download them",
        "debug": "build with the kernel's checkers, such as KASAN and lockdep",
        "check": "examine the patches: checkpatch, sparse, unusual configurations",
        "footprint": "print what the patches add to the kernel",
        "newest": "try the patches on the newest kernel source that Debian has",
    },
    "image": {
        "manifest": MANIFEST,
        "board": "build this board's image with Buildroot",
        "line": BOARD_LINE,
        "buildroot": "folder of Buildroot; default: download it",
        "dl-dir": "folder in which Buildroot keeps downloads",
        "primary-site": "server that Buildroot asks first",
        "config": "file with more Buildroot options",
        "make": "target of Buildroot's make instead of the image",
        "external": "an external tree of Buildroot beside this one; may be repeated",
        **OWN,
    },
    "boot": {
        "smp": "number of CPUs",
        "memory-mb": "memory in MB",
        "manifest": MANIFEST,
        "image": IMAGE,
        **OWN,
    },
    "demo": {
        "json": JSON,
        "smp": "number of CPUs",
        "backend": "rfork to use: kernel or user; default: kernel if there",
        "plain": "print a line per event, also on a terminal",
        "image": IMAGE,
        "manifest": MANIFEST,
        **OWN,
    },
    "powercut": {
        "image": "disk image, by name or file",
        "cuts": "number of power cuts",
        "seed": "seed of the moments of the cuts",
        "json": JSON,
    },
    "figures": {
        "image": "image to measure, by name or file",
        "count": "number of boots",
        "json": JSON,
    },
    "flash": {
        "image": "disk image to write, by name or file",
        "device": "disk to write to, such as /dev/sdX; everything on it is lost",
        "yes-really": "do not ask before writing",
    },
    "test": {"only": "run only tests that match this expression of pytest's -k"},
    "board": {
        "port": "serial port of the board",
        "lg-env": "labgrid environment file with the board",
    },
    "lint": {},
    "check": {},
    "conformance": {
        "line": f"{LINE}; default: both levels that this machine can run",
        "backend": "rfork to test: kernel or user; default: both",
        "json": JSON,
        "only": "run only tests with one of these parts in the name, with commas",
        "short": "run fewer rounds of each test",
        "debug": "use a kernel with its checkers; runs fewer rounds",
    },
    "bench": {
        "what": "all, gate, report, or one benchmark (bench/README.md)",
        "line": LINE,
        "smp": "number of CPUs; 0: the benchmark's own",
        "sizes": "memory sizes, with commas",
        "count": "number of restarts; 0: the benchmark's own",
        "more": "further arguments for the measuring program",
        "icount": "count instructions instead of time",
        "bzimage": "kernel image to measure",
        "json": JSON,
        "record": "keep the results of the gate as its new bounds",
        "parts": "parts of `all` to run, with commas",
    },
    "harden": {
        "minutes": MINUTES,
        "seed": "seed of the calls; 0: a new one",
        "calls": "end after this many calls; 0: no such end",
        "json": JSON,
        "inject": "inject faults into the kernel; --no-inject: do not",
        "debug": "use a kernel with its checkers; --no-debug: do not",
        "smp": "number of CPUs",
        "line": LINE,
    },
    "selftests": {
        "line": LINE,
        "only": "run only programs with one of these parts in the name, with commas",
        "json": JSON,
    },
    "stress": {"minutes": MINUTES, "line": LINE},
    "soak": {
        "minutes": MINUTES,
        "seed": "seed of the faults",
        "json": JSON,
        "line": LINE,
        "host": "run on this machine instead of in a guest",
    },
    "docs": {},
    "screens": {},
    "clean_cache": {"older-than-days": "keep what was used in this many days; 0: remove everything"},
}
