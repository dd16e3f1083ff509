"""Snapshots hold all that matters, and steps do what their words say."""

from __future__ import annotations

import pytest

from raftedu.checker.machine import CAMPAIGN, HEARTBEAT, RESTART, Machine, Wake
from raftedu.checker.moves import Moves
from raftedu.checker.profiles import PROFILES, TICK, Profile, family
from raftedu.checker.search import Search, inverse, warm_up
from raftedu.checker.snapshot import LEFT_OUT, Snapshot, fresh, rename, restore, take
from raftedu.checker.steps import Append, Crash, Elect, Late, Read, Tick, Write, in_words
from raftedu.core.config import Config
from raftedu.core.messages import AppendEntries
from raftedu.core.rules import RULES, rule_names
from raftedu.core.state import State
from raftedu.core.types import Durable, Role

HELD = {
    "role", "term", "voted_for", "leader", "log", "commit_index", "last_applied", "kv", "promised", "promise_until", "ballots",
    "next_index", "match_index", "answered", "elected_at", "wait_until", "waiting", "commit_blocked", "lease_expiry", "owes_no_op",
    "waiters", "reads", "saved", "unsynced",
}  # fmt: skip


def test_every_field_of_a_state_is_in_a_snapshot_or_left_out_on_purpose():
    fields = set(vars(State(1, Config.of(3), RULES, Durable())))
    assert fields == HELD | LEFT_OUT
    assert not HELD & LEFT_OUT


@pytest.mark.parametrize("profile", PROFILES, ids=[p.name for p in PROFILES])
def test_a_snapshot_comes_back_as_it_was(profile):
    search = Search(profile, RULES)
    for _ in range(3):
        for _ in search.go_deeper():
            if search.transitions > 400:
                break
    machine = Machine(profile, RULES)
    for place, node in {(key[0], done.node) for key, done in search.system._turns.items()}:
        snapshot, state = search.system.snapshots[node], machine.nodes[place].state
        restore(state, snapshot, 1000.0)
        assert take(state, 1000.0, profile, snapshot.disk, snapshot.epoch) == snapshot


def test_names_go_forth_and_back():
    search = Search(PROFILES[1], RULES)
    for _ in range(3):
        list(search.go_deeper())
    for snapshot in search.system.snapshots:
        assert rename(rename(snapshot, (3, 1, 2)), (2, 3, 1)) == snapshot
    assert inverse((2, 0, 1)) == (1, 2, 0)


def live(profile: Profile, *steps) -> list[Snapshot]:
    search = Search(profile, RULES, alike=False)
    state = search.start
    for step in steps:
        state, obligation, outcome = search.apply(state, search.move(state, step))
        assert obligation is None and outcome is None
    return [search.system.snapshots[node] for node in state[0]]


LOGS = Profile("logs", terms=4, entries=3, writes=1, crashes=1, late=1)
LEASE = Profile("lease", timed=True, terms=3, entries=3, writes=1, lease=1)


def test_an_election_makes_a_leader():
    one, two, three = live(LOGS, Elect(0, (1,), 1, False))
    assert (one.role, one.term, one.voted_for) == (Role.LEADER, 1, 1)
    assert (two.role, two.term, two.voted_for) == (Role.FOLLOWER, 1, 1)
    assert three == fresh(LOGS)


def test_a_higher_term_is_reached_by_campaigning_again():
    one, two, _ = live(LOGS, Elect(0, (1,), 1, False), Elect(2, (1,), 2, False), Elect(0, (1,), 3, False))
    assert (one.role, one.term, two.term) == (Role.LEADER, 3, 3)


def test_an_append_brings_one_entry_and_commits_it():
    one, two, _ = live(LOGS, Elect(0, (1,), 1, False), Append(0, 1, ""))
    assert (one.commit, one.match, len(two.log), two.commit) == (1, (0, 1, 0), 1, 0)


def test_a_late_request_arrives_when_it_is_let():
    search = Search(LOGS, RULES, alike=False)
    state = search.start
    for step in (Elect(0, (1,), 1, False), Append(0, 1, "request late")):
        state = search.apply(state, search.move(state, step))[0]
    (packet,) = state[1]
    assert isinstance(search.system.packets[packet][1], AppendEntries)
    state = search.apply(state, search.move(state, Late(packet, False)))[0]
    assert state[1] == ()
    assert len(search.system.snapshots[state[0][1]].log) == 1


def test_a_crash_loses_what_no_message_had_to_wait_for():
    one, _, _ = live(LOGS, Elect(0, (1,), 1, False), Crash(0))
    assert (one.role, one.term, one.voted_for, one.log) == (Role.FOLLOWER, 1, 1, ())
    one, _, _ = live(LOGS, Elect(0, (1,), 1, False), Append(0, 1, ""), Crash(0))
    assert len(one.log) == 1


