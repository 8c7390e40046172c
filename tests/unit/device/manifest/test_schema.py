# SPDX-License-Identifier: MIT
"""The published JSON Schema says the same as the code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from koboshi.manifest import rules as rules
from koboshi.manifest.check import parse
from koboshi.manifest.model import ManifestRefusedError

SCHEMA = json.loads(Path(rules.__file__).with_name("schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)

# Values that are right for some key and wrong for others; what a schema cannot say
# (a need that is missing, a cold limit that never trips) is left out.
SCALARS = st.sampled_from(
    [
        0,
        1,
        2,
        3.0,
        0.05,
        0.5,
        -1,
        10**6,
        10**6 + 1,
        2**31,
        True,
        "",
        "/a",
        "/a\x00",
        "a",
        "a.b:c",
        "a:",
        "console",
        "none",
        "notify",
        "file:/x",
        "file:x",
        "port:80",
        "port:0",
        "port:65535",
        "port:65536",
        "fd:3",
        "fd:16",
        "auto",
        "user",
        "root",
        "Root",
        "SIGABRT",
        "SIGKILL",
    ]
)
VALUES = st.one_of(
    SCALARS,
    st.lists(
        st.sampled_from(
            ["/a", "a", "x\0", "request", "error", "signal", "oops", 1, "kill", "tcp:80", "unix:/x"]
        ),
        max_size=4,
    ),
    st.dictionaries(st.sampled_from(["A", "a_1", "1a", "A=B", "files", "burst"]), SCALARS, max_size=2),
)
SAFE_INNER = {
    "limits": [*rules.LIMITS, "oops"],
    "restart": [*rules.RESTART, "oops"],
    "cold": ["delay_s", "window_s", "oops"],
    "ladder": ["dependents", "window_s", "oops"],
    "access": [*rules.ACCESS, "oops"],
    "mounts": [*rules.MOUNTS, "oops"],
    "cgroup": [*rules.CGROUP, "oops"],
}


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return json.dumps(value)


def _code_accepts(data: dict[str, Any]) -> bool:
    try:
        parse("".join(f"{json.dumps(key)} = {_toml(value)}\n" for key, value in data.items()), "f")
    except ManifestRefusedError:
        return False
    return True


@st.composite
def components(draw: st.DrawFn) -> dict[str, Any]:
    """A right component with up to three keys replaced."""
    component: dict[str, Any] = draw(
        st.sampled_from([{"command": ["/a", "b"]}, {"python": "a.b:c", "arguments": ["x"]}])
    )
    component = dict(component)
    for key in draw(st.lists(st.sampled_from([*rules.COMPONENT, "oops"]), max_size=3)):
        if key in SAFE_INNER:
            inner = st.dictionaries(st.sampled_from(SAFE_INNER[key]), VALUES, max_size=2)
            component[key] = draw(st.one_of(inner, SCALARS))
        else:
            component[key] = draw(VALUES)
    return component


def _beyond_a_schema(component: dict[str, Any]) -> bool:
    """Rules that compare values with one another (docs/manifest.md) are the code's alone."""
    cold, heartbeat = component.get("cold"), component.get("heartbeat_s")
    return (
        bool(component.get("needs"))
        or bool(component.get("on_restart"))
        or bool(component.get("stored_descriptors"))
        or (isinstance(heartbeat, int | float) and heartbeat > 1)
        or (isinstance(cold, dict) and bool(cold))
    )


@settings(max_examples=600, deadline=None)
@given(components(), st.sampled_from(["a", "a-1", "-a", "A", "a" * 32, "a" * 33, "", "events"]))
def test_schema_and_code_agree(component: dict[str, Any], name: str) -> None:
    """A document is accepted by both or by neither."""
    data = {"version": 1, "component": {name: component}}
    accepted = _code_accepts(data)
    if accepted or not _beyond_a_schema(component):
        assert VALIDATOR.is_valid(data) == accepted


@pytest.mark.parametrize(
    "data", [{}, {"version": 2}, {"version": 1, "x": 1}, {"version": 1, "component": []}]
)
def test_wrong_frames(data: dict[str, Any]) -> None:
    """Around the components, too, both refuse the same."""
    assert not VALIDATOR.is_valid(data)
    assert not _code_accepts(data)


def test_every_key_is_in_both() -> None:
    """Keys and defaults of the schema are those of the code."""
    properties = SCHEMA["$defs"]["component"]["properties"]
    assert set(properties) == set(rules.COMPONENT)
    for table in ("limits", "restart", "cold", "ladder", "access", "mounts", "cgroup"):
        named: Any = rules.COMPONENT[table]
        assert set(properties[table]["properties"]) == set(named)
        for key, (_rule, default) in named.items():
            published = properties[table]["properties"][key].get("default")
            assert published == (list(default) if isinstance(default, tuple) else default)


def test_the_schema_is_a_schema() -> None:
    """The file is a valid schema of the draft it names."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
