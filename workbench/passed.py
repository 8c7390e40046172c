# SPDX-License-Identifier: MIT
"""Tests in guests that passed before with the same inputs are not run again; a plugin of pytest.

As an image is not built again where nothing has changed that it is made from. Only what passed is kept, with
what it passed with: the repository but for what no guest sees, the image, what Buildroot has made here, QEMU,
and the settings. Of the rest of the machine (compilers, packages that one test takes) it knows nothing, so
that only who asks for it leaves tests out (./dev test --changed), and CI never does.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from workbench import buildroot, cache, progress, quickimage
from workbench.command import output
from workbench.errors import WorkbenchError
from workbench.repository import REPOSITORY, files

KIND = "passed"
# So that what fails only now and then, or with the time of day, is still found.
HOLDS_S = 7 * 86400
GUESTS = "tests/image/"
# No guest and no test of one sees these, but for a few; a unit test looks for more of those.
UNSEEN = (
    *("docs/", "LICENSES/", "bench/results/", "tests/unit/"),
    *("CHANGELOG.md", "CONTRIBUTING.md", "README.md", "mkdocs.yml"),
)
SEEN = ("docs/quick-start.md", "tests/unit/test_serial.py", "tests/unit/test_watch_live.py")
# Where things are, and what cannot change a verdict.
UNIMPORTANT = {cache.CACHE_VARIABLE, "KOBOSHI_LOGS"}


def inputs(names: Iterable[str]) -> list[str]:
    """Of the repository's files, what a test in a guest may depend on."""
    return [name for name in names if name in SEEN or not name.startswith(UNSEEN)]


def key() -> str:
    """The key of what tests in guests are run with now; "" where no image can be built, as the steps say."""
    names = inputs(str(path.relative_to(REPOSITORY)) for path in files())
    contents = [
        part for name in names for part in (f"{name} {cache.mode(REPOSITORY / name):o}", REPOSITORY / name)
    ]
    try:
        quick = quickimage.build()
        version = output(["qemu-system-x86_64", "--version"])
    except WorkbenchError:
        return ""
    images = [quick.kernel.parent.name, quick.initrd.parent.name, *_prebuilt_images()]
    return cache.key([*contents, *images, version, sys.version, str(os.cpu_count()), *_settings()])


def _settings() -> list[str]:
    """What the environment says to Koboshi."""
    return sorted(
        f"{name}={value}"
        for name, value in os.environ.items()
        if name.startswith("KOBOSHI_") and name not in UNIMPORTANT
    )


def _prebuilt_images() -> Iterator[str]:
    """Hundreds of megabytes: by size and time."""
    for name in buildroot.names():
        image = buildroot.find(name)
        for path in (image.kernel, image.initrd, image.disk):
            if path is not None and path.is_file():
                status = path.stat()
                yield f"{name} {path.name} {status.st_size} {status.st_mtime_ns}"


class Kept:
    """What passed, and when, in a file for each key."""

    def __init__(self, folder: Path, now: float) -> None:
        self.folder = folder
        self.now = now

    def read(self, key: str) -> dict[str, float]:
        """The tests that passed with this key, and still hold; a damaged file holds none."""
        try:
            kept = json.loads((self.folder / key).read_text())
            return {str(test): float(when) for test, when in kept.items() if self.now - float(when) < HOLDS_S}
        except (OSError, ValueError, AttributeError, TypeError):
            return {}

    def add(self, key: str, passed: Iterable[str], failed: Iterable[str]) -> None:
        """Keep what passed, forget what failed."""
        gone = set(failed)
        kept = {**self.read(key), **dict.fromkeys(passed, self.now)}
        self.folder.mkdir(parents=True, exist_ok=True)
        aside = self.folder / f".{key}.{os.getpid()}"
        aside.write_text(
            json.dumps({test: when for test, when in kept.items() if test not in gone}, indent=1)
        )
        aside.replace(self.folder / key)


class Plugin:
    """Of the process that hands out the tests; the workers are told what to leave out."""

    def __init__(self, *, changed: bool) -> None:
        self.key = key()
        self.kept = Kept(cache.root() / KIND, time.time())
        self.known = self.kept.read(self.key) if changed and self.key else {}
        self.passed: set[str] = set()
        self.failed: set[str] = set()

    def pytest_configure_node(self, node: object) -> None:
        """To each worker (pytest-xdist): all must collect the same."""
        node.workerinput[KIND] = sorted(self.known)  # type: ignore[attr-defined]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test passed if its call did, and neither what was before nor after it failed."""
        if not report.nodeid.startswith(GUESTS):
            return
        if report.failed:
            self.failed.add(report.nodeid)
        elif report.when == "call" and report.passed:
            self.passed.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        """What passed before the repository was changed under the tests is not kept."""
        if not self.key or not (self.passed or self.failed):
            return
        if key() == self.key:
            self.kept.add(self.key, self.passed - self.failed, self.failed)
        else:
            progress.note("the repository or an image changed meanwhile: it is not kept which tests passed")

    def pytest_terminal_summary(self) -> None:
        """Says what did not run."""
        if self.known:
            oldest = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(min(self.known.values())))
            progress.note(
                f"{len(self.known)} tests in guests passed before with the same inputs (the first {oldest}) "
                "and did not run again; ./dev test without --changed runs them"
            )


def pytest_addoption(parser: pytest.Parser) -> None:
    """For ./dev test."""
    parser.addoption("--changed", action="store_true", help="not the tests in guests that passed before")


def pytest_configure(config: pytest.Config) -> None:
    """Only where the tests are handed out."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Plugin(changed=config.getoption("--changed")), KIND)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what passed before."""
    if hasattr(config, "workerinput"):
        known = set(config.workerinput[KIND])
    else:
        plugin = config.pluginmanager.get_plugin(KIND)
        known = set(plugin.known) if plugin else set()
    left_out = [item for item in items if item.nodeid in known]
    if left_out:
        items[:] = [item for item in items if item.nodeid not in known]
        config.hook.pytest_deselected(items=left_out)
