# SPDX-License-Identifier: MIT
"""The downtime of a component, and the budget that its manifest allows (docs/supervisor.md)."""

from __future__ import annotations

# Margin for rounding: this long after the calculated time, the comparison agrees with it.
_AFTER_S = 0.001


class Downtime:
    """A leaky bucket of seconds out of service: all of the budget comes back in a window.

    A component that an operator, a reload or a shutdown has stopped does not count as out of service.
    """

    def __init__(self, kept: object = None) -> None:
        values = kept if isinstance(kept, dict) else {}
        # When the outage began; None: in service.
        self.since: float | None = values.get("since")
        self.total = float(values.get("total", 0.0))
        self._used = float(values.get("used", 0.0))
        self._at = float(values.get("at", 0.0))
        # When the exceeded budget was recorded; None: it is not exceeded.
        self.told_at: float | None = values.get("told_at")

    def kept(self) -> dict[str, object]:
        """Return what the next supervisor needs."""
        return {
            "since": self.since,
            "total": self.total,
            "used": self._used,
            "at": self._at,
            "told_at": self.told_at,
        }

    def begin(self, when: float) -> None:
        """Begin an outage; a failure before the component is ready again continues it."""
        if self.since is None:
            self.since = when

    def end(self, when: float, budget: float, window: float) -> None:
        """End the outage: the component is ready again."""
        if self.since is None:
            return
        out = max(0.0, when - self.since)
        self._used, self._at = self._left(when, budget, window) + out, when
        self.total += out
        self.since = None

    def cancel(self) -> None:
        """Forget the outage: the component was stopped on purpose."""
        self.since = None

    def used(self, now: float, budget: float, window: float) -> float:
        """Return the used seconds of the budget, including this outage."""
        return self._left(now, budget, window) + (0.0 if self.since is None else max(0.0, now - self.since))

    def _left(self, now: float, budget: float, window: float) -> float:
        """Return the part of earlier outages that has not come back yet."""
        return max(0.0, self._used - max(0.0, now - self._at) * budget / window)

    def deadline(self, budget: float, window: float) -> float | None:
        """Return when this outage will use up the budget; None: no outage, or already recorded."""
        if self.since is None or self.told_at is not None:
            return None
        alone = self.since + budget
        rate = budget / window
        if self._left(alone, budget, window) > 0:
            # Earlier outages still count then: used(t) = _used - (t - _at) * rate + t - since.
            alone = (budget - self._used - self._at * rate + self.since) / (1 - rate)
        return max(alone, self.since) + _AFTER_S

    def newly_exceeded(self, now: float, budget: float, window: float) -> bool:
        """Return True once when the budget is used up; it can happen again after half of it has come back."""
        begun = now if self.since is None else self.since
        if (
            self.told_at is not None
            and begun > self.told_at
            and self._left(begun, budget, window) <= budget / 2
        ):
            self.told_at = None
        if self.told_at is not None or self.used(now, budget, window) <= budget:
            return False
        self.told_at = now
        return True
