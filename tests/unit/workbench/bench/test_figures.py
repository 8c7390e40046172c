# SPDX-License-Identifier: MIT
"""Sizes and times of an image by Buildroot, from the files that Buildroot leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.bench import figures

MEMINFO = "MemTotal:  250000 kB\nMemFree:  100000 kB\nBuffers:  400 kB\nCached:  2000 kB\nHugePages: 0\n"


def test_a_file_counts_for_the_package_that_installed_it(tmp_path: Path) -> None:
    """Compiled modules count for their sources' package, links for nobody, other files for the overlay."""
    for name, size in (("usr/bin/tool", 10), ("usr/lib/m.pyc", 200), ("etc/hosts", 3)):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(size))
    (tmp_path / "usr/bin/link").symlink_to("tool")
    listing = "busybox,./usr/bin/tool\nbusybox,./usr/bin/link\npython3,./usr/lib/m.py\ngone,./gone\n"
    found = figures.tree(tmp_path)
    assert sum(found.values()) == 213
    assert figures.by_package(found, listing) == {"python3": 200, "busybox": 10, "overlay": 3}


def test_a_rebuild_does_not_count() -> None:
    """Of each step the first run counts; one that did not end counts nothing."""
    log = """\
10.5:start:build               : linux
20.5:end  :build               : linux
20.5:start:install-target      : linux
21.5:end  :install-target      : linux
30.0:start:configure           : host-m4
99.0:start:build               : linux
500.0:end  :build               : linux
"""
    assert figures.durations(log) == {"linux": 11.0}


def test_memory_in_use_is_what_is_neither_free_nor_cache() -> None:
    """What the kernel has taken for itself before it counts is in use."""
    assert figures.memory_used(MEMINFO, 256) == pytest.approx(256 - 102400 / 1024)
