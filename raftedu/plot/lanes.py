"""The one tidy frame behind the lease picture: who held, promised, waited for or still had to honour a lease, and when.

This module turns the frames of a trace into lanes and knows nothing of axes or colours, so that a student can take
`lease_lanes(trace)` and draw the picture himself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from raftedu.trace import Trace

__all__ = ["LANE_COLUMNS", "TWO_LEASES_COLUMNS", "binding_promise", "fault_lanes", "gaps", "lease_lanes", "two_leases"]

LANE_COLUMNS = ["what", "node", "leader", "term", "start", "end", "row"]
TWO_LEASES_COLUMNS = ["node", "term", "other", "other_term", "start", "end"]

TOLERANCE = 1e-6
"""Seconds: times in a dump are written to a millionth."""
TOGETHER = 0.25
"""Seconds: the cuts of one partition are written one after the other."""
OWN_ROWS = 3
"""Up to so many leaders have a row of their own in each lane; with more, rows are used again once they are free."""


def lease_lanes(trace: Trace) -> pd.DataFrame:
    """Return everything that the lease picture draws, one row a bar.

    Columns: ``what`` ("lease", "honoured", "promise", "wait" or "two leases"), ``node`` (whose lane), ``leader``
    (to whom it matters: the holder of the lease, or the leader promised to), ``term``, ``start``, ``end`` (seconds)
    and ``row`` (promises only: 0 is the upper row of the lane; promises to different leaders never share a row at one
    time). A lease is "honoured" from the moment its holder is gone until it would have run out.
    """
    return lanes_of(trace.leases(), trace.promises(), trace.waits(), trace.end)


def lanes_of(leases: pd.DataFrame, promises: pd.DataFrame, waits: pd.DataFrame, end: float) -> pd.DataFrame:
    """Return the frame of `lease_lanes` from frames already at hand; `end` is where the trace ends."""
    rows = [*_own(leases), *_promised(promises), *_waits(waits, end), *_doubled(leases)]
    lanes = pd.DataFrame(rows, columns=LANE_COLUMNS)
    return lanes.astype({"node": "int64", "leader": "int64", "term": "int64", "start": "float64", "end": "float64", "row": "int64"})


def two_leases(leases: pd.DataFrame) -> pd.DataFrame:
    """Return the intervals in which two nodes held a valid lease at once; correct rules never let one arise.

    Columns: ``node``, ``term`` (the lease that began first), ``other``, ``other_term``, ``start``, ``end``.
    """
    rows = [r for r in leases.sort_values("start", kind="stable").itertuples(index=False) if r.end > r.start]
    found = []
    for k, first in enumerate(rows):
        for second in rows[k + 1 :]:
            if second.start >= first.end - TOLERANCE:
                break
            end = min(first.end, second.end)
            if second.node != first.node and end - second.start > TOLERANCE:
                found.append((first.node, first.term, second.node, second.term, second.start, end))
    return pd.DataFrame(found, columns=TWO_LEASES_COLUMNS)


def gaps(leases: pd.DataFrame, end: float) -> list[tuple[float, float]]:
    """Return the times without any valid lease after the first one began, the last open until `end`."""
    found, covered = [], None
    for lease in leases.sort_values("start", kind="stable").itertuples(index=False):
        if covered is not None and lease.start > covered + TOLERANCE:
            found.append((covered, lease.start))
        covered = lease.end if covered is None else max(covered, lease.end)
    if covered is not None and end > covered + TOLERANCE:
        found.append((covered, end))
    return found


def binding_promise(wait: Any, promises: pd.DataFrame) -> Any | None:
    """Return the promise that made a new leader wait (a row of ``promises()``), or None if the trace shows none.

    None is possible: a node that restarted answers as if it had promised, and such a promise was never written down.
    """
    if not len(wait.because):
        return None
    voter = max(wait.because, key=lambda pair: pair[1])[0]
    near = promises[
        (promises["node"] == voter)
        & (promises["leader"] != wait.node)
        & (promises["start"] <= wait.start)
        & (promises["until"] > wait.start)
    ]
    if near.empty:
        return None
    return min(near.itertuples(index=False), key=lambda row: abs(row.until - wait.wait_until))


def wait_is_cut(wait: Any) -> bool:
    """Whether a wait ended before its time: by a crash, a step-down, or because the trace ends there."""
    return bool(wait.end < wait.wait_until - TOLERANCE)


def _own(leases: pd.DataFrame) -> Iterator[tuple[Any, ...]]:
    for lease in leases.itertuples(index=False):
        yield "lease", lease.node, lease.node, lease.term, lease.start, lease.end, 0
        if lease.why != "open" and lease.expiry > lease.end + TOLERANCE:
            yield "honoured", lease.node, lease.node, lease.term, lease.end, lease.expiry, 0


def _promised(promises: pd.DataFrame) -> Iterator[tuple[Any, ...]]:
    rows: dict[int, list[tuple[int, float]]] = {}
    for promise in promises.sort_values("start", kind="stable").itertuples(index=False):
        taken = rows.setdefault(promise.node, [])
        row = _row_for(promise, taken)
        taken[row : row + 1] = [(promise.leader, promise.until)]
        yield "promise", promise.node, promise.leader, promise.term, promise.start, promise.until, row


def _row_for(promise: Any, taken: list[tuple[int, float]]) -> int:
    """The row of this leader if it is free, else a new one, else the row that has been free for longest."""
    free = [row for row, (_, until) in enumerate(taken) if until <= promise.start + TOLERANCE]
    of_this_leader = [row for row in free if taken[row][0] == promise.leader]
    if of_this_leader:
        return of_this_leader[0]
    if free and len(taken) >= OWN_ROWS:
        return min(free, key=lambda row: taken[row][1])
    return len(taken)


def _waits(waits: pd.DataFrame, trace_end: float) -> Iterator[tuple[Any, ...]]:
    for wait in waits.itertuples(index=False):
        still_waiting = wait.end >= trace_end - TOLERANCE
        end = wait.end if wait_is_cut(wait) and not still_waiting else wait.wait_until
        if end > wait.start + TOLERANCE:
            yield "wait", wait.node, wait.node, wait.term, wait.start, end, 0


def _doubled(leases: pd.DataFrame) -> Iterator[tuple[Any, ...]]:
    for pair in two_leases(leases).itertuples(index=False):
        yield "two leases", pair.node, pair.other, pair.term, pair.start, pair.end, 0
        yield "two leases", pair.other, pair.node, pair.other_term, pair.start, pair.end, 0


def fault_lanes(faults: pd.DataFrame) -> list[tuple[str, int, list[int], float, float]]:
    """Return kind, node, lost peers, start and end of each stretch of a lane that is shaded.

    A cut link has two ends, so both lanes are shaded; cuts of one node that begin and end together are one stretch.
    """
    found: dict[tuple[Any, ...], tuple[set[int], float, float]] = {}
    for fault in faults.itertuples(index=False):
        for node, peer in _ends(fault):
            key = (fault.kind, node, round(fault.start / TOGETHER), round(fault.end / TOGETHER))
            peers, start, end = found.get(key, (set(), fault.start, fault.end))
            found[key] = (peers | ({peer} if peer is not None else set()), min(start, fault.start), max(end, fault.end))
    return [(key[0], key[1], sorted(peers), start, end) for key, (peers, start, end) in found.items()]


def _ends(fault: Any) -> list[tuple[int, int | None]]:
    if fault.kind != "link" or pd.isna(fault.peer):
        return [(int(fault.node), None)]
    return [(int(fault.node), int(fault.peer)), (int(fault.peer), int(fault.node))]
