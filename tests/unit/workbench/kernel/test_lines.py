# SPDX-License-Identifier: MIT
"""Kernel lines and their variants."""

from __future__ import annotations

import pytest

from koboshi_desk.core.errors import KoboshiError
from workbench.kernel import kconfig, lines, patches, source


def test_debug_variant_asks_for_more() -> None:
    """The debug variant is the line with its checkers, and with faults that can be injected."""
    plain, debug = lines.find("linux-6.12"), lines.find("linux-6.12-debug")
    wanted = kconfig.merge(debug.fragments)
    assert kconfig.merge(plain.fragments).get("CONFIG_KASAN", "n") == "n"
    assert {wanted[f"CONFIG_{name}"] for name in ("RFORK", "KASAN", "PROVE_RCU", "FAILSLAB")} == {"y"}
    assert patches.series(debug.patches, debug.leave_out) == patches.series(plain.patches)


@pytest.mark.parametrize("name", sorted(lines.LINES))
def test_stock_variant_has_no_rfork(name: str) -> None:
    """Without rfork's patches and configuration, but with whatever else the line needs to be built."""
    line = lines.find(name + lines.STOCK)
    kept = patches.series(line.patches, line.leave_out)
    assert "CONFIG_RFORK" not in kconfig.merge(line.fragments)
    assert [path.name for path in kept if "rfork" in path.read_text().lower().split("---")[0]] == []


def test_variants_have_trees_of_their_own() -> None:
    """A variant's source is the line's own, put by hand or not."""
    plain, debug = lines.find("linux-6.12"), lines.find("linux-6.12-debug")
    assert source.by_hand_place(plain) == source.by_hand_place(debug)
    assert plain.name != debug.name


def test_line_without_a_debug_fragment_says_so() -> None:
    """A line that has no such variant is refused with the lines that have one."""
    with pytest.raises(KoboshiError, match=r"linux-2\.6\.23 has no debug\.config.*linux-6\.12, linux-7\.3"):
        lines.find("linux-2.6.23-debug")


def test_linux_7_3_shares_what_agrees() -> None:
    """Each new file of rfork is the same file on 6.12 and 7.3, made by the same patches."""
    older, newer = (patches.series(lines.find(name).patches) for name in ("linux-6.12", "linux-7.3"))
    own = {path.resolve() for path in newer} - {path.resolve() for path in older}
    assert [path.name[:14] for path in own] == ["0013-coredump-"]
    assert not [file for path in own for file in patches.targets(path) if "rfork" in file]


def test_standard_line_is_no_trial() -> None:
    """What every test is built on is not a kernel that only some machines have."""
    assert not lines.find(lines.DEFAULT_LINE).trial
    assert lines.find("linux-7.3").trial
