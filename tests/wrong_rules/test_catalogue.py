"""Every row of the catalogue is found by the invariant that it names; the slow half also demands the disaster that it leads to."""

from __future__ import annotations

import pytest

from raftedu.checker import hunt
from raftedu.checker.hunt import Hunt, without_collector
from raftedu.checker.invariants import INVARIANTS
from raftedu.checker.profiles import PROFILES, profiles_for
from raftedu.checker.replay import play, script
from raftedu.checker.wrong_rules import CATALOGUE, WrongRule, find
from raftedu.core.rules import RULES, rule_names

NO_DISASTER_FOUND_BY_SEARCH = {"AE-09", "EL-04", "EL-05", "LS-19", "LS-23b", "PE-02", "RP-01", "TM-01", "TM-04", "TM-09", "UP-02"}
"""Of these the search alone finds the broken promise and, within its bounds, no outcome."""


def hunted(row: WrongRule) -> tuple[list[str], int]:
    """Return all that breaks in the schedule found for a row, and how many steps that has."""
    near, far = profiles_for(list(row.replaced))
    only = tuple(profile for profile in PROFILES if profile.name == row.profile)
    with without_collector():
        quarry = Hunt(row.rules, follows_duties=len(row.replaced) > 1)
        if row.breaks == "Something Happens":
            assert quarry.run(near, 2_000) is None and quarry.never()
            return ["Something Happens"], 0
        catch = quarry.run(only or near, 130_000) or quarry.run(far, 70_000)
    assert catch is not None, f"{row.id} is not found"
    scenes = play(script(catch.search, catch.steps), row.rules)
    return [b.name for scene in scenes for b in (scene.obligation, scene.outcome) if b is not None], len(catch.steps)


@pytest.mark.parametrize("row", CATALOGUE, ids=[row.id for row in CATALOGUE])
def test_a_wrong_rule_is_found_by_the_invariant_it_names(row, monkeypatch):
    if len(row.replaced) == 1:  # of a pair the first step may break what the neighbour owes
        monkeypatch.setattr(hunt, "PURSUIT", 0)
    broken, steps = hunted(row)
    assert row.breaks in broken or row.hurts in broken
    assert steps <= 8


def test_nearly_all_rows_are_looked_for_everywhere():
    assert len([row for row in CATALOGUE if row.profile]) <= len(CATALOGUE) // 20


@pytest.mark.slow
@pytest.mark.parametrize("row", CATALOGUE, ids=[row.id for row in CATALOGUE])
def test_the_disaster_is_found_too(row):
    broken, _ = hunted(row)
    if row.hurts in INVARIANTS and row.id not in NO_DISASTER_FOUND_BY_SEARCH:
        assert any(INVARIANTS[name].kind == "outcome" for name in broken)


def test_rows_name_invariants_and_rules():
    assert len({row.id for row in CATALOGUE}) == len(CATALOGUE)
    for row in CATALOGUE:
        assert row.breaks in INVARIANTS
        assert set(row.replaced) <= set(rule_names())
        assert row.rules != RULES
        assert row.hint and row.source


def test_every_rule_has_a_wrong_one():
    assert set(rule_names()) - {name for row in CATALOGUE for name in row.replaced} == {"lease_is_valid"}


def test_a_row_is_found_by_its_id():
    assert find("CM-01").what == "commits entries of older terms by counting"
    with pytest.raises(LookupError, match="no wrong rule 'CM-99'"):
        find("CM-99")


def test_figure_8_takes_six_steps():
    row = find("CM-01")
    broken, steps = hunted(row)
    assert steps <= 6
    assert "Leader Completeness" in broken and "Commit Justified" in broken
