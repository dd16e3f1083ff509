"""What the node itself does between the rules: it goes on living, answers everybody, and says what it does."""

from __future__ import annotations

import pytest

from raftedu.core import replication
from raftedu.core.config import Config
from raftedu.core.inputs import ClientRequest, Persisted, Receive, TimerFired
from raftedu.core.log import Log
from raftedu.core.messages import AppendEntries, AppendReply, RequestVote, VoteReply, is_reply
from raftedu.core.node import Node
from raftedu.core.outputs import Persist, Say, Send, SetTimer
from raftedu.core.rules import RULES
from raftedu.core.types import NO_OP, Durable, Entry, HardState, Role
from tests.harness import WAYS, Flight, World


def same(w: World) -> bool:
    return len({(w.state(i).log.chain(), w.state(i).commit_index, w.state(i).kv.state) for i in w.hosts}) == 1


# ---- it goes on


@pytest.mark.parametrize(("policy", "mode"), WAYS)
@pytest.mark.parametrize("batch_size", [1, 512])
@pytest.mark.parametrize("fast_backup", [True, False])
def test_after_a_heal_everybody_catches_up_and_commits(policy, mode, batch_size, fast_backup):
    w = World(5, lease_policy=policy, read_mode=mode, batch_size=batch_size, fast_backup=fast_backup)
    w.elect(1)
    w.isolate(1, 2)
    for i in range(20):
        w.set(1, "x", f"lost {i}")
    w.run(10.1)
    assert w.leaders() == []
    w.elect(3)
    w.run(19.0)
    ops = [w.set(3, "x", f"kept {i}") for i in range(20)]
    w.run(20.0)
    assert all(w.answers[op].outcome == "success" for op in ops)
    w.heal()
    w.run(22.0)  # two heartbeats
    assert same(w) and w.get(3, "x").value == "kept 19"
    w.invariants.finish(w)


def test_a_follower_that_was_away_has_caught_up_within_two_heartbeats():
    w = World(3)
    w.elect(1)
    w.isolate(3)
    for i in range(2000):
        w.set(1, "x", str(i))
    w.run(30.0)
    w.heal()
    w.run(32.0)
    assert same(w)


@pytest.mark.parametrize("lost", [AppendEntries, AppendReply])
def test_entries_or_answers_that_get_lost_are_sent_again_with_the_next_heartbeat(lost):
    w = World(3)
    w.elect(1)
    w.run(1.5)
    op = w.set(1, "x", "1")
    if lost is AppendReply:
        for follower in (2, 3):
            w.deliver(w.take(1, follower))
    w.drop()
    w.set(1, "y", "1")
    assert w.flying(1) == []  # nothing more is sent while entries are on the way
    w.run(2.0)
    assert w.answers[op].outcome == "success" and same(w) is False
    w.run(3.0)
    assert same(w)


def test_an_answer_to_an_earlier_round_does_not_end_the_wait_for_a_later_one():
    w = World(3)
    w.elect(1)
    w.cut(1, 3)
    w.set(1, "x", "1")
    early = w.take(1, 2)
    w.flights.remove(early)
    w.held_links = {(1, 2)}
    w.run(1.0)  # the heartbeat carries the entry again
    in_flight = w.state(1).in_flight[2]
    w.deliver(early)
    w.deliver(w.take(2, 1))
    assert w.state(1).in_flight == {2: in_flight, 3: in_flight}


def test_without_a_no_op_a_retry_commits_an_old_entry():
    w = World(3, no_op_on_election=False, lease_policy="deferred-commit")
    w.elect(1)
    w.set(1, "x", "1", client="anna", request=1)
    w.deliver(w.take(1, 2))
    w.drop()
    w.crash(1)
    w.elect(2, by=[3])
    w.run(9.0)
    assert w.state(2).commit_index == 0
    retry = w.set(2, "x", "1", client="anna", request=1)
    w.run(10.0)
    assert w.answers[retry].outcome == "success" and w.state(2).kv.data == {"x": "1"}


def test_with_a_no_op_old_entries_commit_by_themselves():
    w = World(3)
    w.elect(1)
    w.set(1, "x", "1")
    w.deliver(w.take(1, 2))
    w.drop()
    w.crash(1)
    w.elect(2, by=[3])
    w.run(10.0)
    assert w.get(2, "x").value == "1"


