"""The read modes and plain Raft, a test a sentence of docs/protocol.md."""

from __future__ import annotations

import pytest

from raftedu.core.inputs import ClientRequest
from raftedu.core.messages import AppendEntries, AppendReply, RequestVote
from raftedu.core.rules import RULES
from raftedu.core.types import GET, HardState, Role
from tests.harness import WAYS, World


def led(mode: str = "read-index", nodes: int = 3, policy: str = "wait-then-append", **settings) -> World:
    """Return a world in which node 1 leads, has set x to 1, and nothing is on its way."""
    w = World(nodes, read_mode=mode, lease_policy=policy, **settings)
    w.elect(1)
    w.run(1.5)
    w.set(1, "x", "1")
    w.settle()
    return w


def rounds(w: World) -> int:
    return len(w.events("heartbeat_round", 1))


# ---- read-index


def test_a_get_is_answered_once_a_majority_has_answered_a_round_sent_after_it():
    w = led(nodes=5)
    before = rounds(w)
    op = w.ask(1, "x")
    assert rounds(w) == before + 1 and len(w.flying(1, kind=AppendEntries)) == 4
    for peer in (2, 3):
        assert op not in w.answers
        w.deliver(w.take(1, peer))
        w.deliver(w.take(peer, 1))
    assert (w.answers[op].outcome, w.answers[op].value) == ("success", "1")


def test_an_answer_to_a_round_of_before_confirms_nothing():
    w = led()
    w.run(2.0)
    w.held_links = {(2, 1), (3, 1)}
    w.run(3.0)  # a round, and its answers are on their way
    op = w.ask(1, "x")
    for reply in w.flying(2, 1) + w.flying(3, 1):
        w.deliver(reply)
    assert op not in w.answers
    w.held_links.clear()
    w.settle()
    assert w.answers[op].value == "1"


def test_a_later_round_is_as_good():
    w = led()
    op = w.ask(1, "x")
    w.drop()
    w.run(2.4)
    assert op not in w.answers
    w.run(3.0)  # the next heartbeat
    assert w.answers[op].value == "1"


def test_what_was_sent_at_the_same_instant_before_the_get_is_before_it():
    w = led()
    w.set(1, "y", "2")
    early = w.flying(1, 2)
    op = w.ask(1, "x")
    w.deliver(early[0])
    w.deliver(w.take(2, 1))
    assert op not in w.answers and w.state(1).answered[2].sent_at == w.now
    w.settle()
    assert w.answers[op].value == "1"


def test_it_answers_what_was_committed_before_it_arrived_or_later():
    w = led()
    op = w.ask(1, "x")
    w.drop()
    w.set(1, "x", "2")
    w.settle()
    assert w.answers[op].value == "2"
    served = w.events("read_served", 1)[-1].facts
    assert (served["read_index"], served["applied"], served["mode"]) == (2, 3, "read-index")
    assert served["asked_at"] == pytest.approx(1.5) and {node for node, _, _ in served["ackers"]} <= {2, 3} and served["ackers"]


def test_a_deposed_leader_answers_no_more():
    w = led(policy="no-lease")
    w.isolate(1)
    w.elect(2, by=[3])
    w.set(2, "x", "2")
    w.settle()
    op = w.ask(1, "x")
    w.settle()
    assert w.role(1) == Role.LEADER and op not in w.answers
    w.heal()
    w.run(w.now + 1.1)
    assert (w.answers[op].outcome, w.answers[op].retry_after) == ("fail", 1.0)
    assert "node 1 stepped down: node 2 is in term 2" in w.answers[op].reason
    assert w.events("read_refused", 1)[-1].facts["why"] == w.answers[op].reason
    assert not w.state(1).reads


def test_readers_who_come_while_a_round_is_on_its_way_share_the_next_one():
    w = led()
    before = rounds(w)
    first, *others = [w.ask(1, "x") for _ in range(50)]
    assert rounds(w) == before + 1
    w.deliver(w.take(1, 2))
    w.deliver(w.take(2, 1))
    assert first in w.answers and not any(op in w.answers for op in others) and rounds(w) == before + 2
    w.settle()
    assert all(w.answers[op].value == "1" for op in others) and rounds(w) == before + 2


