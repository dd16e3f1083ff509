"""Traces told by hand: the frames that a picture draws, filled in without a run, so that a test knows each value.

`Told` answers the methods of `raftedu.trace.Trace` that the pictures call. It can tell what no correct run would
show (two valid leases), and long stories in a few lines.
"""

from __future__ import annotations

import random
from typing import Any

import pandas as pd

COLUMNS = {
    "leaders": ["node", "term", "start", "end", "wait_until", "why"],
    "leases": ["node", "term", "start", "end", "expiry", "renewals", "why"],
    "promises": ["node", "leader", "term", "start", "until"],
    "waits": ["node", "term", "start", "end", "wait_until", "length", "because"],
    "elections": ["term", "candidate", "start", "end", "votes", "outcome"],
    "commits": ["index", "term", "op", "node", "time", "by"],
    "roles": ["node", "role", "term", "start", "end"],
    "faults": ["kind", "node", "peer", "start", "end"],
    "requests": ["op_id", "client", "request", "op", "key", "value", "start", "end", "outcome", "node", "index"],
}
TYPES = {"node": "int64", "term": "int64", "start": "float64", "end": "float64", "peer": "Int64", "length": "float64"}


class Told:
    """A trace made of rows that a test adds."""

    def __init__(self, nodes: int = 5, end: float = 30.0, clock: str = "time") -> None:
        self.nodes = list(range(1, nodes + 1))
        self.start, self.end, self.clock = 0.0, end, clock
        self.rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in COLUMNS}
        self.frame = pd.DataFrame({"time": [0.0] * nodes, "event": ["started"] * nodes})
        self._promised: dict[int, tuple[int, float]] = {}
        self._role = dict.fromkeys(self.nodes, (0.0, "follower", 0))
        self._index = 0

    def add(self, frame: str, *row: Any) -> Told:
        self.rows[frame].append(row)
        return self

    def __getattr__(self, name: str) -> Any:
        if name not in COLUMNS:
            raise AttributeError(name)
        frame = pd.DataFrame(self.rows[name], columns=COLUMNS[name])
        return lambda: frame.astype({column: kind for column, kind in TYPES.items() if column in frame})

    def role(self, time: float, node: int, role: str, term: int) -> None:
        """From `time` on `node` is this; what it was until then becomes a row."""
        since, was, in_term = self._role[node]
        if time > since:
            self.add("roles", node, was, in_term, since, time)
        self._role[node] = (time, role, term)

    def campaign(self, time: float, node: int, term: int, *, until: float, outcome: str = "lost") -> None:
        self.add("elections", term, node, time, until, [node], outcome)
        self.role(time, node, "candidate", term)
        if outcome == "lost":
            self.role(until, node, "follower", term)

    def reign(
        self, node: int, term: int, campaign: float, end: float, why: str = "crashed", *, lease: float = 8.0, beat: float = 1.0,
        acks: list[int] | None = None, acked_until: float | None = None, wait: bool = True,
        slow: tuple[int, ...] = (),
    ) -> None:  # fmt: skip
        """A leader from its campaign to its end: it waits, holds its lease, renews it, commits an entry a second."""
        elected = campaign + 0.05
        followers = [n for n in self.nodes if n != node] if acks is None else acks
        self.campaign(campaign, node, term, until=elected, outcome="won")
        self.role(elected, node, "leader", term)
        voters = [*followers, node][: len(self.nodes) // 2 + 1] if followers else [node]
        owed = [[v, max(0.0, self._promised.get(v, (0, 0.0))[1] - elected)] for v in {*voters, node}]
        wait_until = elected + (max(left for _, left in owed) if wait else 0.0)
        self.add("leaders", node, term, elected, end, wait_until, why)
        if wait_until > elected:
            self.add("waits", node, term, elected, min(wait_until, end), wait_until, wait_until - elected, owed)
        beats = [elected + k * beat for k in range(int((min(end, acked_until or end) - elected) / beat) + 1)]
        self._promise(node, term, followers, beats, lease, beat, slow)
        self._hold(node, term, max(wait_until, elected + 0.02), end, why, beats, lease)
        after = {"crashed": "crashed", "stopped": "stopped", "open": "leader"}.get(why, "follower")
        self.role(end, node, after, term)
        if why == "crashed":
            self.add("faults", "crashed", node, None, end, self.end)

    def _promise(
        self, leader: int, term: int, followers: list[int], beats: list[float], lease: float, beat: float, slow: tuple[int, ...]
    ) -> None:
        for node in followers:
            until = beats[-1] + lease + 0.01 - (beat * 0.8 if slow and node not in slow else 0)
            self.add("promises", node, leader, term, beats[0] + 0.01, until)
            self._promised[node] = (leader, until)

    def _hold(self, node: int, term: int, start: float, end: float, why: str, beats: list[float], lease: float) -> None:
        expiry = beats[-1] + lease
        last = min(end, expiry)
        if start >= last:
            return
        renewals = [b + 0.02 for b in beats if start < b + 0.02 < last]
        self.add("leases", node, term, start, last, expiry, renewals, why)
        time = start
        while time < last:
            self._index += 1
            for n in self.nodes:
                self.add(
                    "commits", self._index, term, "SET x 1", n, time + (0.0 if n == node else 0.4), "leader" if n == node else "follower"
                )
            time += 1.0

    def done(self) -> Told:
        """Close the roles at the trace's end."""
        for node in self.nodes:
            self.role(self.end, node, "", 0)
        return self


def handover() -> Told:
    told = Told(end=30.0)
    told.reign(2, 1, 6.3, 14.0, slow=(3,))
    told.reign(4, 2, 18.8, 30.0, "open", acks=[1, 3, 5])
    return told.done()


def quiet() -> Told:
    told = Told(end=20.0)
    told.reign(3, 1, 5.4, 20.0, "open")
    return told.done()


def split_vote() -> Told:
    told = Told(end=40.0)
    told.campaign(6.0, 1, 1, until=12.2)
    told.campaign(6.05, 5, 1, until=12.2)
    told.campaign(12.4, 2, 2, until=18.0)
    told.campaign(12.5, 3, 2, until=18.0)
    told.reign(5, 3, 19.1, 40.0, "open")
    return told.done()


def two_at_once() -> Told:
    """A wrong rule: the new leader does not wait."""
    told = Told(end=30.0)
    told.reign(2, 1, 5.0, 20.5, "expired", acked_until=12.0)
    told.reign(4, 2, 18.0, 30.0, "open", acks=[1, 3, 5], wait=False)
    for peer in (1, 3, 4, 5):
        told.add("faults", "link", 2, peer, 12.6, 26.0)
    return told.done()


def many_elections(nodes: int = 7, reigns: int = 14, seed: int = 3) -> Told:
    draw = random.Random(seed)
    told, time, whys = Told(nodes, end=1.0), 5.0, ["stepped down", "expired", "crashed", "given up"]
    leader = 1
    for term in range(1, reigns + 1):
        leader = draw.choice([n for n in told.nodes if n != leader])
        length = draw.uniform(5, 15)
        told.end = time + length
        why = "open" if term == reigns else draw.choice(whys)
        told.reign(leader, term, time, time + length, why, acks=[n for n in told.nodes if n != leader])
        if why == "crashed":
            told.rows["faults"][-1] = ("crashed", leader, None, time + length, time + length + 6)
            told.role(time + length + 6, leader, "follower", term)
        time += length + draw.uniform(3, 8) if why != "open" else length
    return told.done()


def one_node() -> Told:
    told = Told(1, end=12.0)
    told.reign(1, 1, 5.5, 12.0, "open", acks=[])
    return told.done()


def empty() -> Told:
    return Told(0, end=0.0)


def three_nodes() -> Told:
    """Three leaders in a row, with long leases; the second one falls while it waits."""
    story = Told(3, end=60.0)
    story.reign(1, 1, 5.0, 15.0)
    story.reign(2, 2, 20.0, 21.0, "stepped down", acks=[3])
    story.reign(3, 3, 26.0, 60.0, "open", acks=[2])
    return story.done()
