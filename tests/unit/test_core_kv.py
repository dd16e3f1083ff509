"""The state machine: what an entry does, once, and the same on every node."""

from __future__ import annotations

import pytest

from raftedu.core.kv import KeyValue
from raftedu.core.rules import RULES
from raftedu.core.types import Entry


def put(key, value, client="", request=0):
    return Entry(1, "SET", key, value, client, request)


def apply(kv, *entries, rules=RULES, is_leader=False):
    return [kv.apply(entry, rules, is_leader=is_leader) for entry in entries]


def test_a_no_op_leaves_no_trace():
    kv = KeyValue()
    assert apply(kv, Entry(1)) == ["new"]
    assert (kv.data, kv.last_request, kv.state) == ({}, {}, "")


def test_a_retry_takes_no_effect_and_an_overtaken_request_neither():
    kv = KeyValue()
    entries = [
        put("x", "1", "anna", 1),
        put("x", "2", "bert", 1),
        put("x", "1", "anna", 1),
        put("x", "3", "anna", 3),
        put("x", "9", "anna", 2),
    ]
    assert apply(kv, *entries) == ["new", "new", "duplicate", "new", "outdated"]
    assert kv.data == {"x": "3"} and kv.last_request == {"anna": 3, "bert": 1}


def test_a_client_without_a_name_cannot_be_told_from_its_retries():
    kv = KeyValue()
    assert apply(kv, put("x", "1"), put("x", "2"), put("x", "1")) == ["new"] * 3
    assert kv.data == {"x": "1"} and kv.last_request == {}


@pytest.mark.parametrize("text", ["", " ", "\t\n", '"', "🦆", "\ud800", "NO-OP", "x" * 2**20])
def test_any_text_is_a_key_and_a_value(text):
    kv = KeyValue()
    apply(kv, put(text, text, "anna", 1))
    assert kv.data == {text: text}


def test_the_state_is_the_same_for_the_same_entries_on_leader_and_follower():
    entries = [Entry(1), put("x", "1", "anna", 1), put("y", "1"), put("x", "1", "anna", 1)]
    here, there, other = KeyValue(), KeyValue(), KeyValue()
    apply(here, *entries, is_leader=True)
    apply(there, *entries)
    apply(other, *entries[:2])
    assert here.state == there.state != other.state and len(here.state) == 16


@pytest.mark.parametrize(
    "pair", [(put("x", "1"), put("x", "2")), (put("a", "bc"), put("ab", "c")), (put("x", "1", "anna", 1), put("x", "1", "anna", 2))]
)
def test_different_changes_make_different_states(pair):
    states = []
    for entry in pair:
        kv = KeyValue()
        apply(kv, entry)
        states.append(kv.state)
    assert states[0] != states[1]


def test_the_rule_decides_and_is_asked_for_every_set():
    seen = []
    kv = KeyValue()
    rules = RULES.but(apply_once=lambda view: seen.append(view) or False)
    assert apply(kv, Entry(1), put("x", "1", "anna", 1), put("x", "1"), rules=rules) == ["new", "outdated", "outdated"]
    assert [(view.client, view.last_request, view.is_leader) for view in seen] == [("anna", None, False), ("", None, False)]
    assert kv.data == {}