@pytest.mark.parametrize("policy", ["wait-then-append", "deferred-commit"])
def test_what_a_new_leader_does_before_and_after_the_wait(policy):
    w = World(3, lease_policy=policy)
    w.elect(1)
    w.isolate(1)
    w.elect(3, by=[2])
    w.run(4.0)
    deferred = policy == "deferred-commit"
    assert w.terms(3) == w.terms(2) == ([1, 2] if deferred else [1])
    assert w.state(3).commit_index == 0
    op = w.set(3, "x", "1")
    w.settle()
    if deferred:
        assert op not in w.answers and w.terms(2) == [1, 2, 2]
    else:
        assert w.answers[op].outcome == "fail" and w.answers[op].retry_after == pytest.approx(8.016 - 4.0, abs=0.01)
        assert w.answers[op].leader == 3
    w.run(8.1)
    assert w.state(3).commit_index == w.state(3).log.last_index == (3 if deferred else 2)
    assert w.holders() == [3]


def test_one_node_serves_at_once_and_after_every_restart():
    w = World(1)
    for i in range(3):
        w.elect(1)
        assert w.answers[w.set(1, "x", str(i))].outcome == "success"
        assert w.get(1, "x").value == str(i)
        w.crash(1)
        w.restart(1)
    assert w.terms(1) == [1, 1, 2, 2, 3, 3]


def test_a_leader_that_never_gets_an_answer_gives_up_and_says_why():
    w = World(3)
    w.elect(1, by=[2])
    w.isolate(1)
    w.run(9.9)
    assert w.role(1) == Role.LEADER
    w.run(10.0)
    assert w.role(1) == Role.FOLLOWER
    assert "no majority answered within 10.000 s of its election" in w.events("stepped_down", 1)[0].facts["why"]
    told = [t.say.event for t in w.told if t.node == 1][-3:]
    assert told == ["lease_expired", "stepped_down", "role_changed"]


def test_the_lease_may_run_out_during_the_wait():
    w = World(3, lease=20.0)
    w.elect(1)
    w.isolate(1)
    w.elect(3)
    w.isolate(3)
    w.run(20.0)  # the wait would end at 20.04
    assert w.leaders() == [] and w.events("lease_acquired", 3) == []


# ---- disks


def test_a_message_waits_for_the_disk_and_entries_to_others_do_not():
    w = World(3)
    w.hold_disk(1)
    w.campaign(1)
    assert w.flights == [] and w.role(1) == Role.CANDIDATE
    w.release_disk(1)
    w.settle()
    w.hold_disk(1)
    w.set(1, "x", "1")
    assert [type(f.message) for f in w.flights] == [AppendEntries] * 2


def test_a_write_that_a_later_one_replaces_does_not_count_as_saved():
    node = Node(1, Config.of(3))
    node.start(0.0)

    def receive(term, prev, *terms):
        entries = tuple(Entry(t) for t in terms)
        return node.step(Receive(AppendEntries(term, 2, *prev, entries, 0, 1, 0.0, 8.0)), 0.0)

    (first,) = (o for o in receive(1, (0, 0), 1, 1, 1) if isinstance(o, Persist))
    (second,) = (o for o in receive(2, (1, 1), 2) if isinstance(o, Persist))
    assert (first.first, len(first.entries), first.truncates) == (1, 3, False)
    assert (second.first, second.entries, second.truncates) == (2, (Entry(2),), True)
    node.step(Persisted(first.seq), 0.0)
    assert node.state.saved_index == 1
    node.step(Persisted(second.seq), 0.0)
    assert node.state.saved_index == 2


def test_the_longest_promise_is_saved_once_before_the_first_answer():
    node = Node(1, Config.of(3))
    node.start(0.0)
    hards = []
    for second in range(3):
        outputs = node.step(Receive(AppendEntries(1, 2, 0, 0, (), 0, second, 0.0, 8.0)), float(second))
        hards += [o.hard for o in outputs if isinstance(o, Persist)]
        assert all(o.after == 1 for o in outputs if isinstance(o, Send))
    assert hards == [HardState(1, None, pytest.approx(8.016016))]


