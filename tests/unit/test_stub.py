"""`raftedu.rule`: the sheet of every rule is whole, can be pasted and tried, and gives nothing away."""

from __future__ import annotations

import ast
import inspect
import re

import pytest

import raftedu
from raftedu import RULES, RuleError, check, rule
from raftedu.checker.fields import FIELDS, QUESTIONS
from raftedu.checker.stub import RuleNameError, _told, near_name
from raftedu.core.guard import guarded
from raftedu.core.rules import rule_names

every_rule = pytest.mark.parametrize("name", rule_names())


def pasted(name):
    """Return the function that a student has after pasting the stub into an empty file."""
    namespace = {}
    exec(rule(name).stub, namespace)
    return namespace[name]


@every_rule
def test_every_rule_has_a_question_and_something_to_read(name):
    sheet = rule(name)
    assert sheet.question.endswith("?")
    assert re.search(r"§\d|R\d|U\d", sheet.read)


def test_a_new_rule_or_field_has_its_row_and_no_row_is_left_over():
    assert set(QUESTIONS) == set(rule_names())
    used = {key for name in rule_names() for view in [rule(name).sees] for key in _rows(view)}
    assert used == set(FIELDS)


def _rows(view):
    return [f"{view.__name__}.{name}" if f"{view.__name__}.{name}" in FIELDS else name for name in view._fields]


@every_rule
def test_every_field_is_explained_in_one_place(name):
    sheet = rule(name)
    by_docstring = _told(sheet.sees.__doc__)
    assert list(sheet.fields) == list(sheet.sees._fields)
    for field, row in zip(sheet.sees._fields, _rows(sheet.sees), strict=True):
        assert FIELDS[row].means or field in by_docstring
        assert re.search(rf"#   view\.{field} ", sheet.stub)


@every_rule
def test_a_stub_can_be_pasted_and_says_that_it_is_not_written(name):
    function = pasted(name)
    assert list(inspect.signature(function).parameters) == ["view"]
    assert rule(name).question in function.__doc__
    with pytest.raises(NotImplementedError, match=f"{name} is not written yet"):
        function(rule(name).example())
    with pytest.raises(RuleError, match=f"^{name} is not written yet: put your rule where it says `raise NotImplementedError`"):
        getattr(guarded(RULES.but(**{name: function})), name)(rule(name).example())


@every_rule
def test_the_example_is_a_view_that_the_rule_can_answer(name):
    view = rule(name).example()
    assert isinstance(view, rule(name).sees)
    reference = getattr(RULES, name)
    checked = getattr(guarded(RULES.but(**{name: lambda view: reference(view)})), name)
    assert checked(view) == reference(view)


@every_rule
def test_nothing_of_the_reference_is_shown(name):
    tree = ast.parse(inspect.getsource(getattr(RULES, name)))
    told = repr(rule(name)) + rule(name)._repr_html_()
    answers = [node.value for node in ast.walk(tree) if isinstance(node, ast.Return)]
    # The mere name of a field stands in every sheet.
    answers = [ast.unparse(answer) for answer in answers if not isinstance(answer, ast.Name | ast.Attribute | ast.Constant)]
    assert [answer for answer in answers if answer in told] == []


@every_rule
def test_lines_are_short_and_the_html_tells_all_of_it(name):
    sheet = rule(name)
    assert max(map(len, sheet.stub.splitlines())) <= 120
    assert max(map(len, repr(sheet).splitlines())) <= 140
    html = sheet._repr_html_()
    assert "<script" not in html
    assert [field for field in sheet.fields if f"<code>view.{field}</code>" not in html] == []


def test_the_terminal_shows_the_stub_and_how_to_go_on():
    told = repr(rule("grant_vote"))
    assert told.startswith("from raftedu.core.views import VoteView\n\n\ndef grant_vote(view: VoteView) -> bool:\n")
    assert "#   view.candidate_log_is_up_to_date  what log_is_up_to_date has answered\n" in told
    assert told.endswith("#   raftedu.check(grant_vote)")
    ast.parse(told)


def test_the_lines_that_try_a_rule_run():
    sheet = rule("grant_vote")
    *first, second, last = sheet.attempts.splitlines()
    names = {"raftedu": raftedu, "grant_vote": RULES.grant_vote}
    exec("\n".join(first), names)
    assert eval(second, names) is True
    assert last == "raftedu.check(grant_vote)"


def test_an_example_takes_what_you_say():
    assert rule("grant_vote").example(voted_for=0).voted_for == 0
    with pytest.raises(TypeError, match="VoteView has no field 'votedFor'; it has: node, term, voted_for"):
        rule("grant_vote").example(votedFor=1)


def test_answers_that_are_records_come_with_their_imports():
    assert rule("on_higher_term").stub.startswith("from raftedu.core.types import Role\nfrom raftedu.core.views import Adopted, TermView\n")
    assert "(voter, term, granted, remaining, received_at, msg)" in rule("wins_election").stub


def test_a_name_that_is_none_is_told_in_one_line_with_all_that_are():
    with pytest.raises(
        RuleNameError, match=r"^there is no rule 'grantVote'; do you mean 'grant_vote'\? The rules are: .*lease_expiry"
    ) as told:
        rule("grantVote")
    assert told.value._render_traceback_() == [f"RuleNameError: {told.value}"]
    with pytest.raises(RuleNameError, match=r"^say which rule, as in rule\('grant_vote'\)\. The rules are: "):
        rule()
    with pytest.raises(RuleNameError, match=r"^there is no rule 'xyzzy'\. The rules are: "):
        rule("xyzzy")


@pytest.mark.parametrize(("typed", "meant"), [
    ("GrantVote", "grant_vote"), ("log_up_to_date", "log_is_up_to_date"), ("commit_index", "leader_commit_index"), ("qqq", None),
])  # fmt: skip
def test_what_may_be_meant(typed, meant):
    assert near_name(typed) == meant


def test_a_stub_that_is_not_filled_in_is_told_by_check():
    with pytest.raises(RuleError, match="^grant_vote is not written yet") as told:
        check(pasted("grant_vote"), workers=0)
    assert told.value._render_traceback_() == [f"RuleError: {told.value}"]
