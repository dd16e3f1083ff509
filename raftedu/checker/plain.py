"""The outcomes once more, judged from a whole run and from nothing that is remembered: the referee of the incremental ones.

Slow and simple on purpose: after each step it looks at all that has happened since the beginning.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

from raftedu.checker.snapshot import Snapshot
from raftedu.core.types import Entry, Index, NodeId, Role, Term

__all__ = ["Moment", "audit", "broken"]


class Moment(NamedTuple):
    """A cluster after a step: ``acked`` is the highest index acknowledged by then, ``sees`` what a GET to each node would see."""

    nodes: tuple[Snapshot, ...]
    acked: Index = 0
    holders: tuple[NodeId, ...] = ()
    sees: tuple[Index, ...] = ()


def audit(run: Sequence[Moment]) -> tuple[int, list[str]] | None:
    """Return after which moment an outcome is first broken, counted from 0, and which ones; ``None`` if none is."""
    for last in range(len(run)):
        names = broken(run[: last + 1])
        if names:
            return last, names
    return None


def broken(run: Sequence[Moment]) -> list[str]:
    """Return which outcomes are broken in a run, by its last moment."""
    verdicts = {
        "Election Safety": _two_leaders(run),
        "Log Matching": any(_mismatch(a.log, b.log) for a, b in combinations(run[-1].nodes, 2)),
        "Leader Completeness": _incomplete(run),
        "State Machine Safety": _different_commits(run),
        "Lease Disjoint": len(run[-1].holders) > 1,
        "No Stale Read": any(0 <= sees < run[-1].acked for sees in run[-1].sees),
    }
    return [name for name, is_so in verdicts.items() if is_so]


def _two_leaders(run: Sequence[Moment]) -> bool:
    led = {(s.term, node) for moment in run for node, s in enumerate(moment.nodes) if s.role is Role.LEADER}
    return len(led) > len({term for term, _ in led})


def _mismatch(a: tuple[Entry, ...], b: tuple[Entry, ...]) -> bool:
    return any(a[i].term == b[i].term and a[: i + 1] != b[: i + 1] for i in range(min(len(a), len(b))))


def _commits(run: Sequence[Moment]) -> set[tuple[Index, Entry, Term]]:
    return {
        (i, entry, s.term) for moment in run for s in moment.nodes for i, entry in enumerate(s.log[: max(s.commit, s.applied)], 1)
    }  # fmt: skip


def _different_commits(run: Sequence[Moment]) -> bool:
    entries = {(i, entry) for i, entry, _ in _commits(run)}
    return len(entries) > len({i for i, _ in entries})


def _incomplete(run: Sequence[Moment]) -> bool:
    leaders = [s for s in run[-1].nodes if s.role is Role.LEADER]
    return any(term < s.term and s.log[i - 1 : i] != (entry,) for i, entry, term in _commits(run) for s in leaders)
