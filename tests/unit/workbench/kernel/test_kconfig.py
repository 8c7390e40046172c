# SPDX-License-Identifier: MIT
"""Kernel configuration: wanted and got."""

from __future__ import annotations

import pytest

from workbench.kernel import kconfig, lines


@pytest.fixture
def config(tmp_path):
    """Write a configuration file."""

    def write(text, name=".config"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def test_all_wanted_is_there(config):
    """Equal values pass, and a symbol that is wanted off may be absent."""
    path = config('CONFIG_A=y\nCONFIG_N=8\nCONFIG_S="text"\n# CONFIG_B is not set\n')
    wanted = {"CONFIG_A": "y", "CONFIG_N": "8", "CONFIG_S": '"text"', "CONFIG_B": "n", "CONFIG_C": "n"}
    kconfig.verify(path, wanted)


@pytest.mark.parametrize(
    ("wanted", "got"), [("y", "n"), ("n", "y"), ("8", "64")], ids=["dropped", "forced on", "other value"]
)
def test_unmet_symbol_is_named(config, wanted, got):
    """The error says which symbol, what was wanted and what was got."""
    path = config(f"CONFIG_X={got}\n" if got != "n" else "# CONFIG_X is not set\n")
    with pytest.raises(kconfig.ConfigError, match=f"CONFIG_X: wanted {wanted}, got {got}") as raised:
        kconfig.verify(path, {"CONFIG_X": wanted})
    assert raised.value.unmet == [kconfig.Unmet("CONFIG_X", wanted, got)]


def test_absent_symbol_is_unmet(config):
    """A symbol that Kconfig does not know is reported as off."""
    with pytest.raises(kconfig.ConfigError, match="CONFIG_NOT_THERE: wanted y, got n"):
        kconfig.verify(config(""), {"CONFIG_NOT_THERE": "y"})


def test_later_fragment_overrides(config):
    """Of two fragments the later one decides, also to switch off."""
    first, second = config("CONFIG_A=y\nCONFIG_B=y\n", "first"), config("# CONFIG_A is not set\n", "second")
    assert kconfig.merge([first, second]) == {"CONFIG_A": "n", "CONFIG_B": "y"}


def test_text_is_read_back(config):
    """What is written for Kconfig means what was wanted."""
    wanted = {"CONFIG_A": "y", "CONFIG_B": "n", "CONFIG_S": '"a=b"'}
    assert kconfig.parse(config(kconfig.text(wanted))) == wanted


def test_malformed_line_is_refused(config):
    """A typing mistake in a fragment is an error with its line, not a symbol silently left out."""
    path = config("CONFIG_A=y\nCONFIG_B\n")
    with pytest.raises(kconfig.FragmentError, match=r"config:2: 'CONFIG_B'"):
        kconfig.parse(path)


@pytest.mark.parametrize("line", sorted(lines.LINES))
def test_fragments_of_each_line_can_be_read(line):
    """The fragments in the repository have no malformed line, and ask for rfork."""
    assert kconfig.merge(lines.find(line).fragments)["CONFIG_RFORK"] == "y"
