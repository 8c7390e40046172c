# SPDX-License-Identifier: MIT
"""Tests in guests that passed before with the same inputs are not run again; a plugin of pytest.

As an image is not built again where nothing has changed that it is made from. Only what passed is kept, with
what it passed with: the repository but for what no guest sees, the image, what Buildroot has made here, QEMU,
and the settings. Without this plugin (plain pytest, ./dev test --only) everything runs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from workbench import buildroot, cache, progress, quickimage
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
# These look at images that are there, whatever the rest of the repository would make of them today.
PREBUILT = "tests/image/test_buildroot.py"
PREBUILT_INPUTS = ("workbench/", "supervisor/", "tests/image/", "board/", "configs/", "requirements.txt")
# Where things are, and what cannot change a verdict.
UNIMPORTANT = {cache.CACHE_VARIABLE, "KOBOSHI_LOGS"}


def inputs(names: Iterable[str]) -> list[str]:
    """Of the repository's files, what a test in a guest may depend on."""
    return [name for name in names if name in SEEN or not name.startswith(UNSEEN)]


def prebuilt_inputs(names: Iterable[str]) -> list[str]:
    """The same for the tests of images that are there."""
    return [name for name in names if name.startswith(PREBUILT_INPUTS)]


def keys() -> dict[bool, str]:
    """The key of what tests in guests are run with now: those of prebuilt images (True), and the others."""
    names = [str(path.relative_to(REPOSITORY)) for path in files()]
    common = [*_settings(), *_programs(), *_prebuilt_images()]
    quick = quickimage.build()
    images = [quick.kernel.parent.name, quick.initrd.parent.name]
    return {
        True: cache.key([*common, *_contents(prebuilt_inputs(names))]),
        False: cache.key([*common, *images, *_contents(inputs(names))]),
    }


def _keys_or_none() -> dict[bool, str]:
    """None where no image can be built, which the tests will say themselves."""
    try:
        return keys()
    except WorkbenchError:
        return {}


def _contents(names: Iterable[str]) -> Iterator[str]:
    for name in names:
        path = REPOSITORY / name
        yield f"{name} {cache.mode(path):o} {cache.file_digest(path)}"


def _settings() -> list[str]:
    """What the environment says to Koboshi."""
    return sorted(
        f"{name}={value}"
        for name, value in os.environ.items()
        if name.startswith("KOBOSHI_") and name not in UNIMPORTANT
    )


def _programs() -> list[str]:
    version = subprocess.run(["qemu-system-x86_64", "--version"], capture_output=True, text=True)
    return [sys.version, version.stdout, str(os.cpu_count())]


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

    def __init__(self, *, again: bool) -> None:
        self.keys = _keys_or_none()
        self.kept = Kept(cache.root() / KIND, time.time())
        self.known: dict[str, float] = {}
        for key in () if again else self.keys.values():
            self.known |= self.kept.read(key)
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
        if not self.passed and not self.failed:
            return
        if _keys_or_none() != self.keys:
            progress.note("the repository or an image changed meanwhile: it is not kept which tests passed")
            return
        for prebuilt, key in self.keys.items():
            mine = {test for test in self.passed | self.failed if test.startswith(PREBUILT) == prebuilt}
            self.kept.add(key, (mine & self.passed) - self.failed, mine & self.failed)

    def pytest_terminal_summary(self) -> None:
        """Says what did not run."""
        if self.known:
            oldest = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(min(self.known.values())))
            progress.note(
                f"{len(self.known)} tests in guests passed before with the same inputs (the first {oldest}) "
                "and did not run again; ./dev test --again runs them"
            )


def pytest_addoption(parser: pytest.Parser) -> None:
    """For ./dev test."""
    parser.addoption("--again", action="store_true", help="run the tests in guests that passed before")


def pytest_configure(config: pytest.Config) -> None:
    """Only where the tests are handed out."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Plugin(again=config.getoption("--again")), KIND)


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