def test_a_new_leader_reads_nothing_until_an_entry_of_its_term_is_committed():
    w = World(3, read_mode="read-index", lease_policy="no-lease")
    w.elect(1, by=[2])
    answer = w.answers[w.ask(1, "x")]
    assert (answer.outcome, answer.retry_after) == ("fail", pytest.approx(0.1))
    assert answer.reason == "node 1 has committed no entry of its term 1 yet"
    w.settle()
    assert w.get(1, "x").outcome == "success"


@pytest.mark.parametrize(("policy", "mode"), [way for way in WAYS if way[0] != "no-lease"])
def test_nobody_reads_during_the_wait(policy, mode):
    w = led(mode, policy=policy)
    w.isolate(1)
    w.elect(2, by=[3])
    op = w.ask(2, "x")
    w.settle()
    if (policy, mode) == ("deferred-commit", "log"):  # appended like a SET, and committed like one
        assert op not in w.answers
        w.run(12.0)
        assert w.answers[op].value == "1"
    else:
        assert w.answers[op].outcome == "fail" and "must wait" in w.answers[op].reason
        w.run(12.0)
        assert w.get(2, "x").value == "1"


@pytest.mark.parametrize("mode", ["read-index", "log"])
def test_who_does_not_lead_says_who_does(mode):
    w = led(mode)
    answer = w.get(2, "x")
    assert (answer.outcome, answer.leader, answer.reason) == ("fail", 1, "node 2 is a follower; node 1 leads term 1")
    assert w.events("read_refused", 2)[-1].facts["mode"] == mode


@pytest.mark.parametrize(("policy", "mode"), WAYS)
def test_one_node_reads_at_once_by_every_mode(policy, mode):
    w = World(1, lease_policy=policy, read_mode=mode)
    for i in range(3):
        w.elect(1)
        assert w.answers[w.set(1, "x", str(i))].outcome == "success"
        assert w.get(1, "x").value == str(i)
        w.run(w.now + 60)
        assert w.role(1) == Role.LEADER
        w.crash(1)
        w.restart(1)


# ---- through the log


def test_a_get_through_the_log_is_an_entry_and_changes_nothing():
    w = led("log")
    state, client = w.state(1).kv.state, dict(w.state(1).kv.last_request)
    op = w.ask(1, "x")
    assert w.node(1).log[-1] == (3, 1, "GET x") and op not in w.answers
    w.settle()
    assert (w.answers[op].value, w.answers[op].index) == ("1", 3)
    w.run(3.0)
    assert {w.state(i).log.entry(3).op for i in (1, 2, 3)} == {GET}
    assert {w.state(i).kv.state for i in (1, 2, 3)} == {state} and w.state(1).kv.last_request == client
    assert w.events("read_served", 1)[-1].facts["read_index"] == 3
    assert w.events("committed", 1)[-1].facts["op"] == "GET x"


def test_it_reads_at_its_own_place_in_the_log():
    w = led("log", batch_size=512)
    op = w.ask(1, "x")
    w.set(1, "x", "2")
    w.settle()
    assert w.answers[op].value == "1" and w.get(1, "x").value == "2"


def test_a_get_whose_end_the_leader_will_not_see_has_failed():
    w = led("log")
    w.isolate(1)
    op = w.ask(1, "x")
    w.run(9.6)
    assert w.role(1) == Role.FOLLOWER
    assert (w.answers[op].outcome, w.state(1).waiters) == ("fail", {})


def test_a_set_never_waits_for_a_get_of_the_same_name():
    w = led("log")
    w.isolate(1)
    w.step(1, ClientRequest(GET, "x", "", "anna", 1, ""))
    w.crash(1)
    w.heal()
    w.restart(1)
    w.elect(1)
    op = w.set(1, "x", "2", client="anna", request=1)
    w.run(w.now + 12)
    op = w.set(1, "x", "2", client="anna", request=1) if w.answers[op].outcome != "success" else op
    w.settle()
    assert w.get(1, "x").value == "2" and w.answers[op].outcome == "success"


# ---- no lease


def test_without_leases_nobody_promises_waits_or_holds_anything():
    w = led(policy="no-lease")
    w.isolate(1)
    w.elect(2, by=[3])
    w.set(2, "x", "2")
    w.settle()
    assert w.state(2).kv.data == {"x": "2"}  # while the other still leads
    assert w.leaders() == [1, 2] and w.holders() == []
    told = {told.say.event for told in w.told}
    assert not told & {"lease_promised", "lease_wait_started", "lease_acquired", "lease_renewed"}
    assert {w.state(i).promised for i in (1, 2, 3)} == {0.0}


