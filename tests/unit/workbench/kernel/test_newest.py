# SPDX-License-Identifier: MIT
"""The series on the newest kernel source."""

from __future__ import annotations

import io
import shutil
import tarfile

import pytest

from workbench.kernel import archive, lines, newest
from workbench.kernel.archive import Package

TEXT = [f"line {number}\n" for number in range(1, 21)]
PATCH = """\
--- a/kernel/exit.c
+++ b/kernel/exit.c
@@ -9,4 +9,5 @@
 line 9
 line 10
+ours
 line 11
 line 12
--- /dev/null
+++ b/kernel/rfork/new.c
@@ -0,0 +1 @@
+new
"""
OFFERS = """\
linux-source-7.2 |   7.2.13-1 | http://a/debian sid/main amd64 Packages
linux-source-7.3 | 7.3~rc7-1~exp1 | http://a/debian experimental/main amd64 Packages
linux-source-7.3 | 7.3-1~bpo13+1 | http://a/debian trixie-backports/main amd64 Packages
linux-source | 9.9-1 | http://a/debian sid/main amd64 Packages
"""


@pytest.fixture
def moved(tmp_path):
    """What is said of the patch, on a file of these lines."""

    def run(text):
        (tmp_path / "kernel").mkdir()
        (tmp_path / "kernel/exit.c").write_text("".join(text))
        (tmp_path / "0001.patch").write_text(PATCH)
        return newest.try_one(tmp_path / "0001.patch", tmp_path)

    return run


def test_unchanged_source_has_nothing_to_report(moved, tmp_path):
    """A hunk at its place is not reported, and is applied for the next patch."""
    assert moved(TEXT) == []
    assert "ours" in (tmp_path / "kernel/exit.c").read_text()
    assert (tmp_path / "kernel/rfork/new.c").exists()


def test_hunk_at_another_line_applies(moved):
    """A hunk that only has another line number needs no work."""
    (found,) = moved(["added\n", *TEXT])
    assert (found.file, found.hunk, found.at, found.applies) == ("kernel/exit.c", 1, 10, True)


def test_hunk_with_other_surroundings_is_fuzzy(moved):
    """A hunk whose context has changed is reported: it may be in the wrong place."""
    (found,) = moved([*TEXT[:11], "changed\n", *TEXT[12:]])
    assert (found.fuzz, found.applies) == (1, False)
    assert "0001.patch: kernel/exit.c: hunk 1 with fuzz 1" in str(found)


def test_hunk_without_its_place_fails_and_the_rest_is_tried(moved, tmp_path):
    """One run reports all: after a hunk that fails, the patch's other files are still made."""
    (found,) = moved(["other\n"] * 20)
    assert (found.failed, found.applies) == (True, False)
    assert (tmp_path / "kernel/rfork/new.c").exists()


def test_summary_counts_patches_and_hunks(moved, tmp_path):
    """The last line has the verdict; hunks at other lines are counted and not listed."""
    found = [*moved(["other\n"] * 20), newest.Moved("0002.patch", "a", 1, 7)]
    series = [tmp_path / "0001.patch", tmp_path / "0002.patch"]
    text = newest.report(lines.find("linux-7.3"), Package("linux-source-9", "9.1", "sid"), series, found)
    assert text.splitlines()[1:] == [
        "linux-7.3 on linux-source-9 9.1 (sid): 1 of 2 patches apply; "
        "hunks: 1 fail, 0 with fuzz, 1 at other lines"
    ]


def test_file_that_is_gone_is_a_failure():
    """A patch of a file that the kernel no longer has is reported."""
    (found,) = newest.parse("0001.patch", "can't find file to patch at input line 3\n")
    assert found.failed


def test_only_the_wanted_files_are_read(tmp_path):
    """Of a tarball, the files that the series touches; a file that is not there is no error."""
    tarball = tmp_path / "source.tar.xz"
    with tarfile.open(tarball, "w:xz") as archived:
        for name in ("kernel/exit.c", "kernel/fork.c"):
            member = tarfile.TarInfo(f"linux-source-9/{name}")
            member.size = 4
            archived.addfile(member, io.BytesIO(b"text"))
    newest.extract(tarball, {"kernel/exit.c", "kernel/gone.c"}, tmp_path / "out")
    found = [path.name for path in (tmp_path / "out").rglob("*.c")]
    assert found == ["exit.c"]


@pytest.mark.skipif(shutil.which("dpkg") is None, reason="no dpkg here")
def test_newest_by_the_order_of_debian():
    """A release candidate is older than its release; the package without a version in its name is none."""
    assert archive.newest_of(OFFERS) == Package("linux-source-7.3", "7.3-1~bpo13+1", "trixie-backports")
