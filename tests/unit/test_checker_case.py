"""What each engine finds is told completely: in words, with where it parts from the reference, and as a test that shows it again."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from raftedu.checker.case import Case, StormCase, StoryCase
from raftedu.checker.checking import check_here, report_of, source_of
from raftedu.checker.coverage import Coverage
from raftedu.checker.engines import do
from raftedu.checker.report import Report
from raftedu.checker.tasks import Task
from raftedu.checker.wrong_rules import find
from raftedu.core.rules import RULES
from raftedu.core.types import Role
from raftedu.core.views import VoteView


def may_serve_read(w):
    return w.read_mode == "lease" and w.role == Role.LEADER and w.commit_term == w.term


def start_election(view):
    return None if view.role == Role.CANDIDATE else RULES.start_election(view)


def grant_vote(view: VoteView) -> bool:
    return view.candidate_log_is_up_to_date


def told(task, rules):
    """Return the report on what one task has found."""
    names = [
        name
        for name in ("grant_vote", "may_serve_read", "start_election", "lease_promise")
        if getattr(rules, name) is not getattr(RULES, name)
    ]
    done = do(task, rules, names)
    assert done.case is not None
    return report_of(names, (task,), {0: done}, source_of(rules, names))


def run(code, wrong, **my_rules):
    """Run a generated test; ``my_rules`` are the rules that it imports."""
    module = ModuleType("my_rules")
    module.__dict__.update(my_rules)
    space = {}
    sys.modules["my_rules"] = module
    try:
        exec(compile(code, "generated", "exec"), space)
        (test,) = [value for name, value in space.items() if name.startswith("test_")]
        if wrong is None:
            test()
        else:
            with pytest.raises(AssertionError, match=wrong):
                test()
    finally:
        del sys.modules["my_rules"]


def without_source(report):
    return Report(report.rules, report.coverage, report.case)


def test_what_a_neighbour_hides_is_found_beside_a_weak_one_and_said_so():
    report = told(Task("hidden", 6_000), RULES.but(may_serve_read=may_serve_read))
    assert isinstance(report.case, Case) and report.case.confirmed
    assert report.invariant in ("Read Under Lease", "No Stale Read")
    assert "alone it breaks nothing" in str(report) and "does not notice that its lease is over" in str(report)
    assert report.parting.rule == "may_serve_read"  # and not the neighbour, which answers otherwise too
    assert all(scene.outcome is None and scene.obligation is None for scene in report.with_reference)
    code = without_source(report).as_code()
    run(code, report.invariant, may_serve_read=may_serve_read)
    run(code, None, may_serve_read=RULES.may_serve_read)


def test_a_storm_is_told_by_its_faults_and_shown_again():
    row = find("LS-40")
    wrong = row.replaced["lease_promise"]
    report = told(Task("storms", 12), row.rules)
    assert isinstance(report.case, StormCase)
    assert report.steps == len(report.schedule) and "in a simulated cluster at " in report.verdict
    assert "the simulated cluster of seed" in str(report) and report.parting.rule == "lease_promise"
    assert report.trace is not None and not report.trace.leases().empty
    assert report.scenes == [] and report.trace_with_reference is None and report.parts_in is None
    assert "<script" not in report._repr_html_()
    code = report.as_code()
    run(code, report.invariant, lease_promise=wrong)
    run(code, None, lease_promise=RULES.lease_promise)


def test_a_story_is_told_and_shown_again():
    report = told(Task("stories", 1), RULES.but(start_election=start_election))
    assert isinstance(report.case, StoryCase)
    assert report.steps == 1 and report.schedule[0].endswith(".")
    assert report.score == 0.5
    code = without_source(report).as_code()
    run(code, report.invariant, start_election=start_election)
    run(code, None, start_election=RULES.start_election)


def test_a_walk_is_told_like_a_search():
    report = told(Task("walks", 50), RULES.but(grant_vote=grant_vote))
    assert isinstance(report.case, Case) and report.case.confirmed
    assert report.invariant in ("One Vote a Term", "Election Safety") and report.steps <= 4


def test_a_report_has_both_traces_and_says_where_they_part():
    report = check_here(RULES.but(grant_vote=grant_vote), budget=300)
    assert report.case.confirmed
    assert report.parts_in == report.parting.step == 2
    mine, theirs = report.trace.only(event="vote_granted").frame, report.trace_with_reference.only(event="vote_granted").frame
    assert len(mine) > len(theirs)
    assert "The same steps with the reference rules" in report._repr_html_()


def test_the_text_of_a_rule_goes_into_its_test():
    report = check_here(RULES.but(grant_vote=grant_vote), budget=300)
    code = report.as_code()
    assert "def grant_vote(view: VoteView) -> bool:\n    return view.candidate_log_is_up_to_date" in code
    run(code, "Election Safety")
    lambdas = RULES.but(grant_vote=lambda view: True)
    assert source_of(lambdas, ["grant_vote"]) is None


def test_there_is_no_code_where_nothing_was_found():
    with pytest.raises(ValueError, match="nothing to show again"):
        Report(("grant_vote",), Coverage()).as_code()


def test_what_cannot_travel_becomes_words():
    report = told(Task("storms", 12), find("LS-40").rules)
    words = report.case.in_words_only()
    assert words.parting.view == repr(report.parting.view) and words.storm.dumps == ()


def test_who_is_slow_passes_and_is_told():
    report = Report(("lease_wait",), Coverage(remarks=check_remarks()))
    assert report.passed and report.score == 1.0
    assert "slower than need be: Reports No More Than Owed: " in str(report) and "slower than need be" in report._repr_html_()


def check_remarks():
    done = do(Task("near", 2_000), find("LS-10c").rules, ["remaining_promise"])
    assert done.case is None
    return done.coverage.remarks
