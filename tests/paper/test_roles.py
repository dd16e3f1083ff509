"""Elections, terms and outdated messages, after the names of etcd's raft_test.go that apply; a whole cluster each."""

from __future__ import annotations

import pytest

from raftedu.core.messages import AppendEntries, RequestVote
from raftedu.core.types import Entry, HardState, Role
from tests.harness import Flight, World


def hand(w: World, dst: int, message) -> list:
    """Let a message that the test made up arrive, and return what is sent back."""
    before = list(w.flights)
    w.deliver(Flight(0, message.sender, dst, message, w.now))
    return [f.message for f in w.flights if f not in before]


def test_leader_cycle():
    """Every node can lead in turn, each in a later term, with the same log."""
    w = World(3)
    for turn, candidate in enumerate((1, 2, 3, 1), 1):
        w.elect(candidate)
        assert w.leaders() == [candidate]
        assert [w.state(i).term for i in (1, 2, 3)] == [turn] * 3
    assert len({tuple(w.terms(i)) for i in (1, 2, 3)}) == 1


def test_leader_election_overwrites_newer_logs():
    """An entry of a later term that no majority holds gives way: 1 and 2 have one of term 1, 3 one of term 2, which 4 and 5 voted in."""
    w = World(5, logs={1: [1], 2: [1], 3: [2]}, start=False)
    for i, host in w.hosts.items():
        host.hard = HardState(1 if i < 3 else 2, None if i < 3 else 3, 0.0)
        host.ran_before = True
        w.restart(i)
    w.elect(1)
    assert w.role(1) == Role.CANDIDATE and w.state(1).term == 2  # they have voted in term 2, and tell it so
    w.elect(1)
    w.run(9.0)
    assert w.leaders() == [1] and w.state(1).term == 3
    assert [w.terms(i) for i in range(1, 6)] == [[1, 3]] * 5


@pytest.mark.parametrize("role", Role)
def test_vote_from_any_state(role):
    """Whatever a node is, it votes for a candidate of a later term and becomes its follower."""
    w = World(3)
    if role != Role.FOLLOWER:
        w.elect(1, by=[3] if role == Role.LEADER else [])
    assert w.role(1) == role
    w.drop()
    (vote,) = hand(w, 1, RequestVote(9, 2, 1, 9, 8.0))
    assert vote.granted and vote.term == 9
    assert (w.role(1), w.state(1).term, w.state(1).voted_for) == (Role.FOLLOWER, 9, 2)


def test_duelling_candidates():
    """Two campaign at once, who cannot hear each other: one wins, and the other cannot with its shorter log, even when all can hear."""
    w = World(3)
    w.cut(1, 3)
    w.campaign(1)
    w.campaign(3)
    w.settle()
    assert (w.role(1), w.role(3)) == (Role.LEADER, Role.CANDIDATE)
    w.heal()
    w.elect(3)  # its later term ends the leadership of 1; nobody grants it a vote
    assert w.leaders() == []
    assert [w.state(i).term for i in (1, 2, 3)] == [2, 2, 2]
    assert [w.terms(i) for i in (1, 2, 3)] == [[1], [1], []]


def test_candidate_concede():
    """A candidate that hears of a leader of its term follows it and gets its log."""
    w = World(3)
    w.isolate(1)
    w.campaign(1)
    w.elect(3)
    w.heal()
    assert (w.role(1), w.role(3)) == (Role.CANDIDATE, Role.LEADER)
    w.set(3, "x", "1")
    w.run(3.0)
    assert w.role(1) == Role.FOLLOWER and w.state(1).term == 1
    assert all(w.state(i).kv.data == {"x": "1"} for i in (1, 2, 3))


def test_old_messages():
    """An AppendEntries of an earlier term of a node that leads again changes nothing."""
    w = World(3)
    w.elect(1)
    w.elect(2)
    w.elect(1)
    w.run(10.0)
    before = w.terms(3)
    (reply,) = hand(w, 3, AppendEntries(2, 2, 1, 1, (Entry(2, "SET", "x", "old"),), 9, 1, 0.0, 8.0))
    assert not reply.success and reply.term == 3
    assert w.terms(3) == before == w.terms(1) and w.state(3).commit_index < 9
    w.set(1, "x", "new")
    w.run(12.0)
    assert all(w.state(i).kv.data == {"x": "new"} for i in (1, 2, 3))


@pytest.mark.parametrize("no_op", [False, True])
def test_cannot_commit_without_new_term_entry(no_op):
    """Entries of the term before, now on all nodes, are not committed until one of the new term is."""
    w = World(5, no_op_on_election=no_op, lease_policy="deferred-commit")
    w.elect(1)
    w.run(1.5)
    for i in (3, 4, 5):
        w.cut(1, i)
    w.set(1, "x", "1")
    w.set(1, "x", "2")
    w.settle()
    old = w.state(1).commit_index
    w.heal()
    w.cut(1, 2)
    for i in (3, 4, 5):
        w.cut(1, i)
    w.elect(2)
    w.run(12.0)
    assert w.leaders() == [2] and w.terms(3) == w.terms(2)
    assert (w.state(2).commit_index > old) == no_op
    w.set(2, "y", "3")
    w.run(14.0)
    assert w.state(2).commit_index == w.state(2).log.last_index
    assert w.state(2).kv.data == {"x": "2", "y": "3"}


def test_disruptive_follower():
    """A node that campaigned alone comes back with a later term; the leader learns of it from a reply and gives up."""
    w = World(3)
    w.elect(1)
    w.run(1.5)
    w.isolate(3)
    w.campaign(3)
    w.campaign(3)
    w.heal()
    assert w.role(1) == Role.LEADER
    w.run(3.0)
    assert w.role(1) == Role.FOLLOWER and w.state(1).term == w.state(3).term == 3
    assert [say.facts["why"] for say in w.events("stepped_down", 1)] != []


def test_leader_stepdown_when_quorum_active():
    """A leader that a majority answers stays for as long as it does."""
    w = World(3)
    w.elect(1)
    w.isolate(3)
    w.run(60.0)
    assert w.role(1) == Role.LEADER and w.state(1).term == 1


def test_leader_stepdown_when_quorum_lost():
    """A leader that no majority answers steps down when its lease ends, without anybody telling it."""
    w = World(3)
    w.elect(1)
    w.run(2.5)
    w.isolate(1)
    w.run(9.9)
    assert w.role(1) == Role.LEADER
    w.run(10.1)
    assert w.role(1) == Role.FOLLOWER and w.state(1).term == 1


def test_leader_superseding():
    """Voters grant at any time, even while they follow a leader that is well; it is the new leader that waits for the old lease."""
    w = World(3)
    w.elect(1)
    w.run(2.5)
    w.isolate(1)
    w.elect(3)
    assert w.role(3) == Role.LEADER and w.holders() == [1]
    assert w.state(3).wait_until > w.now + 7.0
    w.run(w.state(3).wait_until + 1.5)
    assert w.holders() == [3]


def test_free_stuck_candidate():
    """A candidate whose term is ahead and whose log is behind is freed: the leader hears its term, and a later one leads it."""
    w = World(3)
    w.elect(1)
    w.run(1.5)
    w.isolate(3)
    w.set(1, "x", "1")
    w.settle()
    for _ in range(3):
        w.campaign(3)
    w.heal()
    w.elect(3)
    assert w.leaders() == []  # its log is behind: nobody votes for it
    w.elect(1)
    w.run(20.0)
    assert w.leaders() == [1] and w.state(3).term == w.state(1).term
    assert w.state(3).kv.data == {"x": "1"}
