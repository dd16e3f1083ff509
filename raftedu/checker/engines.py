"""The engines of a check, one function each: they do one task under given rules and say how far they came and what they found.

Works in whatever process it is called; a row of `ENGINES` is all that a new engine needs besides its share in `raftedu.checker.tasks.plan`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from raftedu.checker.case import caught
from raftedu.checker.coverage import Coverage
from raftedu.checker.hunt import Hunt, without_collector
from raftedu.checker.profiles import Profile, profiles_for
from raftedu.checker.tasks import Done, Task
from raftedu.core.rules import Rules

__all__ = ["ENGINES", "Hear", "do"]

Hear: TypeAlias = Callable[[float], bool]
"""Told now and then which part of a task is done, answers whether to go on; 1.0: something was found, and is now being told in full."""


def _search(task: Task, profiles: tuple[Profile, ...], rules: Rules, names: list[str], hear: Hear) -> Done:
    hunt = Hunt(rules, goes_on=lambda: hear(min(0.99, hunt.transitions / task.amount)), follows_duties=len(names) > 1)
    catch = hunt.run(profiles, task.amount)
    if catch is not None:
        hear(1.0)
    covered = Coverage(
        hunt.transitions, sum(search.states for search in hunt.searches), hunt.finished or catch is not None,
        tuple((search.profile.name, search.depth, search.exhausted) for search in hunt.searches), tuple(hunt.never()),
    )  # fmt: skip
    return Done(task, covered, None if catch is None else caught(catch, rules, names, hunt.transitions))


def _near(task: Task, rules: Rules, names: list[str], hear: Hear) -> Done:
    return _search(task, profiles_for(names, task.n)[0], rules, names, hear)


def _far(task: Task, rules: Rules, names: list[str], hear: Hear) -> Done:
    return _search(task, profiles_for(names, task.n)[1], rules, names, hear)


ENGINES: dict[str, Callable[[Task, Rules, list[str], Hear], Done]] = {"near": _near, "far": _far}


def do(task: Task, rules: Rules, names: list[str], hear: Hear = lambda _: True) -> Done:
    """Do this task; ``names`` are the rules that are not the reference's.

    Raises
    ------
    RuleError
        A rule raised, answered nonsense, or differently to the same view.
    """
    with without_collector():
        return ENGINES[task.engine](task, rules, names, hear)