def test_time_ends_a_lease():
    one, two, _ = live(LEASE, Elect(0, (1,), 1, False), Append(0, 1, ""))
    assert (one.lease, two.promise) == (TICK, TICK)
    one, two, _ = live(LEASE, Elect(0, (1,), 1, False), Append(0, 1, ""), Tick(-1))
    assert (one.role, one.lease, two.promise) == (Role.FOLLOWER, None, 0.0)


def test_a_new_leader_waits_for_what_the_votes_report():
    _, two, _ = live(LEASE, Elect(0, (1,), 1, False), Append(0, 1, ""), Elect(1, (2,), 2, False))
    assert (two.role, two.wait, two.waiting, [e.term for e in two.log]) == (Role.LEADER, TICK, True, [1])
    _, two, _ = live(LEASE, Elect(0, (1,), 1, False), Append(0, 1, ""), Elect(1, (2,), 2, False), Tick(-1))
    assert (two.role, two.waiting, [e.term for e in two.log]) == (Role.LEADER, False, [1, 2])


def test_a_write_is_appended_and_committed_by_an_append():
    one, _, _ = live(LOGS, Elect(0, (1,), 1, False), Write(0, 1, False), Append(0, 1, ""), Append(0, 1, ""))
    assert [entry.words for entry in one.log] == ["NO-OP", "SET x w1"]
    assert (one.commit, one.applied, one.waiters) == (2, 2, ())


READS = Profile(
    "reads", timed=True, warm=True, terms=2, entries=3, writes=1, late=1, batch=9, policy="no-lease", reads="read-index", gets=2
)


def test_a_read_waits_for_a_round_that_is_sent_after_it():
    one, _, _ = live(READS, Read(0, 0))
    assert [(parked.epoch, parked.read_index) for parked in one.reads] == [(0, 1)]
    one, _, _ = live(READS, Read(0, 0), Append(0, 1, ""))
    assert one.reads == ()
    one, _, _ = live(READS, Append(0, 1, ""), Append(0, 2, ""), Read(0, 0))
    assert len(one.reads) == 1


def test_a_late_answer_to_a_round_of_before_lets_a_read_wait_on():
    search = Search(READS, RULES, alike=False)
    state = search.start
    for step in (Append(0, 1, "reply late"), Read(0, 0)):
        state = search.apply(state, search.move(state, step))[0]
    (packet,) = state[1]
    state, obligation, outcome = search.apply(state, search.move(state, Late(packet, False)))
    assert obligation is None and outcome is None
    assert len(search.system.snapshots[state[0][0]].reads) == 1


def test_a_read_that_waits_is_told_when_its_leader_gives_up():
    one, two, _ = live(READS, Read(0, 0), Tick(-1))
    assert (one.role, one.reads, one.epoch) == (Role.FOLLOWER, (), 0)


def test_a_read_names_what_was_acknowledged_before():
    search = Search(READS, RULES, alike=False)
    state = search.start
    for step in (Write(0, 1, False), Append(0, 1, "")):
        state = search.apply(state, search.move(state, step))[0]
    assert [move.step for move in search.moves.of(state) if isinstance(move.step, Read)] == [Read(0, 2)]


def test_a_warm_start_is_a_stable_leader():
    profile = Profile("warm", timed=True, warm=True)
    nodes = live(profile)
    assert len(warm_up(profile)) == 5
    assert [s.commit for s in nodes] == [1, 1, 1]
    assert nodes[0].role is Role.LEADER and nodes[0].lease == TICK


def test_what_is_not_possible_is_refused():
    search = Search(LOGS, RULES)
    with pytest.raises(LookupError, match="not possible"):
        search.move(search.start, Append(0, 1, ""))


def test_moves_respect_the_budget():
    search = Search(Profile("none"), RULES)
    kinds = {type(move.step) for move in Moves(search.system).of(search.start)}
    assert kinds == {Elect}


def test_every_rule_has_a_family():
    assert all(family(name) for name in rule_names())


@pytest.mark.parametrize(("step", "words"), [
    (Elect(0, (1, 2), 3, True), "elect 1 via 2, 3 at term 3 (votes delayed)"), (Elect(0, (), 1, False), "elect 1 alone at term 1"),
    (Append(1, 0, "reply late"), "append 2→1 (reply late)"), (Write(2, 1, True), "retry x=w1 at 3"), (Crash(0), "crash and restart 1"),
    (Read(0, 0), "read x at 1"), (Read(1, 3), "read x at 2, after entry 3 was acknowledged"),
    (Tick(1), "time passes, and the clock of 2 is slow"), (Tick(-1), "time passes"),
])  # fmt: skip
def test_steps_in_words(step, words):
    assert in_words(step, [], timed=True) == words


def test_a_turn_needs_no_more_than_its_snapshot():
    machine = Machine(LOGS, RULES)
    _, first = machine.turn(0, fresh(LOGS), Wake(CAMPAIGN, 1))
    machine.turn(0, first, Wake(HEARTBEAT))
    machine.turn(0, first, Wake(RESTART))
    assert machine.turn(0, fresh(LOGS), Wake(CAMPAIGN, 1))[1] == first
