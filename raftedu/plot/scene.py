"""What the pictures need of a trace, read once: its frames, its lanes, the span of time.

Knows the trace's methods; must not know how anything is drawn. So several panels of one picture share one reading.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd

from raftedu.plot.lanes import lanes_of, two_leases

if TYPE_CHECKING:
    from raftedu.trace import Trace

__all__ = ["Scene"]


@dataclass(frozen=True)
class Scene:
    """A trace as the pictures see it; `nodes` are the lanes shown, from the top."""

    trace: Trace
    nodes: tuple[int, ...]

    @classmethod
    def of(cls, trace: Trace, nodes: Iterable[int] | None = None) -> Scene:
        """The scene of `trace`, with all its nodes or the chosen ones, in the order chosen."""
        known = [int(node) for node in trace.nodes]
        shown = known if nodes is None else list(dict.fromkeys(int(node) for node in nodes))
        strange = [node for node in shown if node not in known]
        if strange:
            there = f"it has {', '.join(map(str, known))}" if known else "it has none"
            raise ValueError(f"nodes={shown}: the trace has no node {strange[0]}; {there}")
        return cls(trace, tuple(shown))

    @cached_property
    def leaders(self) -> pd.DataFrame:
        return self.trace.leaders()

    @cached_property
    def leases(self) -> pd.DataFrame:
        return self.trace.leases()

    @cached_property
    def promises(self) -> pd.DataFrame:
        return self.trace.promises()

    @cached_property
    def waits(self) -> pd.DataFrame:
        return self.trace.waits()

    @cached_property
    def elections(self) -> pd.DataFrame:
        return self.trace.elections()

    @cached_property
    def faults(self) -> pd.DataFrame:
        return self.trace.faults()

    @cached_property
    def roles(self) -> pd.DataFrame:
        return self.trace.roles()

    @cached_property
    def lanes(self) -> pd.DataFrame:
        """The frame of `lease_lanes`."""
        return lanes_of(self.leases, self.promises, self.waits, self.end)

    @cached_property
    def doubled(self) -> pd.DataFrame:
        return two_leases(self.leases)

    @cached_property
    def terms(self) -> pd.Series:
        """When each term was first seen in an election, by term."""
        begun = pd.concat([frame[["term", "start"]] for frame in (self.elections, self.leaders)])
        return begun.groupby("term")["start"].min().sort_index()

    def waits_for(self, leader: Any) -> Any | None:
        """The wait (a row of ``waits()``) that a leader went through, or None if it had none to speak of."""
        rows = self.waits[(self.waits["node"] == leader.node) & (self.waits["term"] == leader.term) & (self.waits["length"] > 1e-6)]
        return next(rows.itertuples(index=False), None)

    @property
    def is_empty(self) -> bool:
        """Whether the trace has nothing to show at all."""
        return not self.nodes or not len(self.trace.frame)

    @property
    def start(self) -> float:
        return 0.0 if self.is_empty else float(self.trace.start)

    @property
    def end(self) -> float:
        return 1.0 if self.is_empty else float(self.trace.end)

    @property
    def in_seconds(self) -> bool:
        """Whether the trace has times; a dump without them has only an order of events."""
        return self.trace.clock == "time"

    def length(self, span: float) -> str:
        """`span` in words: ``2.4 s``, or ``3 steps`` where there are no times."""
        if not self.in_seconds:
            return f"{span:.0f} step{'' if round(span) == 1 else 's'}"
        return f"{span:.1f} s" if span >= 0.95 else f"{span:.2g} s"

    def moment(self, time: float) -> str:
        """`time` as a number that can be found on the axis."""
        return f"{time:.1f}" if self.in_seconds else f"{time:.0f}"
