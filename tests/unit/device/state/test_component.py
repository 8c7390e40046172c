# SPDX-License-Identifier: MIT
"""The record of a component comes back from state.json as it was."""

from __future__ import annotations

import json
from typing import Any

from koboshi.state.component import Component
from koboshi.state.downtime import Downtime

# What a component is made with, and what is acted on in the same turn.
NOT_KEPT = {"name", "spec", "out", "disturbed", "faulty"}
NOBODY: Any = None


def different(value: object) -> object:
    """Another value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value + 7
    if isinstance(value, dict):
        return {key: different(item) for key, item in value.items()}
    if isinstance(value, Downtime):
        return Downtime({**value.kept(), "total": 5.0})
    return f"{value or ''}x"


def test_every_field_is_kept() -> None:
    """Each is in state.json but for NOT_KEPT, and the next supervisor has its value."""
    first = Component("a", None, NOBODY)
    fields = set(Component.__slots__) - NOT_KEPT
    assert set(first.kept()) == fields
    for field in fields:
        if field in ("last_time", "out_since", "deadline"):
            setattr(first, field, 3.5)
        else:
            setattr(first, field, different(getattr(first, field)))
    kept = json.loads(json.dumps(first.kept()))
    second = Component("a", None, NOBODY, kept)
    assert second.kept() == first.kept()
    new = Component("a", None, NOBODY).kept()
    assert [field for field in fields if kept[field] == new[field]] == []


def test_fields_of_another_version() -> None:
    """What an earlier version has not kept is as in a new component. What a later one has is left out."""
    assert Component("a", None, NOBODY, {"state": "ready", "later": 1}).kept() == {
        **Component("a", None, NOBODY).kept(),
        "state": "ready",
    }
