"""The paper, §5.3 and §5.4.2, a sentence a test; Figures 7 and 8."""

from __future__ import annotations

import pytest

from raftedu.core.messages import AppendEntries, AppendReply
from raftedu.core.rules import RULES
from raftedu.core.state import LEADER
from raftedu.core.types import Entry, HardState, Role
from tests.harness import Flight, World
from tests.points.undone import point, undone


def hand(w: World, dst: int, message) -> list:
    """Let a message that the test made up arrive, and return what is sent back."""
    before = list(w.flights)
    w.deliver(Flight(0, message.sender, dst, message, w.now))
    return [f.message for f in w.flights if f not in before]


def append(term, prev=(0, 0), entries=(), commit=0, sender=2):
    return AppendEntries(term, sender, *prev, tuple(Entry(t, "SET", "k", f"{t}") for t in entries), commit, 1, 0.0, 8.0)


# ---- §5.3


def test_the_leader_appends_and_sends_the_entry_with_what_precedes_it_to_all():
    w = World(3)
    w.elect(1)
    w.run(1.5)
    w.set(1, "x", "1", client="anna", request=7)
    sent = [f.message for f in w.flying(1, kind=AppendEntries)]
    assert [(m.prev_log_index, m.prev_log_term, m.leader_commit) for m in sent] == [(1, 1, 1)] * 2
    assert [m.entries for m in sent] == [(Entry(1, "SET", "x", "1", "anna", 7),)] * 2
    assert w.state(1).log.last_index == 2


def test_the_leader_commits_once_a_majority_has_it_answers_its_client_and_tells_the_followers():
    w = World(3)
    w.elect(1)
    w.run(1.5)
    op = w.set(1, "x", "1")
    w.deliver(w.take(1, 2, AppendEntries))
    assert op not in w.answers
    w.deliver(w.take(2, 1, AppendReply))
    assert w.answers[op].outcome == "success" and w.answers[op].index == 2
    assert w.state(1).commit_index == 2 and w.state(2).commit_index == 1
    w.run(2.0)  # the next heartbeat tells them
    assert [w.state(i).commit_index for i in (1, 2, 3)] == [2, 2, 2]
    assert [w.state(i).kv.data for i in (1, 2, 3)] == [{"x": "1"}] * 3


ACKNOWLEDGED = [(1, [], True), (3, [], False), (3, [2], True), (3, [2, 3], True), (5, [], False), (5, [2], False), (5, [2, 3], True),
                (5, [2, 3, 4], True), (4, [2], False), (4, [2, 3], True)]  # fmt: skip


@pytest.mark.parametrize(("nodes", "followers", "committed"), ACKNOWLEDGED)
def test_an_entry_is_committed_when_a_majority_of_all_nodes_holds_it(nodes, followers, committed):
    w = World(nodes)
    w.elect(1)
    w.run(1.5)
    w.set(1, "x", "1")
    for follower in followers:
        w.exchange(1, follower)
    assert (w.state(1).commit_index == 2) == committed


@pytest.mark.parametrize("terms", [[], [2], [1, 2], [1]])
def test_a_commit_takes_all_preceding_entries_with_it(terms):
    w = World(3, logs={i: terms for i in (1, 2, 3)})
    w.rise(1, 2)
    w.elect(1)
    assert w.state(1).commit_index == len(terms) + 1 == w.state(1).last_applied


@pytest.mark.parametrize(("terms", "commit", "follower"), [([1], 1, 1), ([1, 2], 2, 2), ([1, 2], 1, 1), ([1, 2, 2], 9, 3)])
def test_a_follower_applies_what_it_learns_to_be_committed_in_log_order(terms, commit, follower):
    w = World(3)
    hand(w, 1, append(3, entries=terms, commit=commit))
    assert w.state(1).commit_index == w.state(1).last_applied == follower
    assert [say.index for say in w.events("committed", 1)] == list(range(1, follower + 1))


CHECKS = [((0, 0), True), ((1, 1), True), ((2, 2), True), ((1, 2), False), ((2, 1), False), ((3, 3), False), ((3, 2), False)]


