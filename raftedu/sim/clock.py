"""`NodeClock`: a node's own clock, at a rate and an offset of its own. It knows numbers only; what time it is, it is told."""

from __future__ import annotations

import math

from raftedu.core.types import Seconds

__all__ = ["NodeClock"]


class NodeClock:
    """A clock that shows ``then + rate * (now - since)``; at first it shows the true time."""

    __slots__ = ("_since", "_then", "is_true", "rate")

    def __init__(self) -> None:
        self.rate = 1.0
        """Its seconds in a true second."""
        self.is_true = True
        """Whether it shows the true time, to the last digit."""
        self._since = self._then = 0.0

    def at(self, now: Seconds) -> Seconds:
        """Return what it shows at the true time ``now``."""
        return now if self.is_true else self._then + self.rate * (now - self._since)

    def when(self, deadline: Seconds) -> Seconds:
        """Return at what true time it shows ``deadline``, ``inf`` if it stands still before."""
        if self.is_true:
            return deadline
        left = deadline - self._then
        if self.rate == 0:
            return math.inf if left > 0 else self._since
        time = self._since + left / self.rate
        # Rounded down, the deadline would not be there yet, and a timer would be set again and again.
        step = math.ulp(time)
        while self.at(time) < deadline:
            time, step = time + step, 2 * step
        return time

    def offset(self, now: Seconds) -> Seconds:
        """Return how far it is ahead of the true time."""
        return self.at(now) - now

    def set(self, now: Seconds, rate: float | None, offset: Seconds | None) -> None:
        """Change the rate from ``now`` on, without a jump; or jump, to ``offset`` seconds ahead of the true time."""
        self._then = self.at(now) if offset is None else now + offset
        self._since = now
        self.rate = self.rate if rate is None else rate
        self.is_true = self.rate == 1.0 and self._then == now
