"""What happened to the lease, as spans: held, promised, waited for. Moments are told on the trace's clock.

Each function takes the rows of a walk and the trace's end, and returns dicts, one a row of the frame of its name.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from raftedu.trace.frames import why_lost
from raftedu.trace.spans import Spans
from raftedu.trace.walk import Row

__all__ = ["leases", "promises", "waits"]

Spanned = list[dict[str, Any]]

_HOW = {"lease_expired": "expired", "lease_given_up": "given up", "crashed": "crashed", "stopped": "stopped", "fault": "stopped"}


def leases(walk: Iterable[Row], end: float) -> Spanned:
    """Return the lease of each leader, renewals merged; it ends with its expiry at the latest, whoever notices it when."""
    spans = Spans()
    for row in walk:
        lease = spans.open.get(row.node)
        if row.event in ("lease_acquired", "lease_renewed"):
            _hold(spans, row, row.moment("expiry"))
        elif lease and (row.event in _HOW or why_lost(row) is not None):
            why = _HOW.get(row.event, "stepped down")
            spans.close(row.node, **_end(lease, row.time, why))
    for node, lease in list(spans.open.items()):
        spans.close(node, **_end(lease, end, "open"))
    return spans.done


def _hold(spans: Spans, row: Row, expiry: float) -> None:
    lease = spans.open.get(row.node)
    if lease is None or lease["term"] != row.term:
        spans.start(row.node, node=row.node, term=row.term, start=row.time, expiry=expiry, renewals=[])
    else:
        lease["renewals"].append(row.time)
        lease["expiry"] = expiry


def _end(lease: dict[str, Any], time: float, why: str) -> dict[str, Any]:
    if lease["expiry"] <= time:
        return {"end": max(lease["start"], lease["expiry"]), "why": "expired"}
    return {"end": time, "why": why}


def promises(walk: Iterable[Row]) -> Spanned:
    """Return what each follower promised to which leader. A crash takes nothing back: ``until`` stays what was promised."""
    spans = Spans()
    for row in walk:
        promise = spans.open.get(row.node)
        if row.event == "lease_promised":
            until, whom = row.moment("until"), (row.peer, row.term)
            if promise and (promise["leader"], promise["term"]) == whom and row.time <= promise["until"]:
                promise["until"] = max(promise["until"], until)
                continue
            spans.close(row.node)
            spans.start(row.node, node=row.node, leader=row.peer, term=row.term, start=row.time, until=until)
        elif row.event == "started" or row.ends:
            spans.close(row.node)
    return spans.finish()


def waits(walk: Iterable[Row], end: float) -> Spanned:
    """Return how long each new leader waited for the leases of older ones, and because of whom."""
    spans = Spans()
    for row in walk:
        if row.event == "lease_wait_started":
            until = row.moment("wait_until")
            facts = {"wait_until": until, "length": until - row.time, "because": row.facts["because"]}
            spans.start(row.node, node=row.node, term=row.term, start=row.time, **facts)
        elif row.event == "lease_wait_ended" or (row.node in spans.open and why_lost(row) is not None):
            spans.close(row.node, end=row.time)
    return spans.finish(end=end)
