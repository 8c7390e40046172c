# SPDX-License-Identifier: MIT
"""The kernel's selftests: what they say, and when two kernels give the same."""

from __future__ import annotations

from workbench.trial import selftests
from workbench.trial.selftests import Pair, Result

SAID = """\
TAP version 13
1..4
ok 1 pidfd_open: 1234 was opened
# ok 2 nested 7
not ok 3 - it took 512 ms
ok 4 namespaces # SKIP needs CONFIG_USER_NS
# some other line
"""


def test_tap_lines_without_their_numbers() -> None:
    """Each test's word and name; PIDs and times differ from run to run; a skipped one is told."""
    assert selftests.tests_of(SAID) == (
        "ok pidfd_open: N was opened",
        "ok nested N",
        "not ok it took N ms",
        "ok namespaces # SKIP",
    )


def test_same_in_any_try() -> None:
    """A test of time fails now and then on either kernel: one equal outcome will do, none is a difference."""
    good, late = Result(0, ("ok a",)), Result(1, ("not ok a",))
    assert Pair("timers/a", (late, good), (good, good)).same
    assert not Pair("timers/a", (late, late, late), (good, good, good)).same
    text = selftests.summary([Pair("timers/a", (late,), (good,)), Pair("core/b", (good,), (good,))], [])
    assert text.startswith("selftests: 2 programs with 2 tests, 1 differ timers/a")


def test_own_tests_must_pass_on_the_patched_kernel() -> None:
    """A kernel without rfork skips them, which is no difference; where it is, nothing may be skipped."""
    good, skipped = Result(0, ("ok a", "ok b")), Result(0, ("ok a # SKIP", "ok b"))
    bad, nothing = Result(1, ("ok a", "not ok b")), Result(0, ())
    assert Pair("rfork/rfork_test", (good,), (skipped,)).same
    assert not any(Pair("rfork/rfork_test", (result,), (result,)).same for result in (skipped, bad, nothing))
