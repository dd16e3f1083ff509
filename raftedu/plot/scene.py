"""What the pictures need of a trace, read once: its frames, its lanes, the span of time.

Knows the trace's methods; must not know how anything is drawn. So several panels of one picture share one reading.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from raftedu.plot.lanes import TOLERANCE, Lane, TwoLeases, doubled, lanes_of, records

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
        if not (hasattr(trace, "nodes") and hasattr(trace, "frame")):
            given = type(trace).__name__
            raise TypeError(f"a picture is made from a trace, not from {given}: give cluster.trace, read_dump(folder) or load_trace(name)")
        known = [int(node) for node in trace.nodes]
        shown = known if nodes is None else list(dict.fromkeys(int(node) for node in nodes))
        strange = [node for node in shown if node not in known]
        if strange:
            there = f"it has {', '.join(map(str, known))}" if known else "it has none"
            raise ValueError(f"nodes={shown}: the trace has no node {strange[0]}; {there}")
        return cls(trace, tuple(shown))

    @cached_property
    def leaders(self) -> list[Any]:
        """Rows of ``leaders()``, the first leader first."""
        return sorted(records(self.trace.leaders()), key=lambda leader: leader.start)

    @cached_property
    def leases(self) -> list[Any]:
        """Rows of ``leases()``."""
        return records(self.trace.leases())

    @cached_property
    def promises(self) -> list[Any]:
        """Rows of ``promises()``."""
        return records(self.trace.promises())

    @cached_property
    def waits(self) -> list[Any]:
        """Rows of ``waits()``."""
        return records(self.trace.waits())

    @cached_property
    def elections(self) -> list[Any]:
        """Rows of ``elections()``."""
        return records(self.trace.elections())

    @cached_property
    def faults(self) -> list[Any]:
        """Rows of ``faults()``."""
        return records(self.trace.faults())

    @cached_property
    def roles(self) -> list[Any]:
        """Rows of ``roles()``."""
        return records(self.trace.roles())

    @cached_property
    def requests(self) -> list[Any]:
        """Rows of ``requests()``."""
        return records(self.trace.requests())

    @cached_property
    def lanes(self) -> list[Lane]:
        """The rows of `lease_lanes`."""
        return lanes_of(self.leases, self.promises, self.waits, self.end)

    @cached_property
    def doubled(self) -> list[TwoLeases]:
        """The rows of `two_leases`."""
        return doubled(self.leases)

    @cached_property
    def terms(self) -> dict[int, float]:
        """When each term was first seen in an election, in the order of the terms."""
        begun: dict[int, float] = {}
        for row in (*self.elections, *self.leaders):
            begun[row.term] = min(row.start, begun.get(row.term, row.start))
        return dict(sorted(begun.items()))

    def lanes_with(self, what: str) -> list[Lane]:
        """Those rows of `lanes` that say `what`, in the lanes shown."""
        return self._shown.get(what, [])

    @cached_property
    def _shown(self) -> dict[str, list[Lane]]:
        shown: dict[str, list[Lane]] = {}
        for lane in self.lanes:
            if lane.node in self.nodes:
                shown.setdefault(lane.what, []).append(lane)
        return shown

    @cached_property
    def promise_rows(self) -> int:
        """How many rows of promises a lane needs."""
        return max((lane.row for lane in self.lanes), default=0) + 1

    def waits_for(self, leader: Any) -> Any | None:
        """The wait (a row of ``waits()``) that a leader went through, or None if it had none to speak of."""
        return next((w for w in self.waits if (w.node, w.term) == (leader.node, leader.term) and w.length > TOLERANCE), None)

    @property
    def is_empty(self) -> bool:
        """Whether the trace has nothing to show at all."""
        return not self.nodes or not len(self.trace.frame)

    @property
    def start(self) -> float:
        """Where the time axis begins."""
        return 0.0 if self.is_empty else float(self.trace.start)

    @property
    def end(self) -> float:
        """Where the time axis ends."""
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
