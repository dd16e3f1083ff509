"""What a check consists of: tasks that can be done anywhere in any order, and how their outcomes make one verdict.

The tasks of a check depend on what is asked only, never on who does them; of several finds the one of the earliest task counts. So one
worker, two, and a cluster of machines agree. Knows no engine, no process, no clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from raftedu.checker.case import Finding
from raftedu.checker.coverage import Coverage
from raftedu.checker.masked import neighbours
from raftedu.checker.profiles import profiles_for

__all__ = ["EFFORTS", "Done", "Effort", "Task", "Verdict", "decided", "plan"]

CHUNK = 50
"""How many seeds one task takes, at most."""

SEEDS = 1_000_000
"""So many seeds of schedules belong to one seed of a check."""


class Effort(NamedTuple):
    """How much is tried: this, not the clock, decides the verdict.

    ``transitions`` of the search, ``hidden`` of them beside each weakened neighbour; how many ``walks``, ``storms`` and seeds of
    ``stories``.
    """

    transitions: int
    hidden: int
    walks: int
    storms: int
    stories: int


EFFORTS = {
    "quick": Effort(30_000, 6_000, 10, 10, 1),
    "class": Effort(200_000, 6_000, 50, 50, 2),
    "thorough": Effort(2_000_000, 60_000, 4_000, 2_000, 10),
}

COSTS = {"near": 1.0, "far": 1.0, "hidden": 1.0, "walks": 700.0, "storms": 2_000.0, "stories": 8_000.0}
"""Roughly what one transition, walk, storm or seed of stories costs, in transitions: for the bar that shows how far it is."""


class Task(NamedTuple):
    """One piece of a check: which engine, how many transitions or from which seed on how many, and on clusters of how many nodes.

    ``share`` is roughly which part of the whole work it is.
    """

    engine: str
    amount: int
    first: int = 0
    n: int | None = None
    share: float = 0.0


@dataclass(frozen=True)
class Done:
    """What became of a task: how far it came, and the case it found or how the rule failed (rule, view in words, message)."""

    task: Task
    coverage: Coverage
    case: Finding | None = None
    error: tuple[str, str, str] | None = None

    @property
    def decides(self) -> bool:
        """Whether nothing that comes later matters."""
        return self.case is not None or self.error is not None


class Verdict(NamedTuple):
    """All that counts: how far it came up to what decided, and that, if anything did."""

    coverage: Coverage
    decisive: Done | None


def plan(names: Sequence[str], effort: Effort, seed: int, n: int | None) -> tuple[Task, ...]:
    """Return the tasks of a check, in the order in which they count: first what finds the shortest, last what samples.

    With ``n`` only the searches are done: they alone know clusters of every size.
    """
    near, far = profiles_for(list(names), n)
    first = effort.transitions * 2 // 3 if far else effort.transitions
    tasks = [Task("near", first, n=n)] if near else []
    tasks += [Task("far", effort.transitions - first * bool(near), n=n)] if far else []
    if n is None:
        tasks += [Task("hidden", effort.hidden)] if neighbours(names) else []
        tasks += [task for engine in ("walks", "storms") for task in _chunks(engine, getattr(effort, engine), seed)]
        tasks.append(Task("stories", effort.stories, seed * SEEDS))
    costs = [task.amount * COSTS[task.engine] for task in tasks]
    return tuple([task._replace(share=cost / sum(costs)) for task, cost in zip(tasks, costs, strict=True)])


def _chunks(engine: str, amount: int, seed: int) -> list[Task]:
    return [Task(engine, min(CHUNK, amount - first), seed * SEEDS + first) for first in range(0, amount, CHUNK)]


def decided(tasks: Sequence[Task], done: Mapping[int, Done]) -> bool:
    """Return whether what is still missing can change nothing."""
    for place in range(len(tasks)):
        if place not in done:
            return False
        if done[place].decides:
            return True
    return True


def verdict(tasks: Sequence[Task], done: Mapping[int, Done]) -> Verdict:
    """Return what the outcomes say together; tasks that are missing were not finished."""
    covered, whole = Coverage(), True
    for place in range(len(tasks)):
        outcome = done.get(place)
        if outcome is None:
            whole = False
            continue
        covered = covered + outcome.coverage
        if outcome.decides:
            return Verdict(covered, outcome)
    return Verdict(covered if whole else covered.cut_short(), None)