@pytest.mark.parametrize(("prev", "accepted"), CHECKS)
@pytest.mark.parametrize("entries", [(), (3,)], ids=["heartbeat", "entry"])
def test_a_follower_without_the_preceding_entry_refuses(prev, accepted, entries):
    w = World(3, logs={1: [1, 2]})
    (reply,) = hand(w, 1, append(3, prev, entries))
    assert reply.success == accepted
    assert reply.match_index == (prev[0] + len(entries) if accepted else 0)
    assert w.events("lease_promised", 1) != []  # a refusal for the log's sake is a promise all the same [R1]


MERGES = [  # log, prev, new entries -> log; what is on disk is what is in memory
    ([1, 2], (2, 2), (3,), [1, 2, 3]),
    ([1, 2], (1, 1), (3, 4), [1, 3, 4]),
    ([1, 2], (0, 0), (1,), [1, 2]),
    ([1, 2], (0, 0), (3,), [3]),
    ([1, 2, 2], (1, 1), (2,), [1, 2, 2]),
    ([1, 2, 2], (1, 1), (), [1, 2, 2]),
    ([], (0, 0), (1, 1), [1, 1]),
]


@pytest.mark.parametrize(("log", "prev", "entries", "merged"), MERGES)
def test_conflicting_entries_are_removed_with_all_that_follow_and_new_ones_appended(log, prev, entries, merged):
    w = World(3, logs={1: log})
    kept = {e.term: e for e in w.hosts[1].entries}
    new = tuple(kept.get(t, Entry(t, "SET", f"n{i}", "")) for i, t in enumerate(entries))
    (reply,) = hand(w, 1, append(4, prev)._replace(entries=new))
    assert reply.success and w.terms(1) == merged
    assert [e.term for e in w.hosts[1].entries] == merged
    assert reply.match_index == prev[0] + len(entries)


def test_a_conflict_answer_names_the_term_and_its_first_index():
    w = World(3, logs={1: [1, 2, 2, 2]})
    (conflict,) = hand(w, 1, append(5, (4, 4)))
    (short,) = hand(w, 1, append(5, (9, 4)))
    assert (conflict.conflict_term, conflict.conflict_index) == (2, 2)
    assert (short.conflict_term, short.conflict_index) == (None, 5)


