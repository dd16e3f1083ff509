"""`Figure`: one measured number with the goal it is held against, and the few sums that all measurements share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from statistics import median
from typing import NamedTuple

__all__ = ["Figure", "Times", "ratio_text", "timed"]


class Figure(NamedTuple):
    """One row of the table. ``ok`` is ``None`` for what is only shown, without a goal; ``measured`` says it in words."""

    name: str
    value: float
    measured: str
    goal: str = ""
    ok: bool | None = None


class Times:
    """Durations of the same thing, in seconds, as they come in."""

    def __init__(self, seconds: Iterable[float] = ()) -> None:
        self.seconds = list(seconds)

    def add(self, more: Iterable[float]) -> None:
        """Take more of them."""
        self.seconds += more

    @property
    def p50(self) -> float:
        """The median."""
        return median(self.seconds)

    @property
    def p99(self) -> float:
        """What all but one in a hundred stay below."""
        return sorted(self.seconds)[int(len(self.seconds) * 0.99)]

    def __str__(self) -> str:
        return f"p50 {self.p50 * 1e3:.2f} ms, p99 {self.p99 * 1e3:.2f} ms"


def timed(work: Callable[[], object]) -> float:
    """Return how many seconds ``work`` took."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def ratio_text(ours: float, theirs: float) -> str:
    """Return ``"2.10 x"``."""
    return f"{ours / theirs:.2f} x"
