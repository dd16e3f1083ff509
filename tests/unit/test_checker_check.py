"""`check` and its report: what a student types and reads."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module

import pytest

from raftedu import RULES, RuleError, check
from raftedu.checker import Report, RuleBroken
from raftedu.checker.checking import check_here, table_of
from raftedu.checker.coverage import Coverage
from raftedu.checker.preflight import preflight, views_of
from raftedu.checker.replay import play
from raftedu.checker.wrong_rules import find
from raftedu.core.rules import rule_names


def grant_vote(view):
    return view.candidate_term >= view.term and view.candidate_log_is_up_to_date


@pytest.fixture(scope="module")
def report():
    return check(grant_vote, workers=0)


def test_a_wrong_vote_is_told_in_the_students_terms(report):
    assert not report.passed
    assert report.invariant == "Election Safety"
    assert report.steps == 2
    assert report.reason == "node 2 voted for 1 and for 3 in term 1; and so nodes 1 and 3 both became leader of term 1"
    assert report.schedule == ["after a long silence, elect 1 via 2 at term 1", "after a long silence, elect 3 via 2 at term 1"]


def test_the_report_shows_where_the_rule_and_the_reference_part(report):
    p = report.parting
    assert (p.step, p.rule, p.answered, p.reference) == (2, "grant_vote", True, False)
    assert (p.view.node, p.view.voted_for, p.view.candidate) == (2, 1, 3)
    assert "the reference answers False" in str(report)


def test_with_the_reference_the_same_steps_do_no_harm(report):
    assert all(scene.outcome is None and scene.obligation is None for scene in report.with_reference)
    assert len(report.with_reference) == 2


def test_the_table_is_static_and_escaped(report):
    html = report._repr_html_()
    assert "<script" not in html and "&lt;Role.FOLLOWER" in html
    assert [table.count("<tr>") for table in html.split("<details>")] == [3, 3]  # under this rule, and under the reference
    assert "leader t1, vote 1, log [| 1]" in html


def test_a_failed_report_can_be_raised(report):
    with pytest.raises(RuleBroken, match="Election Safety"):
        report.raise_if_failed()


def test_a_pass_says_what_was_searched_and_never_correct():
    passed = check(RULES, effort="quick", budget=60, n=4, workers=0)
    assert passed.passed and passed.finished and passed.invariant is None
    assert str(passed).startswith("the reference rules: no violation in ")
    assert "correct" not in str(passed)
    passed.raise_if_failed()


def test_no_time_is_not_a_verdict():
    hurried = check_here(RULES, effort="class", budget=0.0)
    assert not hurried.passed and not hurried.finished and hurried.score == 0.0
    with pytest.raises(RuleBroken, match="not finished"):
        hurried.raise_if_failed()
    assert "not finished: time was up" in hurried.verdict


def test_a_warm_start_is_told_apart_from_the_schedule():
    told = check(find("LS-12").rules, workers=0)
    assert told.invariant == "No Stale Read"
    assert told.warm_up[0] == "elect 1 via 2, 3 at term 1"
    assert told.steps == len(told.schedule) <= 4
    assert "before: elect 1 via 2, 3 at term 1; append 1→2" in str(told)


def test_a_schedule_has_no_step_too_many():
    told = check(find("LS-10").rules, workers=0)
    assert told.invariant == "Lease Disjoint"
    for place in range(told.plan.before, len(told.plan.scripts)):
        less = told.plan._replace(scripts=told.plan.scripts[:place] + told.plan.scripts[place + 1 :])
        scenes = play(less, find("LS-10").rules)
        assert not all(scene.possible for scene in scenes) or all(scene.outcome is None for scene in scenes)


def test_promise_and_disaster_are_both_shown():
    told = check(find("LS-12").rules, workers=0)
    assert told.broken_promise[1].name == "Commit Justified"
    assert told.disaster[1].name == "No Stale Read"
    assert told.broken_promise[0] < told.disaster[0] == told.steps


def missing_return(view):
    answer = view.candidate_log_is_up_to_date
    print(answer, end="")


def misspelt(view):
    return view.votedFor is None


def of_chance(view, seen=[]):  # noqa: B006
    seen.append(view)
    return len(seen) % 2 == 0


def changes_its_view(view):
    view.match_index.clear()
    return view.commit_index


@pytest.mark.parametrize(("name", "rule", "words"), [
    ("grant_vote", missing_return, "did you forget `return`"), ("grant_vote", misspelt, "do you mean `voted_for`"),
    ("grant_vote", of_chance, "must not depend on chance"), ("leader_commit_index", changes_its_view, "changed what it was shown"),
    ("lease_wait", lambda view: "soon", "must return a number of seconds"),
])  # fmt: skip
def test_a_rule_that_is_none_is_told_so(name, rule, words):
    with pytest.raises(RuleError, match=words):
        check(RULES.but(**{name: rule}), workers=0)


def test_what_is_no_rule_is_refused():
    with pytest.raises(TypeError, match="named after a rule"):
        check(lambda view: True)
    with pytest.raises(ValueError, match="choose one of quick, class, thorough"):
        check(grant_vote, effort="much")
    assert table_of(grant_vote).grant_vote is grant_vote


def test_every_rule_is_looked_at_before_the_search():
    assert [name for name in rule_names() if not views_of(name)] == []
    preflight(RULES, list(rule_names()))


def test_a_rule_that_looks_at_ids_is_found_too():
    def picky(view):
        return view.candidate_term >= view.term and (view.voted_for in (None, view.candidate) or view.node == 2)

    told = check(RULES.but(grant_vote=picky), workers=0)
    assert told.invariant == "Election Safety"
    assert "node 2 voted for" in told.reason


SCRIPT = """
from raftedu import check
from raftedu.checker.wrong_rules import find
for id in ("EL-01", "LS-02", "AE-02"):
    print(check(find(id).rules, workers=0))
"""


def test_the_answer_is_the_same_in_every_process():
    told = [
        subprocess.run(
            [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
        ).stdout
        for seed in ("1", "2")
    ]  # fmt: skip
    assert told[0] == told[1] and "Lease Disjoint" in told[0]


def test_who_does_nothing_is_not_called_safe():
    told = check(find("LS-17b").rules, workers=0, effort="quick")
    assert not told.passed and told.invariant == "Valid Leader Stays"


def test_nothing_at_all_is_told_as_that():
    told = Report(("start_election",), Coverage(transitions=10, awaited=frozenset({"a leader was elected"})))
    assert not told.passed and told.invariant == "Something Happens" and told.score == 0.5
    assert "no leader was elected" in told.reason and told.verdict.endswith("nothing ever happened")
    assert "does nothing" in told._repr_html_()


def test_the_public_name_is_the_function():
    package = import_module("raftedu")
    import_module("raftedu.checker")
    assert callable(package.check) and package.check is check