FIGURE_7 = {
    "leader": [1, 1, 1, 4, 4, 5, 5, 6, 6, 6],
    "a": [1, 1, 1, 4, 4, 5, 5, 6, 6],
    "b": [1, 1, 1, 4],
    "c": [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
    "d": [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
    "e": [1, 1, 1, 4, 4, 4, 4],
    "f": [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
}


def figure_7(**settings) -> World:
    """Return the cluster of Figure 7, the leader of term 8 elected by those who may: a, b, e and f."""
    w = World(7, logs=dict(enumerate(FIGURE_7.values(), 1)), **settings)
    for host in w.hosts.values():
        host.node.state.term = 7
    w.elect(1)
    return w


def test_figure_7_who_may_vote_and_where_the_leader_begins():
    w = World(7, logs=dict(enumerate(FIGURE_7.values(), 1)), no_op_on_election=False)
    w.rise(1, 7)
    w.held_links = {(1, i) for i in range(2, 8)}
    w.campaign(1)
    for i in range(2, 8):
        w.deliver(w.take(1, i))
    w.settle()
    voters = {say.peer and told.node for told in w.told if (say := told.say).event == "vote_granted"}
    assert voters == {2, 3, 6, 7}  # a, b, e, f; c is longer, d has a later term
    assert w.role(1) == Role.LEADER
    assert set(w.state(1).next_index.values()) == {11} and set(w.state(1).match_index.values()) == {0}


@pytest.mark.parametrize("batch_size", [1, 2, 512])
@pytest.mark.parametrize("fast_backup", [True, False])
def test_figure_7_every_log_becomes_the_leaders(fast_backup, batch_size):
    w = figure_7(fast_backup=fast_backup, batch_size=batch_size)
    w.settle()
    assert all(w.terms(i) == FIGURE_7["leader"] + [8] for i in range(1, 8))
    assert len({w.state(i).log.chain() for i in range(1, 8)}) == 1
    w.run(1.0)
    assert all(w.state(i).commit_index == 11 for i in range(1, 8))


def test_figure_7_one_step_at_a_time_takes_as_many_refusals_as_entries_differ():
    w = figure_7(fast_backup=False)
    w.settle()
    refusals = [len(w.events("append_rejected", i)) for i in range(2, 8)]
    assert refusals == [1, 6, 0, 0, 5, 7]  # a lacks 1, b 6, c and d match at 10, e goes back to 5, f to 3


def test_figure_7_by_terms_takes_one_refusal_a_term():
    w = figure_7()
    w.settle()
    assert [len(w.events("append_rejected", i)) for i in range(2, 8)] == [
        1,
        1,
        0,
        0,
        2,
        2,
    ]  # e: once for its length, once for term 4; f: for 3 and for 2


# ---- §5.4.2


@pytest.mark.parametrize(("held", "commit"), [(1, 0), (2, 0), (3, 3)])
def test_only_entries_of_the_leaders_own_term_are_committed_by_counting(held, commit):
    w = World(3, logs={1: [1, 2]})
    w.rise(1, 2)
    w.elect(1, by=[2])  # its first entry is number 3
    hand(w, 1, AppendReply(3, 2, True, held, w.state(1).round, 0))
    assert w.state(1).commit_index == commit


def by_counting(view):
    return max(view.commit_index, sorted(view.match_index.values(), reverse=True)[view.majority - 1])


S1_TO_S5 = {1: [1, 2], 2: [1, 2], 3: [1], 4: [1], 5: [1, 3]}


def at_c(rules) -> World:
    """Return the cluster of Figure 8 (c): S1, S2 hold entry 2 of term 2, S5 one of term 3; S1 leads term 4 and sends S3 entry 2."""
    w = World(5, rules=rules, no_op_on_election=False, logs=S1_TO_S5, start=False)
    for host in w.hosts.values():
        host.hard = HardState(3, None, 0.0)
        w.restart(host.id)
    w.isolate(5)
    w.elect(1, by=[2, 3])
    w.run(1.0)
    assert w.state(1).term == 4 and w.terms(3) == [1, 2]
    return w


@point(undone("CM-01 entries of older terms are committed by counting", leader_commit_index=by_counting))
def test_figure_8_an_entry_of_an_older_term_on_a_majority_may_still_be_overwritten(rules):
    w = at_c(rules)
    committed = w.state(1).commit_index
    w.crash(1)  # (d)
    w.heal()
    w.rise(5, 4)
    w.elect(5, by=[3, 4])
    w.run(20.0)
    w.set(5, "d", "5")
    w.run(21.0)
    assert all(w.terms(i)[:2] == [1, 3] for i in (2, 3, 4, 5))
    assert committed == 0


def test_figure_8_but_an_entry_of_its_own_term_commits_all_before_it():
    w = at_c(RULES)
    op = w.set(1, "e", "4")
    w.settle()
    assert w.answers[op].outcome == "success" and w.state(1).commit_index == 3  # (e)
    w.crash(1)
    w.heal()
    w.rise(5, 4)
    w.elect(5)
    assert w.role(5) != Role.LEADER
    w.elect(2)
    w.run(20.0)
    assert w.terms(5)[:3] == [1, 2, 4]


def test_if_there_exists_an_n_any_n_will_do():
    """Figure 2, leaders: "If there exists an N > commitIndex ... set commitIndex = N": a rule that names the smallest is right too."""

    def smallest(view):
        own = [i for i, term in enumerate(view.log_terms, 1) if term == view.term and i > view.commit_index]
        held = [i for i in own if sum(match >= i for match in view.match_index.values()) >= view.majority]
        return held[0] if held else view.commit_index

    w = World(3, rules=RULES.but(leader_commit_index=smallest))
    w.elect(1)
    w.settle()
    for number in range(4):
        w.set(1, "x", str(number))
    w.drop()
    w.fire(1, LEADER)  # a heartbeat: all four in one message to each: two replies, and nothing more to be sent
    w.settle()
    assert w.state(1).commit_index == w.state(1).log.last_index == 5
