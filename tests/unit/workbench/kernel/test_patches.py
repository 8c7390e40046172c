# SPDX-License-Identifier: MIT
"""Patch series on a source tree."""

from __future__ import annotations

import os

import pytest

from workbench.kernel import patches

OLD = 1_000_000_000  # a file's time in the pristine tree
LINES = [f"line {number}" for number in range(1, 21)]


def change(number, new, at=None):
    """A patch of one line of `file`, whose header says that the hunk is at `at`."""
    begin = (at or number) - 3
    context = [f" {line}" for line in LINES[number - 4 : number - 1]]
    after = [f" {line}" for line in LINES[number : number + 3]]
    hunk = [*context, f"-{LINES[number - 1]}", f"+{new}", *after]
    return "\n".join(["--- a/file", "+++ b/file", f"@@ -{begin},7 +{begin},7 @@", *hunk, ""])


ADDS = "--- /dev/null\n+++ b/new/added\n@@ -0,0 +1 @@\n+hello\n"


@pytest.fixture
def tree(tmp_path):
    """A source tree of two old files."""
    source = tmp_path / "source"
    source.mkdir()
    for name in ("file", "other"):
        (source / name).write_text("\n".join(LINES) + "\n")
        os.utime(source / name, (OLD, OLD))
    return patches.Tree(source, tmp_path / "pristine", tmp_path / "state.json")


@pytest.fixture
def series(tmp_path):
    """Write a series of patches."""

    def write(**texts):
        folder = tmp_path / "patches"
        folder.mkdir(exist_ok=True)
        for name, text in texts.items():
            (folder / name).write_text(text)
        (folder / "series").write_text("# a comment\n" + "\n".join(texts) + "\n")
        return patches.series(folder)

    return write


def test_series_is_applied(tree, series):
    """Files are changed and added as the patches say; others keep their time."""
    patches.apply(series(first=change(10, "changed"), second=ADDS), tree)
    assert (tree.source / "file").read_text().splitlines()[9] == "changed"
    assert (tree.source / "new/added").read_text() == "hello\n"
    assert (tree.source / "other").stat().st_mtime == OLD


def test_changed_series_starts_from_pristine(tree, series):
    """Another series replaces the one before: nothing of that is left."""
    patches.apply(series(first=change(10, "changed"), second=ADDS), tree)
    patches.apply(series(first=change(5, "elsewhere")), tree)
    text = (tree.source / "file").read_text().splitlines()
    assert text == [*LINES[:4], "elsewhere", *LINES[5:]]
    assert not (tree.source / "new/added").exists()


def test_same_series_touches_nothing(tree, series):
    """The same series again leaves the files' times alone, so that make has nothing to do."""
    wanted = series(first=change(10, "changed"), second=ADDS)
    patches.apply(wanted, tree)
    for name in ("file", "new/added"):
        os.utime(tree.source / name, (OLD, OLD))
    patches.apply(wanted, tree)
    assert {(tree.source / name).stat().st_mtime for name in ("file", "new/added")} == {OLD}


def test_fuzz_is_refused(tree, series):
    """A hunk whose context has changed is an error, and the tree stays as it was."""
    wrong = change(10, "changed").replace(" line 7\n", " line seven\n")
    with pytest.raises(patches.PatchError, match="does not apply as it is") as raised:
        patches.apply(series(good=change(5, "good"), wrong=wrong), tree)
    assert raised.value.patch.name == "wrong"
    assert (tree.source / "file").read_text().splitlines() == LINES


def test_offset_is_accepted_and_told(tree, series, capsys):
    """A hunk that has moved applies, and it is said by how far."""
    patches.apply(series(moved=change(10, "changed", at=8)), tree)
    assert (tree.source / "file").read_text().splitlines()[9] == "changed"
    assert "moved: Hunk #1 succeeded at 7 (offset 2 lines)" in capsys.readouterr().err


def test_missing_patch_is_named(tmp_path):
    """A series that names a patch that is not there is an error with its line."""
    (tmp_path / "series").write_text("\n0001-absent.patch\n")
    with pytest.raises(patches.SeriesError, match=r"series:2: 0001-absent\.patch"):
        patches.series(tmp_path)
