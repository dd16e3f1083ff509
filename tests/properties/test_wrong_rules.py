"""The invariants can fail: real mistakes are caught, most by random runs, the rare ones by a schedule of their own."""

from __future__ import annotations

import pytest

from raftedu.core import replication, rules
from raftedu.core.messages import AppendEntries, RequestVote, VoteReply
from raftedu.core.types import Role
from raftedu.core.views import Campaign
from tests.harness import Flight, World, require
from tests.points.undone import patched, point, undone
from tests.properties.wrong_rules import WRONG
from tests.random_runs import caught


@pytest.mark.parametrize("name", WRONG)
def test_random_runs_catch(name):
    assert caught(WRONG[name], range(30), seconds=100) is not None


# ---- elections


@point(undone("EL-01 no look at the vote", grant_vote=lambda view: view.candidate_log_is_up_to_date))
def test_two_candidates_of_one_term(rules):
    w = World(3, rules=rules)
    w.campaign(2)
    w.campaign(3)
    w.cut(2, 3)
    w.settle()  # both ask node 1
    require(w.leaders() == [2], "the first one gets its vote")


@point(
    undone(
        "EL-09 half is a majority", wins_election=lambda view: len({b.voter for b in view.ballots if b.granted}) >= view.cluster_size / 2
    )
)
def test_two_halves_of_four(rules):
    w = World(4, rules=rules)
    w.isolate(1, 2)
    w.campaign(1)
    w.campaign(3)
    w.settle()
    require(w.leaders() == [], "two of four are no majority")


def counted_twice(view):
    return sum(b.granted and b.term == view.term for b in view.ballots) >= view.majority


@point(undone("EL-07 one voter counts twice", wins_election=counted_twice))
def test_a_grant_that_arrives_twice(rules):
    w = World(5, rules=rules)
    w.campaign(1)
    w.deliver(w.take(1, 2, RequestVote))
    again = w.copy(w.take(2, 1, VoteReply))
    w.deliver(w.take(2, 1, VoteReply))
    w.deliver(again)
    w.drop()
    w.elect(3, by=[4, 5])
    require(w.leaders() == [3], "node 3 alone has a majority in term 1")


@point(undone("EL-12 no vote for itself", start_election=lambda view: Campaign(view.term + 1, None)))
def test_a_candidate_is_asked_for_its_vote(rules):
    w = World(3, rules=rules)
    w.campaign(1)
    w.campaign(3)
    for asked, candidate in ((1, 3), (2, 1)):
        w.deliver(w.take(candidate, asked, RequestVote))
        w.deliver(w.take(asked, candidate, VoteReply))
    require(w.leaders() == [1], "node 3 has only its own vote")


@point(undone("UP-01 the longer log wins", log_is_up_to_date=lambda view: view.candidate_last_index >= view.last_log_index))
def test_a_long_log_of_an_old_term(rules):
    w = World(3, rules=rules, logs={1: [1], 2: [1], 3: [1, 1, 1]})
    w.elect(1, by=[2])
    w.isolate(3)
    w.run(1.0)  # entry 2, of term 2, is committed on nodes 1 and 2
    w.crash(1)
    w.rise(3, 2)
    w.heal()
    w.elect(3, by=[2])
    w.run(20.0)
    require(w.leaders() == [], "node 3 is refused")


# ---- disks


@point(
    undone(
        "PE-01 the vote is told before it is written",
        must_persist_first=lambda view: view.message != "VoteReply" and view.message != "AppendEntries",
    )
)
def test_a_vote_is_written_before_it_is_told(rules):
    w = World(3, rules=rules, no_op_on_election=False)
    w.cut(2, 3)
    w.hold_disk(1)
    w.campaign(2)
    w.settle()
    w.crash(1)
    w.hosts[1].disk_held = False
    w.restart(1)
    w.campaign(3)
    w.settle()
    require(3 in w.leaders(), "node 1 has one vote in term 1, and gives it")


@point(undone("PE-05 entries are acknowledged before they are written", must_persist_first=lambda view: view.message == "VoteReply"))
def test_entries_are_written_before_they_are_acknowledged(rules):
    w = World(3, rules=rules)
    w.elect(1)
    w.run(0.5)
    w.hold_disk(2)
    w.cut(1, 3)
    op = w.set(1, "x", "1")
    w.settle()
    w.crash(1)
    w.crash(2)
    w.hosts[2].disk_held = False
    w.restart(2)
    w.elect(3, by=[2])
    require(w.leaders() == [3] and op not in w.answers, "nothing was promised to the client")


try_commit = replication.try_commit


def counts_what_it_has_not_written(s, now):
    saved, s.saved_index = s.saved_index, s.log.last_index
    try_commit(s, now)
    s.saved_index = min(saved, s.log.last_index)


@point(patched("PE-06 a leader counts its own unwritten entries", ("replication.try_commit", counts_what_it_has_not_written)))
def test_a_leader_counts_its_own_copy_when_it_is_written(rules):
    w = World(3, rules=rules)
    w.elect(1)
    w.run(0.5)
    w.hold_disk(1)
    w.cut(1, 3)
    op = w.set(1, "x", "1")
    w.settle()
    require(op not in w.answers, "one written copy is no majority")
    w.release_disk(1)
    require(w.answers[op].outcome == "success", "two are")


# ---- replication


@point(undone("TM-04 an old leader is followed", follows_leader=lambda view: view.role != Role.LEADER))
def test_entries_of_a_deposed_leader(rules):
    w = World(3, rules=rules)
    w.elect(1)
    w.set(1, "x", "late")
    late = w.copy(w.take(1, 3, AppendEntries))
    w.drop()
    w.crash(1)
    w.elect(2, by=[3])
    w.run(12.0)
    require(w.state(3).commit_index == 2, "the entry of term 2 is committed")
    w.deliver(late)
    require(w.terms(3) == [1, 2], "and stays")


