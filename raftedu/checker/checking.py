"""`check`: looks for the shortest schedule in which a rule breaks what Raft or the lease promises.

Works in this process; `raftedu.checker.worker` runs the same in a process of its own that can be ended.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from time import perf_counter
from typing import Any

from raftedu.checker.hunt import Catch, Hunt, without_collector
from raftedu.checker.preflight import preflight
from raftedu.checker.profiles import profiles_for
from raftedu.checker.replay import parting, play, script
from raftedu.checker.report import Coverage, Report
from raftedu.checker.shrink import shrunk
from raftedu.core.guard import RuleError
from raftedu.core.rules import RULES, Rules, rule_names

__all__ = ["EFFORTS", "check_here", "replaced_names", "table_of"]

EFFORTS = {"quick": 30_000, "class": 200_000, "thorough": 2_000_000}
"""How many transitions each effort tries; this, not the clock, decides the verdict."""


def table_of(rule_or_rules: Callable[[Any], Any] | Rules) -> Rules:
    """Return the table of rules that is meant: a table, or a function named after the rule that it replaces.

    Raises
    ------
    TypeError
        It is neither.
    """
    if isinstance(rule_or_rules, Rules):
        return rule_or_rules
    name = getattr(rule_or_rules, "__name__", None)
    if not callable(rule_or_rules) or name not in rule_names():
        raise TypeError(
            f"check wants a function named after a rule, or Rules such as RULES.but(...); {name or rule_or_rules!r} is none of: "
            f"{', '.join(rule_names())}"
        )
    return RULES.but(**{name: rule_or_rules})


def replaced_names(rules: Rules) -> list[str]:
    """Return which rules are not the reference's."""
    return [f.name for f in fields(Rules) if getattr(rules, f.name) is not getattr(RULES, f.name)]


def check_here(
    rules: Rules, *, effort: str = "class", budget: float = 10.0, n: int | None = None, progress: Callable[[int], None] = lambda _: None,
) -> Report:  # fmt: skip
    """Return the report on these rules, worked out in this process; ``progress`` is told now and then how many transitions were tried.

    Raises
    ------
    RuleError
        A rule raised, or answered nonsense or differently to the same view.
    """
    names = replaced_names(rules)
    began = perf_counter()
    limit = EFFORTS[effort]
    near, far = profiles_for(names, n)
    with without_collector():
        preflight(rules, names)

        def goes_on() -> bool:
            progress(hunt.transitions)
            return perf_counter() - began < budget

        hunt = Hunt(rules, goes_on=goes_on, follows_duties=len(names) > 1)
        catch = hunt.run(near, limit * 2 // 3 if far else limit) if near else None
        if catch is None and far:
            catch = hunt.run(far, limit - hunt.transitions)
        report = _report(rules, names, hunt, catch)
    return report


def _report(rules: Rules, names: list[str], hunt: Hunt, catch: Catch | None) -> Report:
    covered = Coverage(
        transitions=hunt.transitions, states=sum(search.states for search in hunt.searches), finished=hunt.finished,
        profiles=tuple((search.profile.name, search.depth, search.exhausted) for search in hunt.searches),
    )  # fmt: skip
    if catch is None:
        return Report(tuple(names), covered, never=tuple(hunt.never()) if hunt.finished else ())
    schedule = script(catch.search, catch.steps)
    scenes = play(schedule, rules)
    if all(scene.obligation is None and scene.outcome is None for scene in scenes):
        again = Hunt(rules, alike=False).run((catch.profile,), hunt.transitions * 6)
        schedule = script(again.search, again.steps) if again is not None else schedule
        scenes = play(schedule, rules)
    if all(scene.obligation is None and scene.outcome is None for scene in scenes):
        raise RuleError(
            names[0], None, f"{' or '.join(names)} does not answer the same to the same view: what the search found does not happen again"
        )
    schedule = shrunk(schedule, rules)
    scenes = play(schedule, rules)
    return Report(tuple(names), covered, schedule, scenes, play(schedule, RULES), parting(scenes))
