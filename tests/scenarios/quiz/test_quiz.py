"""Questions 1 to 4 of the quiz of the Raft user study (Ongaro and Ousterhout), answered by running them; 5 to 7 are scripts.

The questions are re-drawn here: other logs, the same traps. Logs are lists of terms.
"""

from __future__ import annotations

from functools import cache

import pytest

from raftedu.checker.profiles import Profile
from raftedu.checker.search import Search
from raftedu.core.rules import RULES
from raftedu.core.types import Role
from tests.harness import World

# ---- 1: could this log, seen alone, be some node's log?

POSSIBLE = [[1, 1, 1, 1], [1, 2, 4], [2, 2, 5]]
IMPOSSIBLE = [(1, 2, 1), (2, 1), (3, 3, 2)]


@pytest.mark.parametrize("terms", POSSIBLE, ids=str)
def test_1_terms_may_stay_and_jump(terms):
    w = World(3, no_op_on_election=False, lease_policy="deferred-commit")
    for before, term in zip([0, *terms], terms, strict=False):
        if term != before:
            w.crash(1)
            w.restart(1)
            w.rise(1, term - 1)
            w.elect(1)
        w.set(1, "x", str(term))
        w.settle()
    assert w.terms(1) == terms


@cache
def reached() -> tuple[set[tuple[int, ...]], set[tuple[tuple[int, ...], tuple[int, ...]]]]:
    """Return all logs of nodes, and all pairs of a leader's log and another node's five steps far."""
    search = Search(Profile("quiz", terms=3, entries=3, writes=1, batch=9), RULES)
    while search.depth < 5:
        for _ in search.go_deeper():
            pass
    assert not search.found
    logs, pairs = set(), set()
    for state in search.came_from:
        nodes = [search.system.snapshots[node] for node in state[0]]
        terms = [tuple(entry.term for entry in node.log) for node in nodes]
        logs.update(terms)
        latest = max(node.term for node in nodes)
        leads = [i for i, node in enumerate(nodes) if node.role is Role.LEADER and node.term == latest]
        pairs.update((terms[i], terms[j]) for i in leads for j in range(len(nodes)) if i != j)
    return logs, pairs


def test_1_terms_never_fall_in_a_log():
    logs, _ = reached()
    assert len(logs) > 15
    assert all(list(log) == sorted(log) for log in logs)
    assert logs.isdisjoint(IMPOSSIBLE)


# ---- 2: which entries may be applied? Those that no leader who can still be elected will overwrite.

PICTURES = [
    # Entry 3 of term 2 is on a majority, and node 3, with a later last term, could still remove it.
    ({1: [1, 1, 2], 2: [1, 1], 3: [1, 1, 3], 4: [1, 1, 2], 5: [1, 1, 2]}, [1, 1]),
    # Without node 3's entry nobody can.
    ({1: [1, 1, 2], 2: [1, 1], 3: [1, 1], 4: [1, 1, 2], 5: [1, 1, 2]}, [1, 1, 2]),
]


def after(logs: dict[int, list[int]], candidate: int) -> list[int] | None:
    """Return the log of all once this node has been elected and has made them like itself; ``None`` if it cannot be."""
    w = World(5, logs=logs, no_op_on_election=False)
    w.rise(candidate, 3)
    w.elect(candidate)
    if w.leaders() != [candidate]:
        return None
    w.run(3.0)
    assert all(w.terms(i) == w.terms(candidate) for i in logs)
    return w.terms(candidate)


@pytest.mark.parametrize(("logs", "safe"), PICTURES, ids=["a later term is about", "nobody is ahead"])
def test_2_what_survives_every_leader_that_can_be_elected_may_be_applied(logs, safe):
    ends = [end for end in (after(logs, candidate) for candidate in logs) if end is not None]
    assert len(ends) >= 1
    common = [terms[0] for terms in zip(*ends, strict=False) if len(set(terms)) == 1]
    assert common == safe


# ---- 3: a new leader and a follower: could these two logs stand side by side?

SIDE_BY_SIDE = [
    ((1, 2, 3), (1, 1, 3), False, "one entry of a leader, two pasts"),
    ((1, 2, 3), (2, 2), False, "the same entry again, and it was second to another"),
    ((1, 3), (1, 2, 2), True, "the follower led term 2, cut off, and took a write"),
    ((1, 3), (1, 2, 1), False, "a leader of a later term cannot be followed by an earlier one"),
    ((2, 3), (1, 1), True, "the follower led term 1, and nobody else had its entries"),
]


@pytest.mark.parametrize(("leader", "follower", "possible", "why"), SIDE_BY_SIDE, ids=[row[3] for row in SIDE_BY_SIDE])
def test_3_what_a_follower_may_hold_beside_a_new_leader(leader, follower, possible, why):
    _, pairs = reached()
    assert ((leader, follower) in pairs) == possible


def test_3_two_logs_that_share_an_entry_share_what_precedes_it():
    _, pairs = reached()
    assert len(pairs) > 50
    for mine, theirs in pairs:
        same = [i for i, (a, b) in enumerate(zip(mine, theirs, strict=False), 1) if a == b]
        assert not same or mine[: same[-1]] == theirs[: same[-1]]


# ---- 4: nextIndex is corrupted


@pytest.mark.parametrize("wrong", range(1, 7))
@pytest.mark.parametrize("behind", [0, 2], ids=["a follower with all", "a follower that lacks two"])
def test_4_a_corrupted_next_index_costs_messages_and_nothing_else(wrong, behind):
    terms = [1, 1, 2, 2, 2]
    w = World(3, logs={1: terms, 2: terms[: 5 - behind], 3: terms}, no_op_on_election=False)
    w.elect(1)
    w.run(1.5)
    w.state(1).next_index[2] = wrong
    w.set(1, "x", "1")
    w.run(8.0)
    assert all(w.terms(i) == [*terms, 3] for i in (1, 2, 3))
    assert all(w.state(i).commit_index == 6 for i in (1, 2, 3))
    # It was sent again from where the index pointed, and what was there already was left alone (U20).
    assert w.events("entries_truncated", 2) == []
