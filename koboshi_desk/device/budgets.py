# SPDX-License-Identifier: MIT
"""A component's remaining budgets per rung: as the device reported them, and as they refill."""

from __future__ import annotations

import math
from dataclasses import dataclass, field


@dataclass
class Budgets:
    """Steps by rung, in the device's order (docs/console.md)."""

    most: dict[str, float] = field(default_factory=dict)
    window_s: dict[str, float] = field(default_factory=dict)
    left: dict[str, float] = field(default_factory=dict)
    before: dict[str, float] = field(default_factory=dict)  # a rehearsal that is under way

    def take(self, event: str, fields: dict[str, str]) -> None:
        """Update the budgets from a record's event and keys, or from a reply's keys."""
        if event == "rehearsal":
            self._rehearse(fields.get("result") == "begun")
        if "budget" in fields:
            self.declare(fields["budget"])
        if "left" in fields:
            self.tell(fields["left"])

    def _rehearse(self, begun: bool) -> None:
        """Save the budgets when a rehearsal begins, and restore them when it ends."""
        if begun:
            self.before = dict(self.left)
        elif self.before:
            self.left, self.before = self.before, {}

    def declare(self, text: str) -> None:
        """Read `cold:5/120,group:1/3600` and set all budgets to full."""
        pairs = {rung: value.partition("/") for rung, value in _pairs(text).items()}
        self.most = {rung: _number(count) for rung, (count, _, _) in pairs.items()}
        self.window_s = {rung: _number(window) for rung, (_, _, window) in pairs.items()}
        self.left = dict(self.most)

    def tell(self, text: str) -> None:
        """Read the remaining budgets from `cold:4.25,group:1`."""
        if pairs := _pairs(text):
            self.left = {rung: _number(value) for rung, value in pairs.items()}

    def after(self, seconds: float) -> dict[str, float]:
        """Return the remaining budget after some time in service; it refills only in service."""
        return {rung: self._filled(rung, left, seconds) for rung, left in self.left.items()}

    def _filled(self, rung: str, left: float, seconds: float) -> float:
        most, window = self.most.get(rung, left), self.window_s.get(rung, 0.0)
        return min(most, left + max(0.0, seconds) * most / window) if window > 0 else left


def _pairs(text: str) -> dict[str, str]:
    return {
        rung: value for rung, _, value in (word.partition(":") for word in text.split(",")) if rung and value
    }


def _number(text: str) -> float:
    """Return a number, or 0 for an invalid text from a broken device."""
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if math.isfinite(value) else 0.0
