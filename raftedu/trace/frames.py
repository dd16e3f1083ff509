"""What happened, as spans: who led, which roles, elections, commits, faults and requests. Leases are in `raftedu.trace.leases`.

Each function takes the rows of a walk and the trace's end, and returns dicts, one a row of the frame of its name.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from raftedu.trace.spans import Spans
from raftedu.trace.walk import ENDS, Row

__all__ = ["commits", "elections", "faults", "leaders", "requests", "roles", "why_lost"]

Spanned = list[dict[str, Any]]

_INPUTS = ("received", "timer_fired", "client_request", "persisted")
"""Each of these lines begins what a node does about one input."""


def why_lost(row: Row) -> str | None:
    """Return why a leader leads no longer after this event, ``None`` if it still does."""
    if row.ends:
        return row.ends
    if row.event == "stepped_down" or (row.event == "role_changed" and row.facts.get("old") == "leader"):
        return str(row.facts.get("why", ""))
    return None


def leaders(walk: Iterable[Row], end: float) -> Spanned:
    """Return who led in which term, from its election on."""
    spans = Spans()
    for row in walk:
        if row.event == "leader_elected":
            spans.start(row.node, node=row.node, term=row.term, start=row.time, wait_until=row.moment("wait_until"))
        elif row.node in spans.open and (why := why_lost(row)) is not None:
            spans.close(row.node, end=row.time, why=why)
    return spans.finish(end=end, why="open")


def elections(walk: Iterable[Row], end: float) -> Spanned:
    """Return every candidacy and its outcome; a lost or open one has the votes that voters say they granted."""
    spans, granted = Spans(), dict[tuple[int, int], list[int]]()
    for row in walk:
        match row.event:
            case "election_started":
                spans.close(row.node, end=row.time, outcome="lost")
                spans.start(row.node, term=row.facts.get("for_term", row.term), candidate=row.node, start=row.time, votes=None)
            case "vote_granted" if row.peer is not None:
                granted.setdefault((row.facts.get("for_term", row.term), row.peer), []).append(row.node)
            case "leader_elected":
                spans.close(row.node, end=row.time, outcome="won", votes=_each_once(vote[0] for vote in row.facts["votes"]))
            case "role_changed" if row.facts.get("old") == "candidate" and row.facts.get("new") != "leader":
                spans.close(row.node, end=row.time, outcome="lost")
            case event if event in ENDS:
                spans.close(row.node, end=row.time, outcome="lost")
    found = spans.finish(end=end, outcome="open")
    for span in found:
        if span["votes"] is None:
            span["votes"] = _each_once([span["candidate"], *granted.get((span["term"], span["candidate"]), [])])
    return found


def _each_once(voters: Iterable[int]) -> list[int]:
    return list(dict.fromkeys(voters))


def commits(walk: Iterable[Row]) -> Spanned:
    """Return which node called which entry committed, when; ``term`` is the node's at that time."""
    return [
        {"index": row.index, "term": row.term, "op": row.facts["op"], "node": row.node, "time": row.time, "by": row.facts["by"]}
        for row in walk
        if row.event == "committed"
    ]


def roles(rows: pd.DataFrame, walk: Iterable[Row], end: float) -> Spanned:
    """Return what each node was, a span for each role and term; what lasted no time at all is left out."""
    lives = [(row.time, row.node, row.ends, row.term, row.role) for row in walk if row.ends or row.event == "started"]
    kept = rows[~rows["event"].isin({"started", *ENDS})]
    by_node = kept.groupby("node")
    changed = (kept["role"] != by_node["role"].shift()) | (kept["term"] != by_node["term"].shift())
    number = kept["event"].isin(_INPUTS).groupby(kept["node"]).cumsum()
    steps = [(row.time, row.node, None, row.term, row.role, n) for row, n in zip(kept[changed].itertuples(), number[changed], strict=True)]
    return _role_spans(_in_order(lives, steps), end)


def _in_order(lives: list[Any], steps: list[Any]) -> list[Any]:
    """Return both, by time; at one instant a node's life begins or ends before it changes its role."""
    return sorted([*((*life, None) for life in lives), *steps], key=lambda item: (item[0], item[5] is not None))


def _role_spans(steps: list[Any], end: float) -> Spanned:
    spans, dead = Spans(), set[int]()
    for time, node, ended, term, role, number in steps:
        if number is None:
            (dead.add if ended else dead.discard)(node)
        elif node in dead:
            continue
        _turn(spans, time, node, ended or role, term, number)
    return [span for span in spans.finish(end=end) if span["end"] > span["start"] or span["start"] == end]


def _turn(spans: Spans, time: float, node: int, role: str, term: int, number: int | None) -> None:
    now = spans.open.get(node)
    if now is not None and (now["role"], now["term"]) == (role, term):
        return
    if now is not None and number is not None and now["number"] == number and now["role"] != "leader":
        # Still the same input: a new role and a new term are two lines, what lies between them never was.
        now |= {"role": role, "term": term}
        return
    spans.close(node, end=time)
    spans.start(node, node=node, role=role, term=term, start=time, number=number)


def faults(walk: Iterable[Row], end: float) -> Spanned:
    """Return the faults that were injected or met: crashed, link, paused, clock, fault."""
    spans = Spans()

    def begin(row: Row, kind: str, peer: int | None = None) -> None:
        spans.start((kind, row.node, peer), kind=kind, node=row.node, peer=peer, start=row.time)

    for row in walk:
        match row.event:
            case "started":
                spans.close(("crashed", row.node, None), end=row.time)
                spans.close(("fault", row.node, None), end=row.time)
            case "crashed" | "stopped" | "fault":
                spans.close(("paused", row.node, None), end=row.time)
                if row.event != "stopped":
                    begin(row, row.event)
            case "paused":
                begin(row, "paused")
            case "resumed":
                spans.close(("paused", row.node, None), end=row.time)
            case "link_cut" if ("link", row.node, row.peer) not in spans.open:
                begin(row, "link", row.peer)
            case "link_healed":
                spans.close(("link", row.node, row.peer), end=row.time)
            case "clock_changed":
                spans.close(("clock", row.node, None), end=row.time)
                if row.facts.get("rate", 1.0) != 1.0 or row.facts.get("offset", 0.0):
                    begin(row, "clock")
    return spans.finish(end=end)


def requests(walk: Iterable[Row], end: float) -> Spanned:
    """Return what clients asked of each node; the outcome of what a crash cut short is unknown, of what goes on, open."""
    spans = Spans()
    for row in walk:
        match row.event:
            case "client_request":
                _ask(spans, row)
            case "client_reply":
                if (row.node, row.facts["op_id"]) not in spans.open:
                    _ask(spans, row)
                value = {"value": row.facts["value"]} if row.facts["op"] == "GET" else {}
                spans.close((row.node, row.facts["op_id"]), end=row.time, outcome=row.facts["outcome"], index=row.index, **value)
            case event if event in ENDS:
                for key in [key for key in spans.open if key[0] == row.node]:  # type: ignore[index]
                    spans.close(key, end=row.time, outcome="unknown")
    return spans.finish(end=end, outcome="open")


def _ask(spans: Spans, row: Row) -> None:
    asked = {name: row.facts[name] for name in ("op_id", "client", "request", "op", "key", "value")}
    spans.start((row.node, asked["op_id"]), **asked, start=row.time, node=row.node, index=None)
