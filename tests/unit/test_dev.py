# SPDX-License-Identifier: MIT
"""The front door."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from workbench.repository import REPOSITORY

WRONG = '[component.a]\ncommand = ["no/absolute/path"]\n'
pytestmark = pytest.mark.skipif(
    "KOBOSHI_CACHE" not in os.environ, reason="run by ./dev test, which has set up"
)


def dev(*arguments, cwd=REPOSITORY, **environment):
    """Run ./dev with the cache that these tests run from."""
    command = [str(REPOSITORY / "dev"), *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, env={**os.environ, **environment})


def test_alone_it_lists_the_tasks():
    """Without a task each task is listed with a line."""
    done = dev()
    assert done.returncode == 0, done.stderr
    listed = {line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ")}
    assert {"boot", "demo", "image", "kernel", "manifest.check", "test", "watch"} <= listed


def test_unknown_task_is_refused():
    """A task that is not there is an error, not a silence."""
    done = dev("no-such-task")
    assert done.returncode != 0
    assert "no-such-task" in done.stderr


def test_manifest_check_takes_a_file_from_where_it_is_called(tmp_path):
    """`manifest check FILE` is two words and a file of the folder it is called from."""
    shutil.copy(REPOSITORY / "components/koboshi.toml", tmp_path / "mine.toml")
    done = dev("manifest", "check", "mine.toml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "mine.toml: right" in done.stdout


def test_manifest_check_says_what_is_wrong(tmp_path):
    """A wrong manifest is refused with file, line and key."""
    (tmp_path / "mine.toml").write_text(WRONG)
    done = dev("manifest", "check", "mine.toml", cwd=tmp_path)
    assert done.returncode == 1
    assert "mine.toml:2: component.a.command: " in done.stderr


def test_wrong_option_of_a_task_is_told_in_a_line():
    """A mistake in what is asked for is a message, not a traceback."""
    done = dev("kernel", "--line", "linux-1.0")
    assert done.returncode == 1
    assert "no such kernel line; there is linux-2.6.23, linux-6.12" in done.stderr
    assert "Traceback" not in done.stderr


def test_half_made_environment_is_not_used(tmp_path):
    """Where set-up was interrupted, the next run begins it again instead of running what is half there."""
    done = dev(KOBOSHI_CACHE=str(tmp_path), KOBOSHI_PYTHON=str(broken_python(tmp_path)))
    assert done.returncode != 0
    assert not list(tmp_path.glob("venv-*/complete"))
    again = dev(KOBOSHI_CACHE=str(tmp_path), KOBOSHI_PYTHON=str(broken_python(tmp_path)))
    assert "dev: making" in again.stderr


def broken_python(folder):
    """A Python that knows its version, and cannot make an environment."""
    binary = folder / "bin/python3"
    binary.parent.mkdir(exist_ok=True)
    binary.write_text('#!/bin/sh\ncase "$1" in -c) echo 3.99.0 ;; *) mkdir -p "$3"; exit 1 ;; esac\n')
    binary.chmod(0o755)
    return binary
