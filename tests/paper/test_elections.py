"""The paper, §5.1, §5.2 and §5.4.1, a sentence a test."""

from __future__ import annotations

import pytest

from raftedu.core.config import Config
from raftedu.core.inputs import Receive, TimerFired
from raftedu.core.messages import AppendEntries, AppendReply, RequestVote, VoteReply, is_reply
from raftedu.core.node import Node
from raftedu.core.outputs import Send, SetTimer
from raftedu.core.types import Durable, HardState, Role
from tests.harness import Flight, World
from tests.random_runs import CALM, RandomRun


def hand(w: World, dst: int, message) -> list:
    """Let a message that the test made up arrive, and return what is sent back."""
    before = list(w.flights)
    w.deliver(Flight(0, message.sender, dst, message, w.now))
    return [f.message for f in w.flights if f not in before]


def heartbeat(term, sender, prev=(0, 0), commit=0, entries=()):
    return AppendEntries(term, sender, *prev, tuple(entries), commit, 1, 0.0, 8.0)


def make(role: Role, term: int = 2) -> World:
    """Return three nodes, node 1 in this role and term."""
    w = World(3, logs={i: [] for i in (1, 2, 3)}, no_op_on_election=False)
    if role == Role.FOLLOWER:
        hand(w, 1, heartbeat(term, 2))
    else:
        w.rise(1, term - 1)
        w.elect(1, by=[3] if role == Role.LEADER else [])
    w.drop()
    assert (w.role(1), w.state(1).term) == (role, term)
    return w


MESSAGES = {
    "RequestVote": lambda term: RequestVote(term, 2, 0, 0, 8.0),
    "VoteReply": lambda term: VoteReply(term, 2, False, 0.0),
    "AppendEntries": lambda term: heartbeat(term, 2),
    "AppendReply": lambda term: AppendReply(term, 2, False, 0, 1, 0),
}


# ---- §5.1


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("kind", MESSAGES)
def test_a_smaller_term_is_updated_to_the_larger_and_any_role_becomes_follower(role, kind):
    w = make(role)
    hand(w, 1, MESSAGES[kind](5))
    assert (w.role(1), w.state(1).term) == (Role.FOLLOWER, 5)


@pytest.mark.parametrize("role", Role)
def test_a_request_with_a_stale_term_is_rejected_with_the_current_one(role):
    w = make(role)
    (vote,) = hand(w, 1, MESSAGES["RequestVote"](1))
    (append,) = hand(w, 1, MESSAGES["AppendEntries"](1))
    assert vote == VoteReply(2, 1, False, vote.remaining)
    assert (append.term, append.success) == (2, False)
    assert (w.role(1), w.state(1).term) == (role, 2)


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("kind", ["VoteReply", "AppendReply"])
def test_a_reply_with_a_stale_term_changes_nothing(role, kind):
    w = make(role)
    before = (w.role(1), w.state(1).term, dict(w.state(1).match_index), w.state(1).lease_expiry)
    granted = VoteReply(1, 3, True, 0.0) if kind == "VoteReply" else AppendReply(1, 3, True, 7, 1, 0)
    hand(w, 1, granted)
    assert (w.role(1), w.state(1).term, dict(w.state(1).match_index), w.state(1).lease_expiry) == before


# ---- §5.2


def test_when_nodes_start_they_begin_as_followers():
    w = World(3)
    assert [w.role(i) for i in (1, 2, 3)] == [Role.FOLLOWER] * 3


def test_a_leader_sends_heartbeats_to_all_to_keep_its_authority():
    w = World(3)
    w.elect(1)
    w.cut(1, 2)
    for second in (1.0, 2.0, 3.0):
        w.held_links = {(1, 3)}
        w.run(second)
        beats = w.flying(1, 3, AppendEntries)
        assert [f.message.entries for f in beats] == [()]
        w.heal()
        w.cut(1, 2)
        w.settle()
    assert len(w.events("heartbeat_round", 1)) == 4


@pytest.mark.parametrize("role", [Role.FOLLOWER, Role.CANDIDATE])
def test_to_begin_an_election_a_node_takes_the_next_term_votes_for_itself_and_asks_all_others(role):
    w = make(role)
    w.campaign(1)
    s = w.state(1)
    assert (s.role, s.term, s.voted_for) == (Role.CANDIDATE, 3, 1)
    assert [(f.dst, f.message) for f in w.flights] == [(i, RequestVote(3, 1, 0, 0, 8.0)) for i in (2, 3)]


