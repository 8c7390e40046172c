# SPDX-License-Identifier: MIT
"""A component made from a unit: its keys as the manifest has them, and remarks about what it has not."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

# If the device would refuse the value of one of these, it is left out with a remark. Any other such value is
# an error: without its user, for example, a component would run with more rights.
_OPTIONAL = re.compile(
    r"(limits|cgroup|cold|ladder)\..*|(directory|environment|output|stored_descriptors|\w+_s)(\..*)?"
)
Values = dict[str, object]


class Converted:
    """One component: its keys in the manifest's order, and remarks."""

    def __init__(self, name: str, title: str = "") -> None:
        self.name = name
        self.title = title
        self.values: Values = {}
        self.remarks: list[str] = []

    def set(self, key: str, value: object) -> None:
        """A key, unless there is nothing to say."""
        if value not in (None, "", [], {}):
            self.values[key] = value

    def say(self, remark: str) -> None:
        """A remark, once."""
        if remark not in self.remarks:
            self.remarks.append(remark)

    def lost(self, setting: str, text: str, why: str = "the manifest has no such value") -> None:
        """Remark on a value that is not carried over."""
        self.say(f"{setting}={text} is not carried over: {why}")

    def carry(self, key: str, setting: str, text: str, read: Callable[[str], object | None]) -> None:
        """Set a key from a value that `read` understands; remark on any other value."""
        if text and (value := read(text)) is not None:
            self.set(key, value)
        elif text:
            self.lost(setting, text)

    def leave_out(self, path: str, problem: str, expected: str) -> bool:
        """Leave out the key that the device refuses, `path` being its place; False if it is needed."""
        key = next((key for key in self.values if path == key or path.startswith((f"{key}.", f"{key}["))), "")
        if not _OPTIONAL.fullmatch(key):
            return False
        value = self.values.pop(key)
        self.say(f"{key} = {_toml(value)} is left out: {problem}; it must be {expected}")
        return True

    def toml(self) -> str:
        """Return the table, preceded by its title and its remarks."""
        title = [self.title] if self.title else []
        lines = [f"# {_printable(line)}" for line in [*title, *self.remarks]] + [f"[component.{self.name}]"]
        return "\n".join(lines + [f"{key} = {_toml(value)}" for key, value in self.values.items()]) + "\n"


def _printable(text: str) -> str:
    """A comment in TOML is one line, without control characters."""
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text).replace("\x7f", "\\u007f")


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(key)} = {_toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, float):
        return f"{value:.15g}"
    # TOML forbids DEL, which JSON does not escape.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _toml(key)
