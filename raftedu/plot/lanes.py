"""The one tidy frame behind the lease picture: who held, promised, waited for or still had to honour a lease, and when.

This module turns the frames of a trace into lanes and knows nothing of axes or colours, so that a student can take
`lease_lanes(trace)` and draw the picture himself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

if TYPE_CHECKING:
    from raftedu.trace import Trace

__all__ = ["Lane", "TwoLeases", "binding_promise", "fault_lanes", "gaps", "lanes_of", "lease_lanes", "records", "two_leases", "wait_is_cut"]

TOLERANCE = 1e-6
"""Seconds: times in a dump are written to a millionth."""
TOGETHER = 0.25
"""Seconds: the cuts of one partition are written one after the other."""
OWN_ROWS = 3
"""Up to so many leaders have a row of their own in each lane; with more, rows are used again once they are free."""


class Lane(NamedTuple):
    """One bar of the lease picture: a row of `lease_lanes`."""

    what: str
    node: int
    leader: int
    term: int
    start: float
    end: float
    row: int = 0


class TwoLeases(NamedTuple):
    """An interval in which two nodes held a valid lease at once: a row of `two_leases`."""

    node: int
    term: int
    other: int
    other_term: int
    start: float
    end: float


def lease_lanes(trace: Trace) -> pd.DataFrame:
    """Return everything that the lease picture draws, one row a bar.

    Columns: ``what`` ("lease", "honoured", "promise", "wait" or "two leases"), ``node`` (whose lane), ``leader``
    (to whom it matters: the holder of the lease, or the leader promised to), ``term``, ``start``, ``end`` (seconds)
    and ``row`` (promises only: 0 is the upper row of the lane; promises to different leaders never share a row at one
    time). A lease is "honoured" from the moment its holder is gone until it would have run out.
    """
    rows = lanes_of(records(trace.leases()), records(trace.promises()), records(trace.waits()), trace.end)
    types = {"node": "int64", "leader": "int64", "term": "int64", "start": "float64", "end": "float64", "row": "int64"}
    return pd.DataFrame(rows, columns=list(Lane._fields)).astype(types)


def two_leases(trace: Trace) -> pd.DataFrame:
    """Return the intervals in which two nodes held a valid lease at once; correct rules never let one arise.

    Columns: ``node``, ``term`` (the lease that began first), ``other``, ``other_term``, ``start``, ``end``.
    """
    return pd.DataFrame(doubled(records(trace.leases())), columns=list(TwoLeases._fields))


def records(frame: pd.DataFrame) -> list[Any]:
    """Return the rows of a frame as named tuples of plain Python values; a missing number is None."""
    if frame.empty:
        return []
    columns = [[None if value is pd.NA else value for value in frame[name].tolist()] for name in frame.columns]
    return list(map(_record(tuple(frame.columns))._make, zip(*columns, strict=True)))


@lru_cache(maxsize=64)
def _record(columns: tuple[str, ...]) -> Any:
    """The class of such rows; made once for each kind of frame, since to make a class takes longer than to fill it."""
    return NamedTuple("Record", [(name, Any) for name in columns])


def lanes_of(leases: Sequence[Any], promises: Sequence[Any], waits: Sequence[Any], end: float) -> list[Lane]:
    """Return the rows of `lease_lanes` from records already at hand; `end` is where the trace ends."""
    return [*_own(leases), *_promised(promises), *_waits(waits, end), *_doubled_lanes(leases)]


def doubled(leases: Sequence[Any]) -> list[TwoLeases]:
    """Return the rows of `two_leases`."""
    held = sorted((lease for lease in leases if lease.end > lease.start), key=lambda lease: lease.start)
    found = []
    for k, first in enumerate(held):
        for second in held[k + 1 :]:
            if second.start >= first.end - TOLERANCE:
                break
            end = min(first.end, second.end)
            if second.node != first.node and end - second.start > TOLERANCE:
                found.append(TwoLeases(first.node, first.term, second.node, second.term, second.start, end))
    return found


def gaps(leases: Sequence[Any], end: float) -> list[tuple[float, float]]:
    """Return the times without any valid lease after the first one began, the last open until `end`."""
    found: list[tuple[float, float]] = []
    covered: float | None = None
    for lease in sorted(leases, key=lambda lease: lease.start):
        if covered is not None and lease.start > covered + TOLERANCE:
            found.append((covered, lease.start))
        covered = lease.end if covered is None else max(covered, lease.end)
    if covered is not None and end > covered + TOLERANCE:
        found.append((covered, end))
    return found


def binding_promise(wait: Any, promises: Sequence[Any]) -> Any | None:
    """Return the promise that made a new leader wait (a row of ``promises()``), or None if the trace shows none.

    None is possible: a node that restarted answers as if it had promised, and such a promise was never written down.
    """
    if not len(wait.because):
        return None
    voter = max(wait.because, key=lambda pair: pair[1])[0]
    given = [p for p in promises if p.node == voter and p.leader != wait.node and p.start <= wait.start < p.until]
    return min(given, key=lambda promise: abs(promise.until - wait.wait_until), default=None)


def wait_is_cut(wait: Any) -> bool:
    """Whether a wait ended before its time: by a crash, a step-down, or because the trace ends there."""
    return bool(wait.end < wait.wait_until - TOLERANCE)


def fault_lanes(faults: Sequence[Any]) -> list[tuple[str, int, list[int], float, float]]:
    """Return kind, node, lost peers, start and end of each stretch of a lane that is shaded.

    A cut link has two ends, so both lanes are shaded; cuts of one node that begin and end together are one stretch.
    """
    found: dict[tuple[Any, ...], tuple[set[int], float, float]] = {}
    for fault in faults:
        for node, peer in _ends(fault):
            key = (fault.kind, node, round(fault.start / TOGETHER), round(fault.end / TOGETHER))
            peers, start, end = found.get(key, (set(), fault.start, fault.end))
            found[key] = (peers | ({peer} if peer is not None else set()), min(start, fault.start), max(end, fault.end))
    return [(key[0], key[1], sorted(peers), start, end) for key, (peers, start, end) in found.items()]


def _ends(fault: Any) -> list[tuple[int, int | None]]:
    if fault.kind != "link" or fault.peer is None:
        return [(fault.node, None)]
    return [(fault.node, fault.peer), (fault.peer, fault.node)]


def _own(leases: Sequence[Any]) -> Iterator[Lane]:
    for lease in leases:
        yield Lane("lease", lease.node, lease.node, lease.term, lease.start, lease.end)
        if lease.why != "open" and lease.expiry > lease.end + TOLERANCE:
            yield Lane("honoured", lease.node, lease.node, lease.term, lease.end, lease.expiry)


def _promised(promises: Sequence[Any]) -> Iterator[Lane]:
    rows: dict[int, list[tuple[int, float]]] = {}
    for promise in sorted(promises, key=lambda promise: promise.start):
        taken = rows.setdefault(promise.node, [])
        row = _row_for(promise, taken)
        taken[row : row + 1] = [(promise.leader, promise.until)]
        yield Lane("promise", promise.node, promise.leader, promise.term, promise.start, promise.until, row)


def _row_for(promise: Any, taken: list[tuple[int, float]]) -> int:
    """The row of this leader if it is free, else a new one, else the row that has been free for longest."""
    free = [row for row, (_, until) in enumerate(taken) if until <= promise.start + TOLERANCE]
    of_this_leader = [row for row in free if taken[row][0] == promise.leader]
    if of_this_leader:
        return of_this_leader[0]
    if free and len(taken) >= OWN_ROWS:
        return min(free, key=lambda row: taken[row][1])
    return len(taken)


def _waits(waits: Sequence[Any], trace_end: float) -> Iterator[Lane]:
    for wait in waits:
        still_waiting = wait.end >= trace_end - TOLERANCE
        end = wait.end if wait_is_cut(wait) and not still_waiting else wait.wait_until
        if end > wait.start + TOLERANCE:
            yield Lane("wait", wait.node, wait.node, wait.term, wait.start, end)


def _doubled_lanes(leases: Sequence[Any]) -> Iterator[Lane]:
    for pair in doubled(leases):
        yield Lane("two leases", pair.node, pair.other, pair.term, pair.start, pair.end)
        yield Lane("two leases", pair.other, pair.node, pair.other_term, pair.start, pair.end)