@point(undone("AE-02 some entry there is enough", accepts_append=lambda view: view.term_at_prev is not None))
def test_an_entry_of_another_term_before_the_new_ones(rules):
    w = World(3, rules=rules, logs={1: [1, 1], 2: [1, 2], 3: [1, 2]})
    w.elect(2, by=[3])
    w.run(1.0)
    require(w.terms(1) == w.terms(2) == [1, 2, 3], "the logs are the same")


@point(undone("AE-09 the end of its own log", acknowledged_index=lambda view: view.last_log_index if view.accepted else None))
def test_a_heartbeat_says_nothing_of_what_lies_beyond(rules):
    w = World(3, rules=rules, logs={1: [1], 2: [1], 3: [1, 1, 1]}, no_op_on_election=False)
    w.elect(2, by=[1])
    w.isolate(1)
    w.settle()
    w.set(2, "x", "1")
    w.run(1.5)
    w.crash(2)
    w.heal()
    w.elect(3, by=[1])


def keeps_old_matches(view):
    new = rules.become_leader(view)
    return new._replace(match_index={**new.match_index, **view.match_index})


@point(undone("RP-01 what it knew of them in an older term", become_leader=keeps_old_matches))
def test_a_new_leader_knows_nothing_of_its_followers(rules):
    w = World(5, rules=rules, no_op_on_election=False, lease_policy="deferred-commit")
    w.elect(1)
    w.isolate(1, 2)
    w.set(1, "a", "1")
    w.set(1, "b", "1")
    w.settle()  # node 2 holds both, and node 1 knows it
    w.isolate(1)
    w.heal()
    w.isolate(1)
    w.elect(3, by=[4, 5])
    w.set(3, "c", "1")
    w.settle()
    w.heal()
    w.run(1.0)  # one entry of term 2 stands everywhere; those of term 1 are gone
    require(w.terms(1) == w.terms(2) == [2], "the logs are the same")
    w.elect(1, by=[2, 4])
    w.drop()
    w.heal()
    w.isolate(1, 4)
    op = w.set(1, "d", "1")
    w.run(10.0)  # node 4 holds it; node 2 does not
    w.crash(1)
    w.heal()
    w.elect(2, by=[3, 5])
    require(op not in w.answers or w.answers[op].outcome != "success", "two copies of five are no majority")


@point(
    undone(
        "CM-05 as far as the leader",
        follower_commit_index=lambda view: max(view.commit_index, min(view.leader_commit, view.last_log_index)),
    )
)
def test_a_heartbeat_commits_only_what_it_compared(rules):
    """Our leaders never send such a heartbeat, leaders that others wrote do: empty, though the follower lacks entries."""
    w = World(3, rules=rules, logs={1: [1, 2], 2: [1, 2], 3: [1, 1]})
    w.cut(1, 3)
    w.elect(1, by=[2])
    w.run(2.0)
    empty = AppendEntries(w.state(1).term, 1, 1, 1, (), 2, 1, 0.0, w.config.lease)
    w.deliver(Flight(0, 1, 3, empty, w.now))
    require(w.state(3).commit_index == 1, "entry 1 was compared, entry 2 was not")


# ---- the lease


@point(
    undone("LS-10 the voter reports nothing", remaining_promise=lambda view: 0.0),
    undone("LS-08 the promise is short", lease_promise=lambda view: view.now + 1.0),
)
def test_the_voter_in_both_majorities(rules):
    w = World(3, rules=rules, no_op_on_election=False)
    w.cut(1, 3)
    w.elect(1)  # its lease rests on node 2
    w.run(1.0)
    w.isolate(1)
    w.rise(3, 1)
    w.elect(3, by=[2])
    w.run(12.0)
    require(w.holders() == [3], "the lease went over")


def omits_its_own(view):
    return max([view.now, *(b.received_at + b.remaining for b in view.ballots if b.granted and b.term == view.term)])


@point(undone("LS-10 the candidate forgets its own promise", lease_wait=omits_its_own))
def test_the_candidate_in_both_majorities(rules):
    w = World(3, rules=rules, no_op_on_election=False)
    w.cut(1, 2)
    w.elect(1)  # its lease rests on node 3
    w.run(1.0)
    w.isolate(1)
    w.elect(3, by=[2])
    w.run(12.0)
    require(w.holders() == [3], "the lease went over")


@point(undone("LS-23 no margin for the clocks", lease_promise=lambda view: max(view.promise_until, view.now + view.lease)))
def test_a_promise_outlasts_the_lease_on_any_two_clocks(rules):
    w = World(3, rules=rules, rho=0.2, clocks={1: (0.0, 0.81), 2: (0.0, 1.19), 3: (0.0, 1.19)})
    w.elect(1)
    w.run(0.5)
    w.isolate(1)
    w.elect(3, by=[2])
    w.run(25.0)
    require(w.holders() == [3], "the lease went over")


@point(
    undone(
        "LS-06 an old leader is told yes, in its own term",
        follows_leader=lambda v: v.role != Role.LEADER,
        reply_term=lambda v: v.request_term,
    )
)
def test_a_deposed_leader_renews_nothing(rules):
    w = World(3, rules=rules)
    w.elect(1)
    w.run(0.5)
    w.cut(1, 2)
    w.elect(2, by=[3])
    w.run(14.0)
    require(w.holders() == [2], "the lease went over")
