# SPDX-License-Identifier: MIT
"""Lines of keys in TOML texts."""

from __future__ import annotations

import tomllib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from koboshi.manifest.toml_lines import Path, line_of, locate

TEXT = '''\
# a comment = 1
top = """
not = "a key"
[not.a.table]"""
"quoted key" = 'x = 1'  # y = 2
[a."b.c"]
d.e = 1
list = [ # [fake]
  1, [2,
  3], { in = "}",
  line = [ 4 ] },
]
[[many]]
x = 1
[[many]]
x = 2
[many.below]
y = \'\'\'it''s ''\'\'\'
z = 1
'''


def test_every_kind_of_key() -> None:
    """Keys of all kinds of tables and arrays are found, text in strings is not."""
    expected: dict[Path, int] = {
        ("top",): 2,
        ("quoted key",): 5,
        ("a", "b.c"): 6,
        ("a", "b.c", "d"): 7,
        ("a", "b.c", "d", "e"): 7,
        ("a", "b.c", "list", 0): 9,
        ("a", "b.c", "list", 1, 1): 10,
        ("a", "b.c", "list", 2, "in"): 10,
        ("a", "b.c", "list", 2, "line", 0): 11,
        ("many", 0, "x"): 14,
        ("many", 1, "x"): 16,
        ("many", 1, "below", "y"): 18,
        ("many", 1, "below", "z"): 19,
    }
    lines = locate(TEXT)
    assert {path: lines.get(path) for path in expected} == expected
    assert ("not",) not in lines


def test_nearest_table() -> None:
    """A key that is not there has the line of its table, or the first."""
    assert line_of(locate(TEXT), ("a", "b.c", "missing")) == 6
    assert line_of(locate(TEXT), ("missing",)) == 1


KEYS = st.text(alphabet="ab.-\"\\' #=", max_size=4)
VALUES = st.recursive(
    st.one_of(st.integers(), st.booleans(), st.text(alphabet="ab\"'\\#[]{},=\n", max_size=6)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=8,
)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, list):
        return "[" + ", ".join(_toml(item) for item in value) + "\n]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_quoted(key)} = {_toml(item)}" for key, item in value.items()) + "}"
    return str(value)


def _paths(value: Any, path: Path) -> set[Path]:
    found = {path} if path else set()
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        found |= _paths(item, (*path, key))
    return found


@settings(max_examples=300)
@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_finds_exactly_the_keys_of_tomllib(data: dict[str, Any]) -> None:
    """The scanner names the same keys and elements as the parser, whatever the values hold."""
    text = "".join(f"{_quoted(key)} = {_toml(value)}\n" for key, value in data.items())
    assert tomllib.loads(text) == data
    assert set(locate(text)) == _paths(data, ())
