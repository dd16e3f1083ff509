"""Guided simulation and random walks: the right rules raise no alarm in some schedules, a wrong one does, the same each time."""

from __future__ import annotations

import pytest

from raftedu.checker.guided import play_storm, run_guided, shrunk_storm
from raftedu.checker.wrong_rules import find
from raftedu.core.rules import RULES


def test_the_right_rules_raise_no_alarm():
    result = run_guided(RULES, [], range(12))
    assert result.failure is None and result.finished and result.schedules == 12


@pytest.mark.slow
def test_the_right_rules_raise_no_alarm_in_many_schedules():
    result = run_guided(RULES, [], range(1000, 1300))
    assert result.failure is None and result.schedules == 300
    assert result.never == []


def test_a_wrong_vote_is_found_and_its_storm_breaks_again_and_again():
    rules = find("EL-01").rules
    storm = run_guided(rules, ["grant_vote"], range(40)).failure
    assert storm is not None
    less = shrunk_storm(storm, rules)
    assert less.invariant == storm.invariant and len(less.actions) <= len(storm.actions)
    assert play_storm(less, rules).storm().reason == less.reason
    assert play_storm(less, RULES).storm() is None


def test_no_more_time_is_told():
    result = run_guided(RULES, [], range(5), goes_on=lambda: False)
    assert not result.finished and result.failure is None
