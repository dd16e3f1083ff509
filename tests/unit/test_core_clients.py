"""Clients at a node: what they are told, when, and that a retry is the same request (§8)."""

from __future__ import annotations

import pytest

from raftedu.core.config import Config
from raftedu.core.inputs import ClientRequest, Persisted, TimerFired
from raftedu.core.messages import RequestVote
from raftedu.core.node import Node
from raftedu.core.outputs import Answer, Persist, Send
from raftedu.core.rules import RULES
from raftedu.core.types import Role
from tests.harness import Flight, World


def same(w: World) -> bool:
    return len({(w.state(i).log.chain(), w.state(i).commit_index, w.state(i).kv.state) for i in w.hosts}) == 1


def test_everybody_who_waits_is_answered_when_the_leader_is_deposed_or_gives_up():
    for deposed in (True, False):
        w = World(3)
        w.elect(1)
        w.run(1.5)
        w.isolate(1)
        ops = [w.set(1, "x", str(i)) for i in range(3)]
        if deposed:
            w.deliver(Flight(0, 2, 1, RequestVote(9, 2, 0, 0, 8.0), w.now))
        w.run(9.5)
        assert [w.answers[op].outcome for op in ops] == ["unknown"] * 3
        assert [w.answers[op].index for op in ops] == [2, 3, 4]
        assert "node 1 stepped down" in w.answers[ops[0]].reason and w.answers[ops[0]].leader is None
        assert w.state(1).waiters == {} and w.state(1).appended == {}


def test_a_retry_waits_for_the_entry_that_is_there():
    w = World(3)
    w.elect(1)
    w.run(1.5)
    ops = [w.set(1, "x", "1", client="anna", request=1) for _ in range(3)]
    assert w.state(1).log.last_index == 2
    w.settle()
    assert {(w.answers[op].outcome, w.answers[op].index) for op in ops} == {("success", 2)}
    again = w.set(1, "x", "1", client="anna", request=1)
    assert w.answers[again].outcome == "success" and w.state(1).log.last_index == 2


def test_a_retry_at_the_next_leader_waits_for_the_entry_it_inherited():
    w = World(3)
    w.elect(1)
    w.run(0.5)
    w.set(1, "x", "1", client="anna", request=1)
    w.deliver(w.take(1, 2))
    w.drop()
    w.crash(1)
    w.elect(2, by=[3])
    w.run(8.6)
    op = w.set(2, "x", "1", client="anna", request=1)
    w.run(10.0)
    assert w.answers[op].outcome == "success" and w.terms(2) == [1, 1, 2]


def test_an_overtaken_request_is_unknown_for_good():
    w = World(3)
    w.elect(1)
    w.set(1, "x", "2", client="anna", request=2)
    w.settle()
    op = w.set(1, "x", "1", client="anna", request=1)
    assert (w.answers[op].outcome, w.answers[op].final) == ("unknown", True)
    assert "request 2 of this client came later" in w.answers[op].reason


def test_two_requests_of_a_client_that_pass_each_other_in_the_log():
    w = World(3)
    w.elect(1)
    w.run(1.5)
    late, early = (w.set(1, "x", str(n), client="anna", request=n) for n in (2, 1))
    w.settle()
    assert w.answers[late].outcome == "success" and w.answers[early].outcome == "unknown"
    w.run(3.0)
    assert w.get(1, "x").value == "2" and same(w)


def test_who_does_not_lead_says_who_does():
    w = World(3)
    nobody = w.get(2, "x")
    assert (nobody.outcome, nobody.leader, nobody.retry_after) == ("fail", None, 1.0)
    assert nobody.reason == "node 2 is a follower; it knows no leader"
    w.elect(1)
    for answer in (w.get(2, "x"), w.answers[w.set(2, "x", "1")]):
        assert (answer.outcome, answer.leader, answer.retry_after, answer.final) == ("fail", 1, None, False)
        assert answer.reason == "node 2 is a follower; node 1 leads term 1"
    w.campaign(3)
    assert w.get(3, "x").reason == "node 3 is a candidate; it knows no leader"


@pytest.mark.parametrize("text", ["", " ", "a b", "\t", "\n", '"', "🦆", "x" * 2**20])
def test_any_text_is_set_and_read(text):
    w = World(3)
    w.elect(1)
    op = w.set(1, text, text)
    w.settle()
    assert w.answers[op].outcome == "success" and w.get(1, text).value == text
    assert w.get(1, "another key").value == ""


@pytest.mark.parametrize(
    ("op", "key", "value", "reason"),
    [
        ("SET", "k", "x" * 11, "the value has 11 bytes, more than max_bytes=10; nothing was appended"),
        ("SET", "ü" * 6, "", "the key has 12 bytes, more than max_bytes=10"),
        ("GET", "x" * 11, "", "the key has 11 bytes"),
        ("SET", "k", "\ud800", "the value is not valid text"),
        ("SET", 1, "v", "the key is not text but int; nothing was appended"),
        ("SET", "k", None, "the value is not text but NoneType"),
        ("DEL", "k", "", "there is no operation 'DEL': use SET or GET"),
    ],
)
def test_a_bad_request_fails_for_good_before_anything_is_appended(op, key, value, reason):
    node = Node(1, Config.of(1, max_bytes=10))
    node.start(0.0)
    (answer,) = (o for o in node.step(ClientRequest(op, key, value, "anna", 1, "o1"), 0.0) if isinstance(o, Answer))
    assert reason in answer.reason and (answer.outcome, answer.final) == ("fail", True)
    assert node.log == ()


@pytest.mark.parametrize(
    ("client", "request_id", "reason"),
    [("anna", -1, "the request id -1 is negative"), ("ü" * 513, 1, "the client id has more than 1024 bytes")],
)
def test_what_names_an_operation_must_be_fit_for_the_log(client, request_id, reason):
    node = Node(1, Config.of(1))
    node.start(0.0)
    node.step(TimerFired("election", 1), 7.0)
    node.step(Persisted(1), 7.0)
    before = node.log
    (answer,) = (o for o in node.step(ClientRequest("SET", "k", "v", client, request_id, "o1"), 7.0) if isinstance(o, Answer))
    assert reason in answer.reason and (answer.outcome, answer.final) == ("fail", True)
    assert node.log == before != ()


def test_a_get_under_lease_sends_nothing_and_writes_nothing():
    w = World(3)
    w.elect(1)
    outputs = w.node(1).step(ClientRequest("GET", "x", op_id="o0"), 0.5)
    assert not [o for o in outputs if isinstance(o, Send | Persist)]


def test_in_unsafe_mode_any_leader_answers():
    w = World(3, read_mode="unsafe")
    w.elect(1, by=[2])
    w.drop()
    assert w.holders() == [] and w.get(1, "x").outcome == "success"
    assert w.get(2, "x").outcome == "fail"


@pytest.mark.parametrize("role", [Role.FOLLOWER, Role.CANDIDATE])
def test_a_wrong_rule_that_lets_anyone_append_sends_nothing_in_a_leaders_name(role):
    w = World(3, rules=RULES.but(accepts_client_write=lambda view: True))
    if role == Role.CANDIDATE:
        w.campaign(1)
        w.drop()
    w.set(1, "x", "1")
    assert w.role(1) == role and w.flights == [] and w.state(1).log.last_index == 1
