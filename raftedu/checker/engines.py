"""The engines of a check, one function each: they do one task under given rules and say how far they came and what they found.

Works in whatever process it is called; a row of `ENGINES` is all that a new engine needs besides its share in `raftedu.checker.tasks.plan`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from raftedu.checker.case import StoryCase, case_of, caught, storm_case
from raftedu.checker.coverage import Coverage
from raftedu.checker.guided import EVERYTHING, run_guided
from raftedu.checker.hunt import Hunt, without_collector
from raftedu.checker.masked import hidden
from raftedu.checker.probes import run_probes
from raftedu.checker.profiles import Profile, profiles_for
from raftedu.checker.tasks import Done, Task
from raftedu.checker.walks import run_walks
from raftedu.core.rules import Rules

__all__ = ["ENGINES", "Hear", "do"]

Hear: TypeAlias = Callable[[float], bool]
"""Told now and then which part of a task is done, answers whether to go on; 1.0: something was found, and is now being told in full."""

FOUND = 1.0

ENOUGH = 50
"""After so many storms everything has happened that must sometimes."""


def _told(hear: Hear, part: Callable[[], float]) -> Callable[[], bool]:
    """Return what an engine asks whether to go on; while it is looking it has never quite done all."""
    return lambda: hear(min(0.99, part()))


# ---- searches


def _search(task: Task, profiles: tuple[Profile, ...], rules: Rules, names: list[str], hear: Hear) -> Done:
    hunt = Hunt(rules, goes_on=_told(hear, lambda: hunt.transitions / task.amount), follows_duties=len(names) > 1)
    catch = hunt.run(profiles, task.amount)
    covered = _covered(hunt, hunt.finished or catch is not None)
    if catch is None:
        return Done(task, covered)
    hear(FOUND)
    return Done(task, covered, caught(catch, rules, names, hunt.transitions))


def _covered(hunt: Hunt, finished: bool) -> Coverage:
    happened = hunt.happened()
    return Coverage(
        hunt.transitions, sum(search.states for search in hunt.searches), finished,
        tuple((search.profile.name, search.depth, search.exhausted) for search in hunt.searches), awaited=frozenset(happened),
        happened=frozenset(what for what, ever in happened.items() if ever), remarks=tuple(hunt.remarks),
    )  # fmt: skip


def _near(task: Task, rules: Rules, names: list[str], hear: Hear) -> Done:
    return _search(task, profiles_for(names, task.n)[0], rules, names, hear)


def _far(task: Task, rules: Rules, names: list[str], hear: Hear) -> Done:
    return _search(task, profiles_for(names, task.n)[1], rules, names, hear)


def _hidden(task: Task, rules: Rules, names: list[str], hear: Hear) -> Done:
    found = hidden(rules, names, task.amount, _told(hear, lambda: 0.0))
    if found is None:
        return Done(task, Coverage())
    if found.catch is None:
        return Done(task, Coverage(transitions=found.hunt.transitions, finished=found.hunt.finished))
    hear(FOUND)
    return Done(
        task, Coverage(transitions=found.hunt.transitions), caught(found.catch, rules, names, found.hunt.transitions, found.neighbour)
    )  # fmt: skip


# ---- what samples


def _seeds(task: Task) -> range:
    return range(task.first, task.first + task.amount)


def _walks(task: Task, rules: Rules, names: list[str], hear: Hear) -> Done:
    result = run_walks(rules, names, _seeds(task), _told(hear, lambda: 0.0))
    covered = Coverage(result.transitions, finished=result.finished, walks=result.walks)
    if result.failure is None:
        return Done(task, covered)
    hear(FOUND)
    return Done(task, covered, case_of(result.failure.schedule, rules, names))


def _storms(task: Task, rules: Rules, names: list[str], hear: Hear) -> Done:
    result = run_guided(rules, names, _seeds(task), _told(hear, lambda: 0.0))
    enough = EVERYTHING if result.schedules >= ENOUGH else frozenset()
    covered = Coverage(
        finished=result.finished, schedules=result.schedules, seconds=result.simulated, awaited=enough, happened=frozenset(result.happened),
    )  # fmt: skip
    if result.failure is None:
        return Done(task, covered)
    hear(FOUND)
    return Done(task, covered, storm_case(result.failure, rules, names))


def _stories(task: Task, rules: Rules, names: list[str], hear: Hear) -> Done:
    result = run_probes(rules, names, _seeds(task), _told(hear, lambda: 0.0))
    covered = Coverage(finished=result.finished, stories=result.played)
    if result.failure is None:
        return Done(task, covered)
    return Done(task, covered, StoryCase(*result.failure))


ENGINES: dict[str, Callable[[Task, Rules, list[str], Hear], Done]] = {
    "near": _near, "far": _far, "hidden": _hidden, "walks": _walks, "storms": _storms, "stories": _stories,
}  # fmt: skip


def do(task: Task, rules: Rules, names: list[str], hear: Hear = lambda _: True) -> Done:
    """Do this task; ``names`` are the rules that are not the reference's.

    Raises
    ------
    RuleError
        A rule raised, answered nonsense, or differently to the same view.
    """
    with without_collector():
        return ENGINES[task.engine](task, rules, names, hear)
