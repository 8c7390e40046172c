# SPDX-License-Identifier: MIT
"""The front door."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from workbench.core.repository import REPOSITORY

WRONG = '[component.a]\ncommand = ["no/absolute/path"]\n'
pytestmark = pytest.mark.skipif(
    "KOBOSHI_CACHE" not in os.environ, reason="run by ./dev test, which has set up"
)


def dev(*arguments, cwd=REPOSITORY, program=None, **environment):
    """Run ./dev with the cache that these tests run from."""
    return run(arguments, {**os.environ, **environment}, cwd, program)


def run(arguments, environment, cwd=REPOSITORY, program=None):
    """Run ./dev, or what else is to be run as it, in this environment and no other."""
    command = [str(program or REPOSITORY / "dev"), *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=environment)


def test_alone_it_lists_the_tasks():
    """Without a task each task is listed with a line."""
    done = dev()
    assert done.returncode == 0, done.stderr
    listed = {line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ")}
    assert {"boot", "demo", "image", "kernel", "manifest", "test", "watch"} <= listed


@pytest.mark.parametrize(
    "words", [["soak", "-h"], ["bench", "-h"], ["bench", "all", "--help"], ["-h"], ["watch", "-h"]]
)
def test_help_is_printed(words):
    """Help is printed, and nothing is started; a reader that has seen enough is no failure."""
    done = dev(*words)
    assert done.returncode == 0, done.stderr
    assert words[0] != "soak" or "run on this machine instead of in a guest" in done.stdout
    assert "-h, --help" in done.stdout or "Usage: ./dev" in done.stdout or "Available tasks" in done.stdout
    script = f'"{REPOSITORY}/dev" {" ".join(words)} | head -1'
    quiet = run(["-o", "pipefail", "-c", script], os.environ, program="/bin/bash")
    assert (quiet.returncode, quiet.stderr) == (0, "")


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


def test_manifest_alone_says_how_to_go_on():
    """Half of a command is answered with what is missing."""
    done = dev("manifest")
    assert done.returncode == 2
    assert "./dev manifest" in done.stderr
    assert "ACTION" in done.stderr


@pytest.mark.parametrize("task", ["demo", "boot"])
@pytest.mark.parametrize("number", ["0", "-1"])
def test_number_of_cpus_that_no_machine_has_is_refused(task, number):
    """A demo or a guest on no CPU is refused in a line, instead of run on another number."""
    done = dev(task, f"--smp={number}")
    assert done.returncode == 1
    assert done.stderr.strip() == f"dev: --smp {number}: no machine has that; at least 1 CPU"


@pytest.mark.parametrize("redirection", ["</dev/null", "<&-"])
def test_boot_needs_a_terminal(redirection):
    """Without a terminal for the guest's console, boot says so before it builds or starts anything."""
    done = run(
        ["-c", f'exec "$0" boot {redirection}', str(REPOSITORY / "dev")], os.environ, program="/bin/sh"
    )
    assert done.returncode == 1
    assert done.stderr.strip() == ("dev: boot: standard input must be a terminal, for the guest's console")


@pytest.mark.parametrize("name", ["two words", "a:b", "a\ttab"])
def test_folder_that_nothing_can_be_built_in_is_refused(tmp_path, name):
    """White space or a colon in the path of the checkout or the cache is refused in one line."""
    copy, cache = tmp_path / name / "dev", tmp_path / name / "cache"
    copy.parent.mkdir()
    shutil.copy(REPOSITORY / "dev", copy)
    for program, environment, what in (
        (copy, {}, "checkout"),
        (None, {"KOBOSHI_CACHE": str(cache)}, "cache"),
    ):
        done = dev(program=program, **environment)
        assert done.returncode == 1
        assert f"white space or a colon in the path of the {what}" in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert not cache.exists()


def test_cache_by_another_name_is_refused_for_what_it_is(tmp_path):
    """A symbolic link does not hide white space from make."""
    (tmp_path / "two words").mkdir()
    (tmp_path / "link").symlink_to("two words")
    done = dev(KOBOSHI_CACHE=str(tmp_path / "link"))
    assert done.returncode == 1
    assert "in the path of the cache" in done.stderr


def test_called_through_a_symbolic_link(tmp_path):
    """A link to ./dev somewhere else, as in ~/bin, works."""
    (tmp_path / "koboshi").symlink_to(REPOSITORY / "dev")
    done = dev("--list", program=tmp_path / "koboshi", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "demo" in done.stdout


def test_without_home_the_cache_must_be_named():
    """Without $HOME it runs with a named cache, and asks for one where there is none."""
    without = {name: value for name, value in os.environ.items() if name not in ("HOME", "XDG_CACHE_HOME")}
    assert run(["--list"], without).returncode == 0
    del without["KOBOSHI_CACHE"]
    done = run(["--list"], without)
    assert done.returncode == 1
    assert "KOBOSHI_CACHE=/a/folder names the cache" in done.stderr


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
