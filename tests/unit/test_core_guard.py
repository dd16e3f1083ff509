"""A replaced rule that raises or returns nonsense is a RuleError that names rule, view and fix; the reference runs unguarded."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from raftedu.core.guard import RETURNS, RuleError, guarded
from raftedu.core.rules import RULES, rule_names
from raftedu.core.types import Role
from raftedu.core.views import Adopted, Campaign, NewLeader, Progress, Result
from tests.harness import World
from tests.unit.test_core_rules import CASES

MAY_BE_NONE = {"start_election", "acknowledged_index", "lease_expiry"}
NONSENSE = {
    "election_timeout_range": [5.0, (5.0,), (5.0, "x"), (10.0, 5.0), (-1.0, 5.0), (5.0, float("inf"))],
    "start_election": [1, (2, 1), Campaign(-1, 1), Campaign(2, "1"), Campaign("2", 1)],
    "on_higher_term": [
        3,
        (3, Role.FOLLOWER, None),
        Adopted(3, "follower", None),
        Adopted(-1, Role.FOLLOWER, None),
        Adopted(3, Role.FOLLOWER, "1"),
    ],
    "reply_term": [-1, 1.5, True, "1"],
    "become_leader": [
        {},
        NewLeader(5, {}, True, True, 4),
        NewLeader({2: -1, 3: 1}, {2: 0, 3: 0}, True, True, 4),
        NewLeader({2: 1}, {2: 0}, True, True, 4),
    ],
    "merged_log": [7, (1, 2), ("a",)],
    "acknowledged_index": [-1, True, "3"],
    "entries_to_send": [3, (1,), (1, 2.5), (1, None)],
    "after_append_reply": [3, (5, 4), Progress(5, None), Progress(5, -1)],
    "leader_commit_index": [-1, 1.0, False],
    "follower_commit_index": [-1, "1"],
    "applicable": [-1, 2.5],
    "client_outcome": ["success", Result("done"), Result("success", None)],
    "lease_promise": ["8", float("nan"), True],
    "promise_at_restart": ["8", float("nan")],
    "remaining_promise": [(), float("nan")],
    "lease_wait": ["8", float("nan")],
    "lease_expiry": ["8", float("nan"), True],
}


def call(name, rule):
    return getattr(guarded(RULES.but(**{name: rule})), name)(CASES[name][0][0])


@pytest.mark.parametrize("name", rule_names())
def test_none_is_a_forgotten_return(name):
    if name in MAY_BE_NONE:
        assert call(name, lambda view: None) is None
    else:
        with pytest.raises(RuleError, match=f"{name} returned None; did you forget `return`\\? It must return "):
            call(name, lambda view: None)


@pytest.mark.parametrize("name", rule_names())
def test_nonsense_is_refused_in_words(name):
    for answer in NONSENSE.get(name, ["yes", 1, 0, ()]):
        with pytest.raises(RuleError, match=f"^{name} returned ") as refused:
            call(name, lambda view, answer=answer: answer)
        assert refused.value.rule == name and refused.value.view is CASES[name][0][0]


@pytest.mark.parametrize("name", rule_names())
def test_the_reference_passes_its_own_guard(name):
    rule = getattr(RULES, name)
    copy = getattr(guarded(RULES.but(**{name: lambda view: rule(view)})), name)
    assert [copy(view) for view, _ in CASES[name]] == [rule(view) for view, _ in CASES[name]]


def test_every_rule_that_answers_more_than_yes_or_no_is_described():
    assert set(RETURNS) == set(NONSENSE) <= set(rule_names())


def test_a_forgotten_peer_is_named():
    with pytest.raises(RuleError, match="it must name every peer, and node 3 is missing"):
        call("become_leader", lambda view: NewLeader({2: 1}, {2: 0, 3: 0}, True, True, 4))


def test_an_exception_is_told_with_what_the_rule_was_given():
    told = r"grant_vote raised ZeroDivisionError in line \d+ of <lambda>: division by zero. It was given VoteView\(node=1"
    with pytest.raises(RuleError, match=told) as refused:
        call("grant_vote", lambda view: 1 / 0)
    assert isinstance(refused.value.__cause__, ZeroDivisionError)


def test_a_misspelt_field_comes_with_a_hint():
    with pytest.raises(RuleError, match="do you mean `voted_for`\\? The view has: node, term, voted_for"):
        call("grant_vote", lambda view: view.votedFor is None)
    with pytest.raises(RuleError, match="there is no such field"):
        call("grant_vote", lambda view: view.weather)


def test_an_attribute_error_elsewhere_gets_no_hint():
    with pytest.raises(RuleError) as refused:
        call("grant_vote", lambda view: "".weather)
    assert "The view has" not in str(refused.value)


def test_rules_that_are_no_table_are_refused():
    with pytest.raises(TypeError, match=r"rules must be a whole table, as in RULES.but\(grant_vote=mine\), not dict"):
        guarded({"grant_vote": lambda view: True})


def test_the_reference_is_not_wrapped_and_nothing_is_wrapped_twice():
    assert guarded(RULES) is RULES
    once = guarded(RULES.but(grant_vote=lambda view: True))
    assert guarded(once).grant_vote is once.grant_vote
    same = [f.name for f in dataclasses.fields(once) if getattr(once, f.name) is not getattr(RULES, f.name)]
    assert same == ["grant_vote"]


def test_a_wrong_rule_stops_its_node_with_a_rule_error():
    w = World(3, rules=RULES.but(grant_vote=lambda view: None))
    with pytest.raises(RuleError, match="grant_vote returned None"):
        w.elect(1)


class Unprintable:
    def __repr__(self):
        raise ValueError


@pytest.mark.parametrize(("name", "rule", "told"), [
    ("grant_vote", lambda view: voted_for is None, r"\(do you mean `view.voted_for`\?\)"),  # noqa: F821
    ("grant_vote", lambda view: true, r"\(do you mean `True`\?\)"),  # noqa: F821
    ("grant_vote", lambda view: view["voted_for"], r"with a dot, as in `view.term`"),
    ("grant_vote", lambda view: setattr(view, "term", 3), "a view cannot be changed"),
    ("grant_vote", lambda view, more: True, r"grant_vote raised TypeError: .* \(a rule takes one argument, its view\)"),
    ("grant_vote", lambda: True, r"\(a rule takes one argument, its view\)"),
    ("grant_vote", lambda view: "True", "must return True or False, without quotes"),
    ("grant_vote", lambda view: view.index, r"did you forget to call it, with `\(\)`\?"),
    ("grant_vote", lambda view: Unprintable(), "returned something of the kind Unprintable; it must return True or False"),
    ("grant_vote", lambda view: np.bool_(True), r"write `bool\(\.\.\.\)` around it"),
    ("leader_commit_index", lambda view: np.int64(1), r"write `int\(\.\.\.\)` around it"),
    ("leader_commit_index", lambda view: 2 / 1, "divide with `//`"),
    ("start_election", lambda view: (3, 1), r"write `Campaign\(\.\.\.\)`, from raftedu.core.views"),
    ("on_higher_term", lambda view: Adopted(3, "leader", None), "the role a Role"),
    ("become_leader", lambda view: ({}, {}), r"NewLeader\(next_index, match_index, append_no_op, heartbeat_at_once, keep_log_to\)"),
])  # fmt: skip
def test_a_usual_slip_comes_with_what_may_be_meant(name, rule, told):
    with pytest.raises(RuleError, match=told):
        call(name, rule)


def test_a_rule_that_is_not_written_says_so_and_a_notebook_shows_one_line():
    def missing(view):
        raise NotImplementedError

    with pytest.raises(RuleError, match="^grant_vote is not written yet: .* It must return True or False$") as told:
        call("grant_vote", missing)
    assert told.value._render_traceback_() == [f"RuleError: {told.value}"]


def test_the_line_that_is_named_is_the_students_own():
    def bad(view):
        return view.term_at(99)  # the exception comes from deeper inside

    with pytest.raises(RuleError, match=f"IndexError in line {bad.__code__.co_firstlineno + 1} of bad"):
        call("leader_commit_index", bad)
