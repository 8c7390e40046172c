# SPDX-License-Identifier: MIT
"""How long a component has been out of service, against what its manifest allows (docs/supervisor.md)."""

from __future__ import annotations

# So long after the calculated moment the comparison is sure to agree with it.
_AFTER_S = 0.001


class Downtime:
    """A leaky bucket of seconds out of service: all of the budget comes back in a window.

    What an operator, a reload or a shutdown has stopped is not out of service.
    """

    def __init__(self, kept: object = None) -> None:
        values = kept if isinstance(kept, dict) else {}
        # Since when it has been out of service; None: it is not.
        self.since: float | None = values.get("since")
        self.total = float(values.get("total", 0.0))
        self._used = float(values.get("used", 0.0))
        self._at = float(values.get("at", 0.0))
        # When it was told that the budget is used up; None: it is not.
        self.told_at: float | None = values.get("told_at")

    def kept(self) -> dict[str, object]:
        """For the next supervisor."""
        return {
            "since": self.since,
            "total": self.total,
            "used": self._used,
            "at": self._at,
            "told_at": self.told_at,
        }

    def begin(self, when: float) -> None:
        """It has failed; a failure on the way back is the same outage."""
        if self.since is None:
            self.since = when

    def end(self, when: float, budget: float, window: float) -> None:
        """It is ready again."""
        if self.since is None:
            return
        out = max(0.0, when - self.since)
        self._used, self._at = self._left(when, budget, window) + out, when
        self.total += out
        self.since = None

    def cancel(self) -> None:
        """Somebody wants it stopped: that is no outage."""
        self.since = None

    def used(self, now: float, budget: float, window: float) -> float:
        """Seconds of the budget that are used up, this outage included."""
        return self._left(now, budget, window) + (0.0 if self.since is None else max(0.0, now - self.since))

    def _left(self, now: float, budget: float, window: float) -> float:
        """What has not come back yet of earlier outages."""
        return max(0.0, self._used - max(0.0, now - self._at) * budget / window)

    def deadline(self, budget: float, window: float) -> float | None:
        """When this outage will have used up the budget; None: it is over, or has been told."""
        if self.since is None or self.told_at is not None:
            return None
        alone = self.since + budget
        rate = budget / window
        if self._left(alone, budget, window) > 0:
            # Earlier outages still count then: used(t) = _used - (t - _at) * rate + t - since.
            alone = (budget - self._used - self._at * rate + self.since) / (1 - rate)
        return max(alone, self.since) + _AFTER_S

    def newly_exceeded(self, now: float, budget: float, window: float) -> bool:
        """True once each time that the budget is used up; half of it must come back before the next time."""
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