def test_a_node_starts_from_its_disk():
    entries = (Entry(1), Entry(2, "SET", "x", "1"))
    node = Node(1, Config.of(3), durable=Durable(HardState(4, 0, 20.0), entries, True))
    (started,) = (o for o in node.start(100.0) if isinstance(o, Say))
    restored = {"term": 4, "voted_for": 0, "last_index": 2, "last_term": 2, "promise_until": 120.0}
    assert started.facts["restored"] == restored
    status = node.status(100.0)
    assert (status.role, status.term, status.commit_index, status.last_applied, status.promise_left) == (Role.FOLLOWER, 4, 0, 0, 20.0)
    assert node.log == ((1, 1, NO_OP), (2, 2, "SET x 1"))


# ---- the lease of a leader, by the clock


def test_the_lease_is_dated_from_the_sending_whatever_the_answer_says():
    w = World(3, lease=8.0)
    w.elect(1)
    w.cut(1, 3)
    w.held_links = {(2, 1)}
    w.run(3.0)
    late = w.flying(2, 1, AppendReply)
    w.now = 5.0
    w.deliver(late[1])  # an answer to the round of second 2, at 5
    assert w.state(1).lease_expiry == 10.0
    w.deliver(late[0])  # an older one does no harm
    assert w.state(1).lease_expiry == 10.0
    renewed = w.events("lease_renewed", 1)[-1].facts
    assert (renewed["basis_sent_at"], renewed["expiry"], renewed["ackers"][0][0]) == (2.0, 10.0, 2)


def test_a_refusal_for_the_logs_sake_renews_the_lease_too():
    w = World(3, logs={1: [1, 1], 2: [1], 3: [1]}, no_op_on_election=False)
    w.elect(1, by=[2])
    w.deliver(w.take(1, 2))
    reply = w.take(2, 1)
    assert not reply.message.success
    w.deliver(reply)
    assert w.holders() == [1]


def test_an_answer_to_a_round_of_an_older_term_renews_nothing():
    w = World(3, no_op_on_election=False)
    w.elect(1, by=[2])
    old = w.take(1, 3)
    w.drop()
    w.rise(2, 2)
    w.deliver(Flight(0, 2, 1, RequestVote(2, 2, 0, 0, 8.0), 0.0))
    w.drop()
    w.elect(1, by=[2])
    w.drop()
    w.deliver(Flight(0, 1, 3, RequestVote(3, 1, 0, 0, 8.0), 0.0))
    w.drop()
    w.deliver(old)
    refusal = w.take(3, 1)
    assert refusal.message.term == w.state(1).term == 3
    w.deliver(refusal)
    assert w.holders() == [] and w.state(1).next_index == {2: 1, 3: 1}


def test_an_answer_to_a_round_of_an_earlier_life_renews_nothing():
    w = World(3, no_op_on_election=False)
    w.elect(1, by=[2])
    old = w.take(1, 3)
    w.drop()
    w.crash(1)
    w.restart(1)
    w.elect(1, by=[2])
    w.drop()
    w.deliver(Flight(0, 1, 3, RequestVote(2, 1, 0, 0, 8.0), 0.0))
    w.drop()
    assert w.state(1).term == w.state(3).term == 2
    assert old.message.round in w.state(1).rounds, "the new life counts its rounds from the beginning"
    w.deliver(old)
    w.deliver(w.take(3, 1))
    assert w.state(3).promise_until == 0 and w.state(1).answered == {} and w.holders() == []


def test_the_leader_is_woken_at_its_next_deadline_and_no_earlier_timer_counts():
    node = Node(1, Config.of(1))
    node.start(0.0)
    node.step(TimerFired("election", 1), 7.0)
    armed = [o for o in node.step(Persisted(1), 7.0) if isinstance(o, SetTimer)]
    assert [(t.timer, t.low, t.high) for t in armed] == [("election", -1.0, -1.0), ("leader", 1.0, 1.0)]
    assert node.step(TimerFired("election", 1), 7.5) == []
    early = node.step(TimerFired("leader", armed[1].generation), 7.999)
    assert [(o.timer, o.low) for o in early if isinstance(o, SetTimer)] == [("leader", pytest.approx(0.001))]


def test_a_wrong_rule_that_lets_a_leader_follow_another_still_answers_its_clients():
    w = World(3, rules=RULES.but(follows_leader=lambda view: view.message_term == view.term))
    w.elect(1)
    w.run(1.5)
    op = w.set(1, "x", "1")
    w.deliver(Flight(0, 2, 1, AppendEntries(1, 2, 0, 0, (), 0, 1, 0.0, 8.0), w.now))
    assert w.role(1) == Role.FOLLOWER and w.answers[op].outcome == "unknown"
    assert "leader" not in w.hosts[1].timers and "election" in w.hosts[1].timers


