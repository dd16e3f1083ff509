"""DSLabs' search tests (20 to 26) with the checker's steps: what can be reached, what cannot, and what holds all the way.

Places count from 0, as in `raftedu.checker.steps`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from raftedu.checker.model import State
from raftedu.checker.profiles import Profile
from raftedu.checker.search import Search
from raftedu.checker.snapshot import Snapshot
from raftedu.checker.steps import Append, Crash, Elect, Late, Step, Tick, Write
from raftedu.core.messages import AppendEntries, AppendReply
from raftedu.core.rules import RULES
from raftedu.core.types import SET, Role
from tests.harness import Flight, World
from tests.random_runs import RandomRun
from tests.scenarios.wrong import any_term


def nodes_of(search: Search, state: State) -> list[Snapshot]:
    return [search.system.snapshots[node] for node in state[0]]


def done(search: Search, state: State) -> list[str]:
    """Return the values of the clients' entries that are committed, in their order."""
    return [entry.value for entry, _ in search.system.histories.all[state[2]].committed if entry.op == SET]


def play(search: Search, *steps: Step) -> State:
    """Return the state after these steps; nothing may break on the way."""
    state = search.start
    for step in steps:
        state, obligation, outcome = search.apply(state, search.move(state, step))
        assert (obligation, outcome) == (None, None)
    return state


def within(places: set[int]) -> Callable[[Step], bool]:
    """Return which steps concern these nodes only."""

    def is_within(step: Step) -> bool:
        match step:
            case Elect(i, voters, _, _):
                return {i, *voters} <= places
            case Append(i, j, _):
                return {i, j} <= places
            case Write(i, _, _) | Crash(i):
                return i in places
            case Late() | Tick():
                return False

    return is_within


def everywhere(search: Search, start: State, allowed: Callable[[Step], bool], limit: int = 4_000) -> Iterator[State]:
    """Return every state that allowed steps lead to, nearest first; nothing may break on the way."""
    seen, front = {start}, [start]
    for state in front:
        yield state
        for move in search.moves.of(state):
            if allowed(move.step):
                after, obligation, outcome = search.apply(state, move)
                assert (obligation, outcome) == (None, None)
                if after not in seen and len(seen) < limit:
                    seen.add(after)
                    front.append(after)


@pytest.mark.parametrize("timed", [False, True], ids=["without timers", "with timers"])
def test_20_one_command_is_reached_then_both_and_nothing_breaks_on_the_way(timed):
    search = Search(Profile("basic", timed=timed, terms=2, entries=3, writes=2, batch=9), RULES)
    reached = {}
    while len(reached) < 2:
        for _ in search.go_deeper():
            pass
        assert not search.found and search.depth <= 5
        for state in search.came_from:
            reached.setdefault(len(done(search, state)), search.depth)
        reached.pop(0, None)
    assert reached == {1: 3, 2: 4}  # elect, write, (write,) append


def test_21_no_decision_in_a_minority():
    search = Search(Profile("minority", n=5, terms=2, entries=2, writes=1, batch=9), RULES, alike=False)
    states = list(everywhere(search, search.start, within({0, 1})))
    assert len(states) > 3
    assert all(node.commit == 0 and node.role is not Role.LEADER for state in states for node in nodes_of(search, state))
    with_a_third = everywhere(search, search.start, within({0, 1, 2}))
    assert any(done(search, state) for state in with_a_third)


@pytest.mark.parametrize("quorum", [{0, 2}, {1, 2}], ids=str)
def test_22_the_second_append_sees_the_first_through_either_other_quorum(quorum):
    search = Search(Profile("quorums", terms=3, entries=4, writes=2, batch=9), RULES, alike=False)
    first = play(search, Elect(0, (1,), 1, False), Write(0, 1, False), Append(0, 1, ""))
    assert done(search, first) == ["w1"]
    seen = set()
    for state in everywhere(search, first, within(quorum)):
        seen.add(tuple(done(search, state)))
        for node in nodes_of(search, state):
            if node.role is Role.LEADER:
                assert [entry.value for entry in node.log if entry.op == SET][:1] == ["w1"]
    assert seen == {("w1",), ("w1", "w2")}


TRAP = (  # (the first append to a log that differs is refused)
    Elect(0, (1, 2), 1, False), Append(0, 1, ""),  # an entry of term 1 on nodes 1 and 2 of five
    Elect(4, (2, 3), 2, False),  # another of term 2 on node 5
    Elect(0, (1, 2), 3, False), Append(0, 2, ""), Append(0, 2, ""), Append(0, 1, ""),  # the first entry is on a majority
    Elect(4, (2, 3), 4, False), Append(4, 2, ""), Append(4, 2, ""), Append(4, 3, ""), Append(4, 3, ""),
)  # fmt: skip


def test_23_five_nodes_several_leaders_and_two_quorums_that_meet_in_an_old_entry():
    search = Search(Profile("trap", n=5, terms=4, entries=3), RULES, alike=False)
    third = play(search, *TRAP[:7])
    assert [len(node.log) for node in nodes_of(search, third)] == [2, 2, 1, 0, 1]
    assert all(node.commit == 0 for node in nodes_of(search, third))
    end = play(search, *TRAP)
    assert [[entry.term for entry in node.log] for node in nodes_of(search, end)][2:4] == [[2], [2]]


def test_23_who_takes_the_old_entry_for_a_decision_falls_into_the_trap():
    search = Search(Profile("trap", n=5, terms=4, entries=3), RULES.but(leader_commit_index=any_term), alike=False)
    state, broken = search.start, []
    for step in TRAP:
        state, _, outcome = search.apply(state, search.move(state, step))
        broken += [outcome.name] if outcome else []
    assert "Leader Completeness" in broken


def test_24_a_log_has_no_holes_whatever_comes_early():
    w = World(3, batch_size=1)
    w.elect(1)
    w.run(1.5)
    w.held_links = {(1, 2)}
    w.set(1, "x", "1")
    w.settle()
    w.set(1, "y", "2")
    late = w.take(1, 2, AppendEntries)
    w.deliver(Flight(0, 1, 2, w.take(1, 3, AppendEntries).message, w.now))  # the second entry, before the first
    assert not w.take(2, 1, AppendReply).message.success
    assert w.terms(2) == [1] and w.state(2).last_applied <= 1
    w.deliver(late)
    assert w.terms(2) == [1, 1]
    w.heal()
    w.run(4.0)
    assert w.terms(2) == [1, 1, 1] and w.state(2).kv.data == {"x": "1", "y": "2"}
    assert [say.index for say in w.events("committed", 2)] == [1, 2, 3]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("nodes", [3, 5], ids=["25 three nodes", "26 five nodes"])
def test_25_26_a_random_walk_of_a_thousand_steps_breaks_nothing(nodes, seed):
    walk = RandomRun(seed, nodes)
    while len(walk.told) < 1000:
        walk.run(walk.now + 10.0)
    assert walk.events("committed")
    walk.invariants.finish(walk)
