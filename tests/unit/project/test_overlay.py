# SPDX-License-Identifier: MIT
"""The files of overlay/ that no program of ours checks: users and groups."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[3]


def rows(name: str, fields: int) -> list[list[str]]:
    """The file's lines, each with that many fields."""
    lines = [line.split(":") for line in (ROOT / "overlay/etc" / name).read_text().splitlines()]
    assert [line for line in lines if len(line) != fields] == []
    return lines


def test_users_and_groups() -> None:
    """Each name and number is there once, each user has its group, and nobody has an empty password."""
    users, groups = rows("passwd", 7), rows("group", 4)
    for table in (users, groups):
        assert len({row[0] for row in table}) == len({int(row[2]) for row in table}) == len(table)
    numbers = {row[2]: row[0] for row in groups}
    assert {row[0]: numbers[row[3]] for row in users} == {
        **{row[0]: row[0] for row in users},
        "nobody": "nogroup",
    }
    assert [row[0] for row in users if not row[1]] == []
    assert [row[0] for row in users if row[6] != "/bin/false"] == ["root"]


def test_the_demo_finds_its_users() -> None:
    """The users and groups that the demo's manifest names are there, each user for one component."""
    components = tomllib.loads((ROOT / "components/koboshi.toml").read_text())["component"]
    users = [component["user"] for component in components.values()]
    assert len(set(users)) == len(users)
    assert set(users) <= {row[0] for row in rows("passwd", 7)}
    groups = {name for component in components.values() for name in component.get("groups", ())}
    assert groups <= {row[0] for row in rows("group", 4)}
