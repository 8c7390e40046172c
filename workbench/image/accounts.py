# SPDX-License-Identifier: MIT
"""Users and groups of the quick image: those of overlay/, and those that a manifest names besides."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

FIRST = 1000  # the first number of a user or group that only a manifest names


def add(folder: Path, manifest: Path) -> None:
    """Append the manifest's users, each with a group, and its groups to passwd and group in `folder`."""
    parsed = tomllib.loads(manifest.read_text(encoding="utf-8"))
    components = [each for each in parsed.get("component", {}).values() if isinstance(each, dict)]
    users = {str(each["user"]) for each in components if "user" in each}
    groups = {str(name) for each in components for name in each.get("groups", ())}
    passwd, group = folder / "passwd", folder / "group"
    new_users = sorted(users - set(_names(passwd)))
    new_groups = sorted((groups | set(new_users)) - set(_names(group)))
    numbers = {name: number for number, name in enumerate(sorted({*new_users, *new_groups}), FIRST)}
    _append(group, (f"{name}:x:{numbers[name]}:" for name in new_groups))
    _append(passwd, (_user(name, _number(group, name)) for name in new_users))


def _user(name: str, number: str) -> str:
    return f"{name}:*:{number}:{number}:{name}:/:/bin/false"


def _number(group: Path, name: str) -> str:
    return next(line.split(":")[2] for line in group.read_text().splitlines() if line.split(":")[0] == name)


def _names(file: Path) -> Iterator[str]:
    return (line.partition(":")[0] for line in file.read_text().splitlines())


def _append(file: Path, lines: Iterable[str]) -> None:
    with file.open("a") as opened:
        opened.writelines(f"{line}\n" for line in lines)
