"""Every row of the catalogue is found by the invariant that it names; the slow half also demands the disaster that it leads to."""

from __future__ import annotations

import pytest

from raftedu.checker.guided import run_guided
from raftedu.checker.hunt import Catch, Hunt, without_collector
from raftedu.checker.invariants import INVARIANTS
from raftedu.checker.preflight import preflight
from raftedu.checker.profiles import PROFILES, profiles_for
from raftedu.checker.replay import play, script
from raftedu.checker.walks import run_walks
from raftedu.checker.wrong_rules import CATALOGUE, WrongRule, find
from raftedu.core.guard import RuleError
from raftedu.core.rules import RULES, rule_names

TO_STORMS = {"AE-36", "LS-19", "LS-33", "LS-40", "LS-41", "TM-04", "UP-02"}
"""The search finds the broken promise and, within its bounds, no outcome; guided simulation does."""

TO_WALKS = {"AE-09"}
"""The same, and random walks find the outcome."""

NOWHERE = {
    "LS-23b": "two clocks at the edge of rho, a restart and an election within the margin: a few percent of a lease",
    "LS-43": "a promise becomes shorter only if leases were longer in an earlier life, and no leader of that life is in our worlds",
    "LS-44": "as LS-43",
    "PE-02": "a term forgotten by a candidate is heard of again from whoever voted in it, unless they crash too",
    "RP-01": "random schedules meet it rarely; properties/test_wrong_rules.py has a directed one",
}
"""Of these no engine has found the outcome, and why that is so; the broken promise is found."""

BEFORE_ANY_SEARCH = {"A Rule Only Decides", "Any Id Is Somebody"}


def _one_of_each_rule() -> list[object]:
    """Return all rows; the first of each rule is tried in `make test`, the others in `make test-all`."""
    seen: set[tuple[str, ...]] = set()
    params = []
    for row in CATALOGUE:
        rules = tuple(row.replaced)
        params.append(pytest.param(row, id=row.id, marks=[pytest.mark.slow] if rules in seen else []))
        seen.add(rules)
    return params


QUICK = _one_of_each_rule()


def hunted(row: WrongRule, pursues: bool = True) -> tuple[list[str], int]:
    """Return all that breaks in the schedule found for a row, and how many steps that has."""
    if row.breaks in BEFORE_ANY_SEARCH:
        with pytest.raises(RuleError, match=next(iter(row.replaced))):
            preflight(row.rules, list(row.replaced))
        return [row.breaks], 0
    near, far = profiles_for(list(row.replaced))
    only = tuple(profile for profile in PROFILES if profile.name == row.profile)
    with without_collector():
        quarry = Hunt(row.rules, pursues=pursues, follows_duties=len(row.replaced) > 1)
        if row.breaks == "Something Happens" or INVARIANTS[row.breaks].kind == "bound":
            assert quarry.run(near, 2_000) is None
            return ["Something Happens" for _ in quarry.never()[:1]] + [remark.name for remark in quarry.remarks], 0
        catch = quarry.run(only or near, 130_000) or quarry.run(far, 70_000)
        assert catch is not None, f"{row.id} is not found"
        if not broken_in(catch, row):  # a rule that looks at ids is not the same for all nodes
            catch = Hunt(row.rules, alike=False, pursues=pursues).run((catch.profile,), quarry.transitions * 6)
    return broken_in(catch, row), len(catch.steps)


def broken_in(catch: Catch, row: WrongRule) -> list[str]:
    """Return what breaks when the schedule is played once more."""
    scenes = play(script(catch.search, catch.steps), row.rules)
    return [b.name for scene in scenes for b in (scene.obligation, scene.outcome) if b is not None]


@pytest.mark.parametrize("row", QUICK)
def test_a_wrong_rule_is_found_by_the_invariant_it_names(row):
    broken, steps = hunted(row, pursues=len(row.replaced) > 1)  # of a pair the first step may break what the neighbour owes
    assert row.breaks in broken or row.hurts in broken
    assert steps <= 8


def test_nearly_all_rows_are_looked_for_everywhere():
    assert len([row for row in CATALOGUE if row.profile]) <= len(CATALOGUE) // 20


@pytest.mark.slow
@pytest.mark.parametrize("row", CATALOGUE, ids=[row.id for row in CATALOGUE])
def test_the_disaster_is_found_too(row):
    broken, _ = hunted(row)
    if row.hurts in INVARIANTS and row.breaks not in BEFORE_ANY_SEARCH and row.id not in TO_STORMS | TO_WALKS | NOWHERE.keys():
        assert any(INVARIANTS[name].kind == "outcome" for name in broken)


@pytest.mark.parametrize("id", sorted(TO_STORMS))
def test_a_storm_comes_to_the_disaster_that_a_search_does_not_reach(id):
    row = find(id)
    storm = run_guided(row.rules, list(row.replaced), range(12), kinds=frozenset({"outcome"})).failure
    assert storm is not None and INVARIANTS[storm.invariant].kind == "outcome"


@pytest.mark.slow
@pytest.mark.parametrize("id", sorted(TO_WALKS))
def test_a_walk_comes_to_the_disaster_that_a_search_does_not_reach(id):
    row = find(id)
    catch = run_walks(row.rules, list(row.replaced), range(400), outcomes_only=True).failure
    assert catch is not None and INVARIANTS[catch.broken.name].kind == "outcome" and catch.steps <= 10


@pytest.mark.parametrize("id", ["RP-31", "RP-34", "TM-09", "EL-04", "EL-05"])
def test_after_a_storm_a_cluster_with_such_a_rule_stands_still(id):
    row = find(id)
    assert row.hurts == "liveness"
    storm = run_guided(row.rules, list(row.replaced), range(12), kinds=frozenset({"outcome", "progress"})).failure
    assert storm is not None and storm.invariant == "Progress After Healing"


def test_rows_name_invariants_and_rules():
    assert len({row.id for row in CATALOGUE}) == len(CATALOGUE)
    for row in CATALOGUE:
        assert row.breaks in INVARIANTS
        assert set(row.replaced) <= set(rule_names())
        assert row.rules != RULES
        assert row.hint and row.source


def test_every_rule_has_a_wrong_one():
    assert set(rule_names()) == {name for row in CATALOGUE for name in row.replaced}


def test_a_row_is_found_by_its_id():
    assert find("CM-01").what == "commits entries of older terms by counting"
    with pytest.raises(LookupError, match="no wrong rule 'CM-99'"):
        find("CM-99")


def test_figure_8_takes_six_steps():
    row = find("CM-01")
    broken, steps = hunted(row)
    assert steps <= 6
    assert "Leader Completeness" in broken and "Commit Justified" in broken
