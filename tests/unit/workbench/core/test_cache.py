# SPDX-License-Identifier: MIT
"""The cache of built things."""

from __future__ import annotations

import multiprocessing
import os
import sys
from pathlib import Path

import pytest

from koboshi_desk.core import places
from workbench.core import cache


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv(places.CACHE_VARIABLE, str(tmp_path / "cache"))


def write_result(folder: Path) -> None:
    """Build something."""
    (folder / "result").write_text("built")


def test_entry_is_built_once():
    """A second request for the same key gives the same folder without building."""
    first = cache.entry("kind", "key", write_result)
    second = cache.entry("kind", "key", lambda folder: pytest.fail("built again"))
    assert first == second
    assert (second / "result").read_text() == "built"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_failed_build_leaves_nothing(error):
    """A build that fails or is interrupted leaves neither an entry nor a half-built folder."""

    def fail(folder: Path) -> None:
        write_result(folder)
        raise error

    with pytest.raises(error):
        cache.entry("kind", "key", fail)
    assert list((places.cache_folder() / "kind").iterdir()) == []
    assert (cache.entry("kind", "key", write_result) / "result").exists()


def _count_build(log: str, barrier) -> None:
    def build(folder: Path) -> None:
        with open(log, "a") as out:
            out.write("x")
        write_result(folder)

    barrier.wait(30)
    cache.entry("kind", "shared", build)


def test_two_processes_build_once(tmp_path):
    """Processes that want the same entry at the same time build it once."""
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(3)
    log = tmp_path / "builds"
    processes = [context.Process(target=_count_build, args=(str(log), barrier)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert log.read_text() == "x"


def test_key_depends_on_contents_not_on_place(tmp_path):
    """The same file elsewhere gives the same key; other contents, names or permissions another one."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("same")
    one, two = tmp_path / "one", tmp_path / "two"
    assert cache.key([one]) == cache.key([two])
    (two / "file").chmod(0o755)
    assert cache.key([one]) != cache.key([two])
    (two / "file").chmod(0o644)
    (two / "file").rename(two / "other")
    assert cache.key([one]) != cache.key([two])


def test_key_ignores_leftovers(tmp_path):
    """What tools leave beside sources does not change the key."""
    (tmp_path / "file").write_text("same")
    before = cache.key([tmp_path])
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__/file.pyc").write_text("left")
    assert cache.key([tmp_path]) == before


def test_key_keeps_its_parts_apart():
    """What moves from one part to the next changes the key."""
    assert cache.key(["ab", "c"]) != cache.key(["a", "bc"])


def test_clean_spares_what_was_used():
    """Cleaning by age removes old entries only."""
    old = cache.entry("kernel", "old", write_result)
    new = cache.entry("kernel", "new", write_result)
    os.utime(old, (0, 0))
    assert cache.clean(older_than_days=1) == [old]
    assert new.exists()
    assert not old.exists()


def test_clean_takes_logs_and_old_environments(monkeypatch):
    """Logs and the virtual environments of former requirements go too, not what is in use now."""
    for name in ("venv-1", "venv-2", "logs", "running"):
        (places.cache_folder() / name).mkdir()
    for name in ("logs/closed.log", "logs/open.log", "running/open.json", "venv-1/complete"):
        (places.cache_folder() / name).touch()
    monkeypatch.setattr(sys, "prefix", str(places.cache_folder() / "venv-2"))
    assert cache.clean() == [places.cache_folder() / "logs/closed.log", places.cache_folder() / "venv-1"]
    assert sorted(path.name for path in (places.cache_folder() / "logs").iterdir()) == ["open.log"]
    assert not (places.cache_folder() / "venv-1").exists()
    assert (places.cache_folder() / "venv-2").exists()
