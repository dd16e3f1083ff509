"""What an engine has found, told completely: a schedule of steps, a storm in a simulated cluster, or a story that does not end well.

All three say the same of themselves, so that a report need not know which it is: what broke when, in words, where the rule and the
reference part, and the test that shows it again.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from raftedu.checker.code import as_code, storm_as_code, story_as_code
from raftedu.checker.guided import Storm, play_storm, shrunk_storm
from raftedu.checker.hunt import Catch, Hunt
from raftedu.checker.invariants import Broken
from raftedu.checker.judge import Incident
from raftedu.checker.machine import recorded
from raftedu.checker.masked import Neighbour
from raftedu.checker.probes import PROBES
from raftedu.checker.referee import Ruling, judge
from raftedu.checker.replay import Parting, Scene, Schedule, parting, play, script
from raftedu.checker.shrink import shrunk
from raftedu.core.guard import RuleError
from raftedu.core.rules import RULES, Rules

__all__ = ["Case", "Finding", "StormCase", "StoryCase", "case_of", "caught", "storm_case"]


class Finding(Protocol):
    """What a report asks of whatever was found. Steps count from 1."""

    @property
    def parting(self) -> Parting | None:
        """Where a rule first answered otherwise than the reference does."""

    @property
    def broken_promise(self) -> tuple[int, Broken] | None:
        """The first obligation that was broken, and in which step."""

    @property
    def disaster(self) -> tuple[int, Broken] | None:
        """The outcome that followed, and in which step."""

    @property
    def schedule(self) -> list[str]:
        """The steps in words."""

    @property
    def how(self) -> str:
        """How much it takes, to follow "is broken"."""

    @property
    def then(self) -> str:
        """How long after the promise the disaster came, to stand between the two."""

    @property
    def remark(self) -> str:
        """What else must be known to read it rightly; empty if nothing."""

    def code(self, names: list[str], broken: str, reason: str, source: str | None) -> str:
        """Return the test that shows it again."""

    def in_words_only(self) -> Finding:
        """Return the same with views and answers as words, for where they cannot travel themselves."""


def _in_words(p: Parting | None) -> Parting | None:
    return p and Parting(p.step, p.rule, repr(p.view), repr(p.answered), repr(p.reference))


def _plural(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


# ---- a schedule


@dataclass(frozen=True)
class Case:
    """A schedule that breaks something. ``scenes`` is it step by step, ``with_reference`` the same steps, if possible, under the reference.

    ``ruling`` and ``reference_ruling`` are what the referee made of the two. ``beside``: the weakened neighbour without which it is hidden.
    """

    plan: Schedule
    scenes: list[Scene] = field(default_factory=list)
    with_reference: list[Scene] = field(default_factory=list)
    parting: Parting | None = None
    ruling: Ruling | None = None
    reference_ruling: Ruling | None = None
    beside: str = ""

    @property
    def story(self) -> list[Scene]:
        """The scenes behind the warm-up."""
        return [scene for scene in self.scenes if not scene.before]

    @property
    def broken_promise(self) -> tuple[int, Broken] | None:
        """See `Finding`."""
        return next(((i, s.obligation) for i, s in enumerate(self.story, 1) if s.obligation is not None), None)

    @property
    def disaster(self) -> tuple[int, Broken] | None:
        """See `Finding`."""
        return next(((i, s.outcome) for i, s in enumerate(self.story, 1) if s.outcome is not None), None)

    @property
    def schedule(self) -> list[str]:
        """See `Finding`."""
        return [scene.words for scene in self.story]

    @property
    def how(self) -> str:
        """See `Finding`."""
        return f"in {_plural(len(self.story), 'step')}"

    @property
    def then(self) -> str:
        """See `Finding`."""
        assert self.broken_promise is not None and self.disaster is not None
        later = self.disaster[0] - self.broken_promise[0]
        return f"{_plural(later, 'step')} later" if later else "and so"

    @property
    def remark(self) -> str:
        """See `Finding`."""
        if not self.beside:
            return ""
        return f"alone it breaks nothing that was looked at, for its neighbours hide it; this is beside {self.beside}"

    @property
    def confirmed(self) -> bool:
        """Whether the referee finds the same invariants broken, and none with the reference."""
        if self.ruling is None or (self.reference_ruling is not None and not self.reference_ruling.upheld):
            return False
        return {at[1].name for at in (self.broken_promise, self.disaster) if at is not None} <= set(self.ruling.names)

    def code(self, names: list[str], broken: str, reason: str, source: str | None) -> str:
        """See `Finding`."""
        return as_code(names, self.plan, broken, reason, source, beside=self.beside)

    def in_words_only(self) -> Case:
        """See `Finding`; the referee's dumps stay behind."""
        return replace(
            self, scenes=[replace(scene, calls=[]) for scene in self.scenes],
            with_reference=[replace(scene, calls=[]) for scene in self.with_reference], parting=_in_words(self.parting), ruling=None,
        )  # fmt: skip


