# SPDX-License-Identifier: MIT
"""The count of lines that the series changes in existing files."""

from __future__ import annotations

from workbench.kernel import footprint


def test_changed_lines_count_twice_and_new_files_do_not_count() -> None:
    """A changed line is one removed and one added; a file that the series adds is not an existing one."""
    before = {"kernel/exit.c": "one\ntwo\nthree\n", "kernel/fork.c": "same\n"}
    after = {**before, "kernel/exit.c": "one\n2\nthree\nfour\n", "kernel/rfork/exit.c": "x\n"}
    assert footprint.compare(before, after) == footprint.Footprint(files=1, added=2, removed=1)


def test_limit_counts_added_and_removed_lines() -> None:
    """A verdict over the limit names the figure, one within it says nothing."""
    assert footprint.complaint(footprint.Footprint(files=3, added=55, removed=5)) == ""
    assert "61 lines" in footprint.complaint(footprint.Footprint(files=3, added=55, removed=6))