@pytest.mark.parametrize(
    ("nodes", "granting", "denying", "role"),
    [
        (1, [], [], Role.LEADER), (3, [2, 3], [], Role.LEADER), (3, [2], [], Role.LEADER), (5, [2, 3, 4, 5], [], Role.LEADER),
        (5, [2, 3, 4], [], Role.LEADER), (5, [2, 3], [], Role.LEADER), (3, [], [2, 3], Role.CANDIDATE),
        (5, [], [2, 3, 4, 5], Role.CANDIDATE), (5, [2], [3, 4, 5], Role.CANDIDATE), (3, [], [], Role.CANDIDATE),
        (5, [2], [], Role.CANDIDATE), (5, [], [], Role.CANDIDATE), (4, [2], [], Role.CANDIDATE), (4, [2, 3], [], Role.LEADER),
    ],
)  # fmt: skip
def test_a_candidate_wins_if_a_majority_of_the_whole_cluster_votes_for_it(nodes, granting, denying, role):
    w = World(nodes)
    w.campaign(1)
    w.drop()
    for voter in granting + denying:
        hand(w, 1, VoteReply(1, voter, voter in granting, 0.0))
    assert (w.role(1), w.state(1).term) == (role, 1)


def test_a_vote_counts_once_however_often_its_reply_arrives():
    w = World(5)
    w.campaign(1)
    for _ in range(3):
        hand(w, 1, VoteReply(1, 2, True, 0.0))
    assert w.role(1) == Role.CANDIDATE


@pytest.mark.parametrize(
    ("voted_for", "candidate", "granted"), [(None, 2, True), (None, 3, True), (2, 2, True), (3, 3, True), (2, 3, False), (3, 2, False)]
)
def test_each_node_votes_for_at_most_one_candidate_in_a_term_first_come_first_served(voted_for, candidate, granted):
    w = World(3)
    if voted_for:
        hand(w, 1, RequestVote(1, voted_for, 0, 0, 8.0))
    (reply,) = hand(w, 1, RequestVote(1, candidate, 0, 0, 8.0))
    assert reply.granted == granted


@pytest.mark.parametrize("term", [2, 3])
def test_a_candidate_recognizes_a_leader_whose_term_is_at_least_its_own(term):
    w = make(Role.CANDIDATE)
    (reply,) = hand(w, 1, heartbeat(term, 3))
    assert reply.success
    assert (w.role(1), w.state(1).term, w.state(1).leader) == (Role.FOLLOWER, term, 3)


def test_a_leader_never_follows_another_of_its_own_term():
    w = make(Role.LEADER)
    (reply,) = hand(w, 1, heartbeat(2, 3))
    assert not reply.success and w.role(1) == Role.LEADER


def test_a_candidate_that_neither_wins_nor_loses_starts_again_after_its_timeout():
    w = make(Role.CANDIDATE)
    w.run(30.0, elections=True)
    assert w.leaders() != [] and max(w.state(i).term for i in (1, 2, 3)) > 2


def timers(outputs, name="election"):
    return [o for o in outputs if isinstance(o, SetTimer) and o.timer == name]


def test_election_timeouts_are_drawn_anew_from_a_fixed_range():
    node = Node(1, Config.of(3))
    armed = timers(node.start(0.0))
    for _ in range(3):
        armed += timers(node.step(TimerFired("election", armed[-1].generation), 9.0))
    assert [(t.low, t.high) for t in armed] == [(5.0, 10.0)] * 4
    assert len({t.generation for t in armed}) == 4


def test_random_timeouts_make_split_votes_rare():
    runs = [RandomRun(seed, 5, faults=CALM, rate=1e-9) for seed in range(60)]
    for run in runs:
        run.run(10.5)
    assert all(run.leaders() for run in runs)
    assert sum(len(run.events("election_started")) > 1 for run in runs) <= 0.3 * len(runs)


def test_an_outdated_timer_does_nothing():
    node = Node(1, Config.of(3))
    (first,) = timers(node.start(0.0))
    node.step(Receive(heartbeat(1, 2)), 1.0)
    assert timers(node.step(TimerFired("election", first.generation), 9.0)) == []
    assert node.status(9.0).role == Role.FOLLOWER