def test_a_leader_that_hears_of_no_majority_for_an_election_timeout_steps_down():
    w = led(policy="no-lease")
    w.run(2.0)
    heard = w.state(1).answered[2].sent_at
    w.isolate(1)
    w.run(heard + 9.9)
    assert w.role(1) == Role.LEADER
    w.run(heard + 10.1)
    assert w.role(1) == Role.FOLLOWER
    told = [t.say.event for t in w.told if t.node == 1][-2:]
    assert told == ["stepped_down", "role_changed"]
    assert w.events("stepped_down", 1)[0].facts["why"] == f"no majority answered a round sent after {heard:.3f}"


def test_one_that_never_was_answered_counts_from_its_election():
    w = World(3, lease_policy="no-lease", read_mode="read-index")
    w.elect(1, by=[2])
    w.isolate(1)
    w.run(9.9)
    assert w.role(1) == Role.LEADER
    w.run(10.0)
    assert "no majority answered within 10.000 s of its election" in w.events("stepped_down", 1)[0].facts["why"]


def test_a_stuck_disk_ends_a_leadership_too():
    w = led(policy="no-lease")
    w.hold_disk(1)
    w.set(1, "x", "2")
    w.run(11.4)
    assert w.role(1) == Role.LEADER
    w.run(11.6)
    assert w.role(1) == Role.FOLLOWER and "its disk has been busy" in w.events("stepped_down", 1)[0].facts["why"]


@pytest.mark.parametrize(("kind", "policy", "told"), [
    (RequestVote, "no-lease", "node 2 runs with lease=8.0, node 1 without leases: give all nodes the same (R11)"),
    (RequestVote, "deferred-commit", "node 2 runs without leases, node 1 with lease=8.0: give all nodes the same (R11)"),
])  # fmt: skip
def test_who_has_leases_and_who_has_none_do_not_understand_each_other(kind, policy, told):
    w = World(3, lease_policy=policy, read_mode="read-index")
    other = World(3, lease_policy="no-lease" if policy != "no-lease" else "deferred-commit", read_mode="read-index")
    other.campaign(2)
    w.deliver(other.take(2, 1, kind))
    assert w.state(1).term == 0 and w.events("vote_denied", 1)[0].facts["why"] == told


def test_whoever_promised_before_the_policy_changed_keeps_it_once():
    w = World(3, lease_policy="no-lease", read_mode="read-index", start=False)
    for host in w.hosts.values():
        host.hard, host.ran_before = HardState(1, None, 8.016), True
    for i in w.hosts:
        w.restart(i)
    w.elect(1)
    assert w.state(1).wait_until == pytest.approx(8.016) and w.state(1).waiting
    w.run(10.0)
    assert not w.state(1).waiting and {w.state(i).promised for i in (2, 3)} == {0.0}
    assert w.hosts[2].hard.promised == 0.0
    w.crash(2)
    w.restart(2)
    assert w.state(2).promise_until <= w.now


# ---- wrong rules hurt


def stale(w: World) -> str | None:
    """Return what an isolated leader answers after another one has set x to 2."""
    w.isolate(1)
    w.elect(2, by=[3])
    w.set(2, "x", "2")
    w.settle()
    name = w.ask(1, "x")
    w.settle()
    return w.answers[name].value if name in w.answers else None


def test_a_reply_before_the_round_is_a_stale_read():
    def before_the_round(view):
        return True

    assert stale(led(policy="no-lease")) is None
    with pytest.raises(AssertionError, match="stale read"):
        stale(led(policy="no-lease", rules=RULES.but(read_is_confirmed=before_the_round)))


def test_an_answer_to_an_earlier_round_is_a_stale_read():
    def any_answer_that_comes_now(view):
        return 1 + sum(round_.received_at >= view.asked_at for round_ in view.answered.values()) >= view.majority

    def late_answer(rules):
        w = led(policy="no-lease", rules=rules)
        w.run(2.0)
        w.held_links = {(3, 1)}
        w.run(3.0)
        reply = w.take(3, 1, AppendReply)
        w.run(3.1)
        w.isolate(1)
        w.elect(2, by=[3])
        w.set(2, "x", "2")
        w.run(3.2)
        name = w.ask(1, "x")
        w.deliver(reply)
        return name in w.answers

    assert not late_answer(RULES)
    with pytest.raises(AssertionError, match="stale read"):
        late_answer(RULES.but(read_is_confirmed=any_answer_that_comes_now))
