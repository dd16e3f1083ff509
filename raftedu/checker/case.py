"""`Case`: a schedule that breaks something, told completely: what happens in each step, and where the rule and the reference part."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from raftedu.checker.hunt import Catch, Hunt
from raftedu.checker.replay import Parting, Scene, Schedule, parting, play, script
from raftedu.checker.shrink import shrunk
from raftedu.core.guard import RuleError
from raftedu.core.rules import RULES, Rules

__all__ = ["Case", "case_of", "caught"]


@dataclass(frozen=True)
class Case:
    """A counterexample: ``scenes`` is the schedule step by step, ``with_reference`` the same steps, if possible, under the reference."""

    plan: Schedule
    scenes: list[Scene] = field(default_factory=list)
    with_reference: list[Scene] = field(default_factory=list)
    parting: Parting | None = None

    def in_words_only(self) -> Case:
        """Return the same with views and answers as words, for where they cannot travel themselves."""
        p = self.parting
        return replace(
            self, scenes=[replace(scene, calls=[]) for scene in self.scenes],
            with_reference=[replace(scene, calls=[]) for scene in self.with_reference],
            parting=p and Parting(p.step, p.rule, repr(p.view), repr(p.answered), repr(p.reference)),
        )  # fmt: skip


def caught(catch: Catch, rules: Rules, names: list[str], tried: int) -> Case:
    """Return the case of what a search of ``tried`` transitions has caught.

    Raises
    ------
    RuleError
        Played again it does not happen: a rule answers differently to the same view.
    """
    schedule = script(catch.search, catch.steps)
    if not _breaks(play(schedule, rules)):
        again = Hunt(rules, alike=False).run((catch.profile,), tried * 6)  # a rule that looks at ids is not the same for all nodes
        schedule = script(again.search, again.steps) if again is not None else schedule
    return case_of(schedule, rules, names)


def case_of(schedule: Schedule, rules: Rules, names: list[str]) -> Case:
    """Return the case of a schedule that breaks something, without the steps it does not need; errors as for `caught`."""
    if not _breaks(play(schedule, rules)):
        raise RuleError(
            names[0], None, f"{' or '.join(names)} does not answer the same to the same view: what the search found does not happen again"
        )
    schedule = shrunk(schedule, rules)
    scenes = play(schedule, rules)
    return Case(schedule, scenes, play(schedule, RULES), parting(scenes))


def _breaks(scenes: list[Scene]) -> bool:
    return any(scene.obligation is not None or scene.outcome is not None for scene in scenes)
