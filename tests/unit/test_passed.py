# SPDX-License-Identifier: MIT
"""Which tests in guests run again: those with other inputs, that did not pass, or passed long ago."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from workbench import passed
from workbench.passed import HOLDS_S, SEEN, Kept
from workbench.repository import REPOSITORY, files

TESTS = """
import os, pytest
@pytest.fixture
def late():
    yield
    assert not os.environ.get("LATE")
def test_a(): pass
def test_b(): assert not os.environ.get("BAD")
def test_c(late): pass
def test_d(): pytest.skip("never here")
"""
KEYS = """
import os
from workbench import passed
passed.key = lambda: os.environ["KEY"]
"""


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., str]:
    """Runs four tests with these settings, the inputs being `KEY`: pytest's closing line."""
    (tmp_path / "tests/image").mkdir(parents=True)
    (tmp_path / "tests/image/test_guest.py").write_text(TESTS)
    (tmp_path / "tests/test_other.py").write_text("def test_other(): pass\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "inputs.py").write_text(KEYS)
    paths = {
        "PYTHONPATH": f"{tmp_path}:{REPOSITORY}:{REPOSITORY}/supervisor",
        "KOBOSHI_CACHE": str(tmp_path / "cache"),
    }
    plugins = ["-p", "workbench.passed", "-p", "inputs", "-p", "no:cacheprovider"]

    def once(*options: str, **settings: str) -> str:
        command = [sys.executable, "-m", "pytest", "-q", *plugins, *options]
        env = os.environ | paths | {"KEY": "one"} | settings
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
        return re.sub(r" in .*", "", done.stdout.splitlines()[-1])

    return once


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "workers"])
def test_passed_does_not_run_again(run, workers) -> None:
    """Only in tests/image, only with the same inputs, and only where that is asked for."""
    assert run(*workers, "--changed") == "4 passed, 1 skipped"
    changed = run(*workers, "--changed")
    assert changed.startswith("1 passed, 1 skipped")
    assert ("3 deselected" in changed) or workers  # pytest-xdist does not count them
    assert run(*workers, "--changed", KEY="two") == "4 passed, 1 skipped"
    assert run(*workers) == "4 passed, 1 skipped"


def test_failed_runs_again(run) -> None:
    """Until it has passed, also where only what came after the test failed."""
    assert run(BAD="1", LATE="1") == "1 failed, 3 passed, 1 skipped, 1 error"
    assert run("--changed", BAD="1", LATE="1") == "1 failed, 2 passed, 1 skipped, 1 deselected, 1 error"
    assert run("--changed") == "3 passed, 1 skipped, 1 deselected"
    assert run("--changed") == "1 passed, 1 skipped, 3 deselected"
    assert run(BAD="1") == "1 failed, 3 passed, 1 skipped"
    assert run("--changed") == "2 passed, 1 skipped, 2 deselected"


def test_a_pass_does_not_hold_for_ever(tmp_path: Path) -> None:
    """What is older than a week is forgotten; a damaged file is none."""
    Kept(tmp_path, 1000.0).add("key", ["a"], [])
    Kept(tmp_path, 2000.0).add("key", ["b"], [])
    assert set(Kept(tmp_path, HOLDS_S + 900.0).read("key")) == {"a", "b"}
    assert set(Kept(tmp_path, HOLDS_S + 1500.0).read("key")) == {"b"}
    for text in ("[1]", "{", '{"a": "x"}', ""):
        (tmp_path / "key").write_text(text)
        assert Kept(tmp_path, 0.0).read("key") == {}


def test_what_a_guest_sees_is_an_input() -> None:
    """What the tests in guests name or import of the folders that are left out is not left out."""
    names = [str(path.relative_to(REPOSITORY)) for path in files()]
    left_out = set(names) - set(passed.inputs(names))
    assert set(SEEN) <= set(names)
    for path in (REPOSITORY / "tests/image").glob("*.py"):
        text = path.read_text()
        used = {f"tests/unit/{name}.py" for name in re.findall(r"tests\.unit\.(\w+)", text)}
        used |= {name for name in left_out if f'"{name}"' in text}
        assert not used & left_out, path
