"""How soon a wrong rule is found: ``python -m bench.bench_checker [ids ...]``, and how many steps a search tries in a second.

Everything is CPU time of one process. For each row of the wrong-rule catalogue: until the first violation, and until it has been
followed up to the outcome that it leads to; for each profile: the reference rules, searched as far as so many transitions reach.
"""

from __future__ import annotations

import sys
from time import process_time
from typing import NamedTuple

from raftedu.checker.hunt import Hunt, without_collector
from raftedu.checker.preflight import preflight
from raftedu.checker.profiles import PROFILES, Profile, profiles_for
from raftedu.checker.search import Search
from raftedu.checker.wrong_rules import CATALOGUE, WrongRule
from raftedu.core.guard import RuleError
from raftedu.core.rules import RULES

__all__ = ["Find", "found", "speed"]

NEAR, FAR, EACH = 130_000, 70_000, 40_000
"""Transitions: in the profiles of the rule's family, in all others, and for one profile under the reference rules."""


class Find(NamedTuple):
    """What became of a row: until the first violation and until the end, in CPU seconds; ``by`` is empty if nothing was found."""

    id: str
    by: str
    steps: int
    first: float
    whole: float


def hunted(row: WrongRule, *, pursues: bool) -> tuple[str, int, float]:
    """Return by what a row is found, in how many steps and after how many CPU seconds."""
    near, far = profiles_for(list(row.replaced))
    began = process_time()
    hunt = Hunt(row.rules, pursues=pursues, follows_duties=pursues and len(row.replaced) > 1)
    try:
        with without_collector():
            preflight(row.rules, list(row.replaced))
            catch = hunt.run(near, NEAR) or hunt.run(far, FAR)
    except RuleError:
        return "the first look", 0, process_time() - began
    if catch is not None:
        worst = catch.outcome or catch.obligation
        return worst.name if worst is not None else "", len(catch.steps), process_time() - began
    never = "Something Happens" if hunt.never() else ""
    return never or next((remark.name for remark in hunt.remarks), ""), 0, process_time() - began


def found(row: WrongRule) -> Find:
    """Return how soon a row is found."""
    _, _, first = hunted(row, pursues=False)
    by, steps, whole = hunted(row, pursues=True)
    return Find(row.id, by, steps, first, whole)


def speed(profile: Profile) -> tuple[int, float]:
    """Return how many transitions were tried under the reference rules, and in how many CPU seconds."""
    began = process_time()
    with without_collector():
        search = Search(profile, RULES)
        while not search.exhausted and search.transitions < EACH:
            for _ in search.go_deeper():
                if search.transitions >= EACH:
                    break
    return search.transitions, process_time() - began


def percentile(values: list[float], percent: int) -> float:
    """Return the value that so many percent do not exceed."""
    return sorted(values)[max(0, -(-len(values) * percent // 100) - 1)]


def told(what: str, values: list[float]) -> str:
    """Return one line about some CPU times."""
    return f"{what:22s} p50 {percentile(values, 50):5.2f} s   p95 {percentile(values, 95):5.2f} s   worst {max(values):5.2f} s"


def main() -> None:
    hunted(CATALOGUE[0], pursues=False)  # the views of the first look are recorded once
    finds = []
    for row in CATALOGUE:
        if not sys.argv[1:] or row.id in sys.argv[1:]:
            finds.append(found(row))
            print("{:7s} {:28s} {:2d} steps  first {:5.2f} s  whole {:5.2f} s".format(*finds[-1]), flush=True)
    print(told("the first violation", [find.first for find in finds]))
    print(told("with what it leads to", [find.whole for find in finds]))
    short = sum(find.steps <= 6 for find in finds)
    print(f"{short} of {len(finds)} schedules have at most 6 steps, the longest {max(find.steps for find in finds)}")
    print(f"not found: {', '.join(find.id for find in finds if not find.by) or 'none'}")
    if not sys.argv[1:]:
        tried, seconds = 0, 0.0
        for profile in PROFILES:
            transitions, took = speed(profile)
            tried, seconds = tried + transitions, seconds + took
            print(f"{profile.name:28s} {transitions:8,d} transitions  {transitions / took:9,.0f} a CPU second", flush=True)
        print(f"{'all profiles':28s} {tried:8,d} transitions  {tried / seconds:9,.0f} a CPU second")


if __name__ == "__main__":
    main()
