# SPDX-License-Identifier: MIT
"""docs/quick-start.md as it is written: its commands on terminals, with a guest that nobody else watches."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from koboshi_desk.core import places
from tests.unit.desk.console.test_transport import poll
from tests.unit.desk.watch.test_live import Terminal
from workbench.core.repository import REPOSITORY
from workbench.image.bootable import Image

LIMIT_S = 300.0
PAGE = (REPOSITORY / "docs/quick-start.md").read_text()
IN_THE_GUEST = re.findall(r"^ {4}(koboshi(?:ctl|-fault) .*)$", PAGE, re.M)


class Dev(Terminal):
    """A terminal with ./dev in it."""

    LIMIT_S = LIMIT_S
    PROGRAM: tuple[str, ...] = (str(REPOSITORY / "dev"),)


class SmallDev(Dev):
    """The same in the smallest usual terminal."""

    SIZE = (24, 80)


@pytest.fixture
def alone(tmp_path: Path) -> dict[str, str]:
    """A cache with all that was built, and no running guest in it."""
    folder = tmp_path / "cache"
    folder.mkdir()
    for entry in places.cache_folder().iterdir():
        if entry.name not in ("running", "logs"):
            (folder / entry.name).symlink_to(entry)
    return {"KOBOSHI_CACHE": str(folder)}


def test_quick_start(image: Image, tmp_path: Path, alone: dict[str, str]) -> None:
    """A guest with a manifest of one's own, watched from a second terminal as it is broken in the first."""
    shutil.copy(REPOSITORY / "components/koboshi.toml", tmp_path / "my.toml")
    seen = tmp_path / "seen"
    with Dev("boot", "--manifest", str(tmp_path / "my.toml"), **alone) as console:
        console.shows("Ctrl-] ends it")
        console.shows("all-ready")
        console.press("\n")
        with seen.open("wb") as out:
            watch = subprocess.Popen([REPOSITORY / "dev", "watch"], stdout=out, env=os.environ | alone)
        try:
            poll(lambda: b"all-ready" in seen.read_bytes(), "components in watch", LIMIT_S)
            assert len(IN_THE_GUEST) == 4
            for command in IN_THE_GUEST:
                console.press(f"{command} && echo do''ne {command.split()[-1]}\n")
                console.shows(f"done {command.split()[-1]}")
            poll(
                lambda: re.search(rb" restart component=gps .*cause=error", seen.read_bytes()),
                "the fault",
                LIMIT_S,
            )
            wish = rb" restart component=gps .*cause=operator"
            poll(lambda: re.search(wish, seen.read_bytes()), "the operator's restart", LIMIT_S)
            ask_the_guest(alone)  # last, for a rehearsal may leave a component given up
            console.press("\x1d")
            assert console.ends() == 0
            assert watch.wait(LIMIT_S) == 0  # the guest's console has ended, and so has its log
        finally:
            watch.kill()
            watch.wait()


def ask_the_guest(alone: dict[str, str]) -> None:
    """`./dev control` without --port is answered, and so are the keys of `./dev watch`."""
    for _ in range(2):
        done = subprocess.run(
            [REPOSITORY / "dev", "control", "status"],
            env=os.environ | alone,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert "component=gps state=ready" in done.stdout
    with SmallDev("watch", **alone) as screen:
        screen.shows("q quit")
        screen.shows("pilot")  # the device has told its components, and there is something to select
        for keys, reply in (
            ("j" * 20 + "i", "state ready"),
            ("c", "crash records"),
            ("sy", ": stopping"),
            ("a", ": starting"),
            ("ry", ": start"),
            ("ey", ": begun"),
        ):
            screen.press(keys)
            screen.shows(reply)
        screen.press("q")
        assert screen.ends() == 0


def test_demo(image: Image, tmp_path: Path) -> None:
    """Each component broken in another way, the supervisor killed, a reboot: `./dev demo` finds all well."""
    file = tmp_path / "demo.json"
    command = [str(REPOSITORY / "dev"), "demo", "--plain", "--json", str(file)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed: everything came back" in done.stdout
    assert json.loads(file.read_text())["passed"] is True


def test_board_that_is_not_there() -> None:
    """Without --port and --lg-env each test of a board is skipped, and says why."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-rs",
        "-p",
        "no:cacheprovider",
        str(REPOSITORY / "tests/board"),
    ]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0
    assert "no board: --port or --lg-env names one" in done.stdout
    assert "passed" not in done.stdout
