# SPDX-License-Identifier: MIT
"""Kconfig, the kernel's and Buildroot's: what fragments ask for, and whether Kconfig gave it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from koboshi_desk.core.errors import KoboshiError

OFF = "n"
_SET = re.compile(r"^((?:CONFIG|BR2)_\w+)=(.*)$")
_UNSET = re.compile(r"^# ((?:CONFIG|BR2)_\w+) is not set$")


@dataclass(frozen=True)
class Unmet:
    """A symbol that does not have the requested value."""

    symbol: str
    wanted: str
    got: str


class ConfigError(KoboshiError):
    """Kconfig dropped or changed what the fragments ask for; `unmet` says which symbols."""

    def __init__(self, config: Path, unmet: list[Unmet]) -> None:
        self.config = config
        self.unmet = unmet
        lines = [f"  {item.symbol}: wanted {item.wanted}, got {item.got}" for item in unmet]
        super().__init__(
            f"{config}: {len(unmet)} symbols are not as the fragments ask:\n"
            + "\n".join(lines)
            + "\na dependency is not enabled, or the symbol does not exist in this kernel"
        )


class FragmentError(KoboshiError):
    """A line of a fragment is neither a setting nor a comment."""

    def __init__(self, file: Path, line: int, text: str) -> None:
        self.file = file
        self.line = line
        super().__init__(f"{file}:{line}: {text!r}: expected CONFIG_NAME=value or '# CONFIG_NAME is not set'")


def parse(path: Path) -> dict[str, str]:
    """Symbols and values of a fragment or .config; OFF for `is not set`. A symbol's last line wins."""
    values = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if found := _SET.match(line):
            values[found[1]] = found[2]
        elif found := _UNSET.match(line):
            values[found[1]] = OFF
        elif line.strip() and not line.startswith("#"):
            raise FragmentError(path, number, line)
    return values


def merge(fragments: Iterable[Path]) -> dict[str, str]:
    """What all fragments together ask for; a later one overrides."""
    wanted: dict[str, str] = {}
    for fragment in fragments:
        wanted |= parse(fragment)
    return wanted


def text(values: Mapping[str, str]) -> str:
    """Return the values as a file for Kconfig."""
    lines = (f"# {name} is not set" if value == OFF else f"{name}={value}" for name, value in values.items())
    return "\n".join(lines) + "\n"


def verify(config: Path, wanted: Mapping[str, str]) -> None:
    """Raise ConfigError unless `config` has each wanted value; an absent symbol is off."""
    got = parse(config)
    unmet = [
        Unmet(symbol, value, got.get(symbol, OFF))
        for symbol, value in wanted.items()
        if got.get(symbol, OFF) != value
    ]
    if unmet:
        raise ConfigError(config, unmet)