def test_a_wrong_rule_that_acknowledges_too_much_does_not_stop_the_leader():
    w = World(3, rules=RULES.but(acknowledged_index=lambda view: 99))
    w.elect(1)
    assert w.state(1).match_index == {2: 99, 3: 99} and w.state(1).commit_index == 1


def test_a_wrong_rule_that_accepts_a_gap_appends_at_the_end():
    node = Node(1, Config.of(3), RULES.but(accepts_append=lambda view: True))
    node.start(0.0)
    outputs = node.step(Receive(AppendEntries(1, 2, 7, 1, (Entry(1),), 0, 1, 0.0, 8.0)), 0.0)
    (persist,) = (o for o in outputs if isinstance(o, Persist))
    assert (persist.first, persist.entries) == (1, (Entry(1),)) and node.log == ((1, 1, NO_OP),)


# ---- messages and work


def test_the_same_inputs_give_the_same_outputs():
    def play():
        w = World(3)
        w.elect(2)
        w.set(2, "x", "1")
        w.run(5.0)
        w.isolate(2)
        w.run(40.0, elections=True)
        return w.told

    assert play() == play()


def test_what_answers_and_what_asks():
    kinds = [
        RequestVote(1, 1, 0, 0, 8.0),
        VoteReply(1, 1, True, 0.0),
        AppendEntries(1, 1, 0, 0, (), 0, 1, 0.0, 8.0),
        AppendReply(1, 1, True, 0, 1, 0),
    ]
    assert [is_reply(message) for message in kinds] == [False, True, False, True]


def test_one_message_carries_about_a_megabyte_at_most(monkeypatch):
    monkeypatch.setattr(replication, "MAX_MESSAGE_BYTES", 100)
    w = World(3)
    w.elect(1)
    w.isolate(3)
    for _ in range(20):
        w.set(1, "k", "v" * 39)
    w.set(1, "k", "v" * 500)
    w.settle()
    w.heal()
    w.held_links = {(1, 3)}
    w.run(1.0)
    sizes = []
    while w.flying(1, 3):
        flight = w.take(1, 3)
        sizes.append(len(flight.message.entries))
        w.deliver(flight)
        w.deliver(w.take(3, 1))
    assert max(sizes) == 2 and w.terms(3) == w.terms(1)


@pytest.mark.parametrize("length", [1_000, 100_000])
def test_an_entry_costs_the_same_work_whatever_stands_before_it(length, monkeypatch):
    """Counts the entries that are looked at while one more is appended, replicated and committed."""
    entries = tuple(Entry(1, "SET", "k", "v", "past", i) for i in range(1, length + 1))
    config = Config.of(1)
    node = Node(1, config, durable=Durable(HardState(1, None, 0.0), entries, True))
    node.start(0.0)
    node.step(TimerFired("election", 1), 7.0)
    node.step(Persisted(1), 7.0)
    node.step(Persisted(2), 7.0)
    assert node.state.commit_index == length + 1
    looked_at = []
    between, entry = Log.between, Log.entry
    monkeypatch.setattr(Log, "between", lambda log, *args: looked_at.extend(got := between(log, *args)) or got)
    monkeypatch.setattr(Log, "entry", lambda log, index: looked_at.append(index) or entry(log, index))
    node.step(ClientRequest("SET", "k", "v", "anna", 1, "o1"), 7.1)
    node.step(Persisted(3), 7.1)
    assert node.state.commit_index == length + 2 and len(looked_at) <= 6


def test_a_copied_entry_is_not_looked_at_again_by_a_follower(monkeypatch):
    """A follower merges only what follows ``prev_log_index``."""
    entries = tuple(Entry(1) for _ in range(10_000))
    node = Node(1, Config.of(3), durable=Durable(HardState(1, None, 0.0), entries, True))
    node.start(0.0)
    looked_at = []
    between = Log.between
    monkeypatch.setattr(Log, "between", lambda log, *args: looked_at.extend(got := between(log, *args)) or got)
    node.step(Receive(AppendEntries(1, 2, 10_000, 1, (Entry(1),), 0, 1, 0.0, 8.0)), 0.0)
    assert node.state.log.last_index == 10_001 and len(looked_at) <= 4
