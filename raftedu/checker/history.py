"""Histories: what has been committed, who has led which term, what was acknowledged; and the outcomes that must never be.

The incremental half of the invariants: each judgement is remembered, by the numbers of what it looked at. `raftedu.checker.plain` judges
the same from whole runs and remembers nothing; the tests compare the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

from raftedu.checker.invariants import Broken
from raftedu.checker.snapshot import Snapshot
from raftedu.core.types import Entry, Index, Role, Term

__all__ = ["Histories", "History"]


class History(NamedTuple):
    """``committed[i]``: entry i + 1 and the lowest term in which it was committed; ``leaders``: (term, place).

    ``acked``: up to this index clients have been told SUCCESS.
    """

    committed: tuple[tuple[Entry, Term], ...] = ()
    leaders: tuple[tuple[Term, int], ...] = ()
    acked: Index = 0


class Histories:
    """All histories of one search, by number."""

    def __init__(self, snapshots: Sequence[Snapshot], n: int) -> None:
        self._snapshots, self._n = snapshots, n
        self.all: list[History] = []
        self._ids: dict[History, int] = {}
        self.first = self.id(History())
        self.public: list[int] = []  # for every snapshot: the number of what a history sees of it
        self.logs: list[int] = []  # for every snapshot: the number of its log
        self._public_ids: dict[tuple[object, ...], int] = {}
        self._log_ids: dict[tuple[Entry, ...], int] = {}
        self._after: dict[tuple[int, int, int, int], tuple[int, Broken | None]] = {}
        self._match: dict[tuple[int, ...], Broken | None] = {}
        self._complete: dict[tuple[int, int], Broken | None] = {}

    def id(self, history: History) -> int:
        """Return the number of this history."""
        known = self._ids.get(history)
        if known is None:
            known = self._ids[history] = len(self.all)
            self.all.append(history)
        return known

    def note(self, s: Snapshot) -> None:
        """Take a new snapshot into account; called for each of them, in order."""
        public = (s.term if s.role is Role.LEADER else 0, s.log[: max(s.commit, s.applied)])
        self.public.append(self._public_ids.setdefault(public, len(self._public_ids)))
        self.logs.append(self._log_ids.setdefault(s.log, len(self._log_ids)))

    def after(self, history: int, place: int, node: int, acked: Index) -> tuple[int, Broken | None]:
        """Return the history once the node at ``place`` has become ``node``, and an outcome that broke thereby."""
        key = (history, place, self.public[node], acked)
        known = self._after.get(key)
        if known is None:
            known = self._after[key] = self._judge(self.all[history], place, self._snapshots[node], acked)
        return known

    def _judge(self, h: History, place: int, s: Snapshot, acked: Index) -> tuple[int, Broken | None]:
        broken, committed, leaders = None, list(h.committed), h.leaders
        for i, entry in enumerate(s.log[: max(s.commit, s.applied)]):
            if i == len(committed):
                committed.append((entry, s.term))
            elif committed[i][0] != entry:
                broken = broken or _different(place + 1, i + 1, entry, committed[i][0])
            elif s.term < committed[i][1]:
                committed[i] = (entry, s.term)
        if s.role is Role.LEADER and (s.term, place) not in leaders:
            for term, other in leaders:
                if term == s.term:
                    first, second = sorted((other + 1, place + 1))
                    broken = Broken("Election Safety", f"nodes {first} and {second} both became leader of term {term}")
            leaders = tuple(sorted((*leaders, (s.term, place))))
        return self.id(History(tuple(committed), leaders, max(h.acked, acked))), broken

    def complete(self, history: int, place: int, node: int) -> Broken | None:
        """Judge Leader Completeness for this node."""
        key = (history, node)
        if key not in self._complete:
            self._complete[key] = _lacks(self.all[history], place + 1, self._snapshots[node])
        return self._complete[key]

    def match(self, nodes: tuple[int, ...]) -> Broken | None:
        """Judge Log Matching for all nodes."""
        logs = self.logs
        key = tuple([logs[node] for node in nodes])
        if key not in self._match:
            self._match[key] = self._first_mismatch([self._snapshots[node].log for node in nodes])
        return self._match[key]

    def _first_mismatch(self, logs: list[tuple[Entry, ...]]) -> Broken | None:
        for (one, mine), (other, theirs) in combinations(enumerate(logs, 1), 2):
            broken = _mismatch(one, mine, other, theirs)
            if broken is not None:
                return broken
        return None


def _different(node: int, index: Index, entry: Entry, other: Entry) -> Broken:
    words = f"node {node} committed {entry.words!r} of term {entry.term} at index {index}, where {other.words!r} of term {other.term} was"
    return Broken("State Machine Safety", f"{words} committed before")


def _lacks(h: History, node: int, s: Snapshot) -> Broken | None:
    if s.role is not Role.LEADER:
        return None
    for i, (entry, term) in enumerate(h.committed):
        if term < s.term and s.log[i : i + 1] != (entry,):
            lacks = f"lacks entry {i + 1} ({entry.words!r} of term {entry.term}), committed in term {term}"
            return Broken("Leader Completeness", f"node {node} leads term {s.term} and {lacks}")
    return None


def _mismatch(node: int, mine: tuple[Entry, ...], other: int, theirs: tuple[Entry, ...]) -> Broken | None:
    differ = False
    for i, (a, b) in enumerate(zip(mine, theirs, strict=False), 1):
        if a.term == b.term and (differ or a != b):
            at = f"both hold an entry of term {a.term} at index {i}"
            return Broken("Log Matching", f"nodes {node} and {other} {at}, and their logs up to it differ")
        differ = differ or a != b
    return None