@pytest.mark.parametrize(
    ("message", "resets"),
    [
        (heartbeat(1, 2), True),
        (heartbeat(1, 2, prev=(5, 1)), True),
        (RequestVote(1, 2, 0, 0, 8.0), True),
        (RequestVote(1, 2, 0, 0, 4.0), False),
        (VoteReply(1, 2, True, 0.0), False),
    ],
)
def test_only_the_current_leader_and_a_granted_vote_restart_the_election_timer(message, resets):
    node = Node(1, Config.of(3))
    node.start(0.0)
    assert bool(timers(node.step(Receive(message), 1.0))) == resets


def test_a_denied_candidate_and_an_outdated_leader_do_not_restart_the_election_timer():
    node = Node(1, Config.of(3), durable=Durable(HardState(3, 3, 0.0), (), True))
    node.start(0.0)
    for message in (RequestVote(3, 2, 9, 3, 8.0), RequestVote(2, 2, 9, 2, 8.0), heartbeat(2, 2)):
        assert timers(node.step(Receive(message), 1.0)) == []


def test_a_leader_has_no_election_timer_and_gets_one_when_it_steps_down():
    w = World(3)
    w.elect(1)
    assert "election" not in w.hosts[1].timers
    w.isolate(1)
    w.run(8.0)
    assert w.role(1) == Role.FOLLOWER and "election" in w.hosts[1].timers


# ---- §5.4.1

VOTER = [
    ([1], 1, 1, True), ([1], 1, 2, True), ([1, 1], 1, 1, False), ([1], 2, 1, True), ([1], 2, 2, True), ([1, 1], 2, 1, True),
    ([2], 1, 1, False), ([2], 1, 2, False), ([2, 2], 1, 1, False), ([1, 1], 1, 1, False),
]  # fmt: skip


@pytest.mark.parametrize(("log", "last_term", "last_index", "granted"), VOTER)
def test_a_voter_denies_its_vote_if_its_own_log_is_more_up_to_date(log, last_term, last_index, granted):
    w = World(3, logs={1: log})
    (reply,) = hand(w, 1, RequestVote(3, 2, last_index, last_term, 8.0))
    assert (reply.granted, reply.term) == (granted, 3)


def test_a_vote_request_tells_the_end_of_the_candidates_log():
    w = World(3, logs={1: [1, 1, 2]})
    w.campaign(1)
    assert w.take(1, 2, RequestVote).message == RequestVote(3, 1, 3, 2, 8.0)


# ---- R11 and strangers: not looked at, no term is disturbed


@pytest.mark.parametrize("role", Role)
def test_a_peer_with_another_lease_is_refused_before_its_term_is_looked_at(role):
    w = make(role)
    before = (w.state(1).term, w.role(1), w.state(1).voted_for, w.state(1).promise_until)
    (vote,) = hand(w, 1, RequestVote(9, 2, 9, 9, 4.0))
    (append,) = hand(w, 1, heartbeat(9, 2)._replace(lease=4.0))
    assert (vote.term, vote.granted, append.term, append.success) == (0, False, 0, False)
    assert "lease=4.0" in vote.refused and "lease=8.0" in append.refused
    assert (w.state(1).term, w.role(1), w.state(1).voted_for, w.state(1).promise_until) == before


@pytest.mark.parametrize("role", Role)
def test_a_stranger_is_refused_too(role):
    node = make(role).node(1)
    for message in (RequestVote(9, 7, 9, 9, 8.0), heartbeat(9, 7), VoteReply(9, 7, True, 0.0), AppendReply(9, 7, True, 9, 1, 0)):
        sent = [o.message for o in node.step(Receive(message), 0.5) if isinstance(o, Send)]
        assert ["7 is not a peer" in reply.refused for reply in sent] == [True] * (not is_reply(message))
    assert node.state.term == 2 and node.state.role == role


def test_the_refusal_is_told_on_the_other_side_and_changes_nothing_there():
    w = make(Role.LEADER)
    hand(w, 1, VoteReply(0, 2, False, 0.0, "another lease"))
    hand(w, 1, AppendReply(0, 2, False, 0, 1, 0, refused="another lease"))
    assert [say.facts["reason"] for say in w.events("rpc_failed", 1)] == ["another lease"] * 2
    assert w.role(1) == Role.LEADER


def test_node_zero_is_a_node_like_any_other():
    w = World([0, 1, 2])
    w.elect(0)
    assert w.leaders() == [0]
    assert w.get(1, "x").leader == 0
    w.crash(1)
    w.restart(1)
    assert w.state(1).voted_for == 0
    w.campaign(2)
    w.settle()
    assert w.state(1).voted_for == 2 and w.leaders() == [2]