def caught(catch: Catch, rules: Rules, names: list[str], tried: int, neighbour: Neighbour | None = None) -> Case:
    """Return the case of what a search of ``tried`` transitions has caught, perhaps beside a weakened neighbour.

    Raises
    ------
    RuleError
        Played again it does not happen: a rule answers differently to the same view.
    """
    schedule = script(catch.search, catch.steps)
    played = rules if neighbour is None else neighbour.beside(rules)
    if not _breaks(play(schedule, played)):
        again = Hunt(played, alike=False).run((catch.profile,), tried * 6)  # a rule that looks at ids is not the same for all nodes
        schedule = script(again.search, again.steps) if again is not None else schedule
    return case_of(schedule, rules, names, neighbour)


def case_of(schedule: Schedule, rules: Rules, names: list[str], neighbour: Neighbour | None = None) -> Case:
    """Return the case of a schedule that breaks something, without the steps it does not need; errors as for `caught`."""
    reference = RULES if neighbour is None else neighbour.beside(RULES)
    rules = rules if neighbour is None else neighbour.beside(rules)
    if not _breaks(play(schedule, rules)):
        raise RuleError(
            names[0], None, f"{' or '.join(names)} does not answer the same to the same view: what the search found does not happen again"
        )
    schedule = shrunk(schedule, rules)
    scenes = play(schedule, rules)
    return Case(
        schedule, scenes, play(schedule, reference), parting(scenes, names), judge(schedule, rules), judge(schedule, reference),
        "" if neighbour is None else neighbour.words,
    )  # fmt: skip


def _breaks(scenes: list[Scene]) -> bool:
    return any(scene.obligation is not None or scene.outcome is not None for scene in scenes)


# ---- a storm


@dataclass(frozen=True)
class StormCase:
    """A run of a simulated cluster with faults that breaks something; the steps are the faults without which it does not."""

    storm: Storm
    parting: Parting | None = None

    def _at(self, incident: Incident | None) -> tuple[int, Broken] | None:
        if incident is None:
            return None
        return sum(action.time <= incident.time for action in self.storm.actions), incident.broken

    @property
    def broken_promise(self) -> tuple[int, Broken] | None:
        """See `Finding`."""
        return self._at(self.storm.obligation)

    @property
    def disaster(self) -> tuple[int, Broken] | None:
        """See `Finding`."""
        return self._at(self.storm.outcome)

    @property
    def schedule(self) -> list[str]:
        """See `Finding`."""
        return self.storm.words

    @property
    def how(self) -> str:
        """See `Finding`."""
        faults = f", after {_plural(len(self.schedule), 'fault')}" if self.schedule else ""
        return f"in a simulated cluster at {self.storm.time:.1f} s{faults}"

    @property
    def then(self) -> str:
        """See `Finding`."""
        assert self.storm.obligation is not None and self.storm.outcome is not None
        return f"{self.storm.outcome.time - self.storm.obligation.time:.1f} s later"

    @property
    def remark(self) -> str:
        """See `Finding`."""
        return f"no search has found it; this is the simulated cluster of seed {self.storm.seed}, and every other event comes by itself"

    def code(self, names: list[str], broken: str, reason: str, source: str | None) -> str:
        """See `Finding`."""
        return storm_as_code(names, self.storm.seed, self.storm.actions, broken, reason, source)

    def in_words_only(self) -> StormCase:
        """See `Finding`."""
        return replace(self, parting=_in_words(self.parting), storm=replace(self.storm, dumps=()))


def storm_case(storm: Storm, rules: Rules, names: list[str]) -> StormCase:
    """Return the case of a storm, without the faults that it does not need."""
    storm = shrunk_storm(storm, rules)
    first: list[Parting] = []

    def note(rule: str, view: Any, answer: Any) -> None:
        if not first and answer != (expected := getattr(RULES, rule)(view)):
            first.append(Parting(0, rule, view, answer, expected))

    play_storm(storm, recorded(rules, tuple(names), note), listening=False)
    return StormCase(storm, first[0] if first else None)


# ---- a story


@dataclass(frozen=True)
class StoryCase:
    """One of the directed stories (`raftedu.checker.probes`) that does not end as it must."""

    name: str
    seed: int
    incident: Incident
    parting: Parting | None = None

    @property
    def broken_promise(self) -> tuple[int, Broken] | None:
        """See `Finding`."""
        return 1, self.incident.broken

    @property
    def disaster(self) -> tuple[int, Broken] | None:
        """See `Finding`: whoever stands still, breaks nothing."""
        return None

    @property
    def schedule(self) -> list[str]:
        """See `Finding`."""
        return [next(probe.sentence for probe in PROBES if probe.name == self.name)]

    @property
    def how(self) -> str:
        """See `Finding`."""
        return f"in a simulated cluster at {self.incident.time:.1f} s"

    @property
    def then(self) -> str:
        """See `Finding`."""
        return ""

    @property
    def remark(self) -> str:
        """See `Finding`."""
        return f"this is the story {self.name!r}, with seed {self.seed}"

    def code(self, names: list[str], broken: str, reason: str, source: str | None) -> str:
        """See `Finding`."""
        return story_as_code(names, self.seed, broken, reason, source)

    def in_words_only(self) -> StoryCase:
        """See `Finding`."""
        return self
