"""`Report`: what a check found, in the student's words; `raftedu.checker.page` lays it out for a notebook."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from raftedu.checker.case import Case, Finding, StormCase
from raftedu.checker.coverage import Coverage
from raftedu.checker.invariants import INVARIANTS, Broken
from raftedu.checker.page import page
from raftedu.checker.referee import Ruling, parted_at
from raftedu.checker.replay import Parting, Scene, Schedule

if TYPE_CHECKING:
    from raftedu.trace import Trace

__all__ = ["Report", "RuleBroken"]


class RuleBroken(AssertionError):
    """A rule broke an invariant; the message is the report in words."""


@dataclass(frozen=True)
class Report:
    """The verdict on a rule, and what breaks it, if that was found. ``source`` is the text of the rule, where it is known."""

    rules: tuple[str, ...]
    coverage: Coverage
    case: Finding | None = None
    source: str | None = None

    @property
    def passed(self) -> bool:
        """Whether all was looked at that the effort asks for and nothing was found, which is less than being right."""
        return self.finished and self.case is None and not self.never

    @property
    def finished(self) -> bool:
        """Whether there is a verdict: something was found, or the time was enough for all that the effort asks for."""
        return self.case is not None or self.coverage.finished

    @property
    def never(self) -> tuple[str, ...]:
        """What did not happen once in a whole check: who does nothing breaks nothing."""
        return self.coverage.never if self.case is None and self.coverage.finished else ()

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is safe and slower than need be; no reason to fail."""
        return tuple(f"{remark.name}: {remark.reason}" for remark in self.coverage.remarks) if self.case is None else ()

    # ---- what was found

    @property
    def scenes(self) -> list[Scene]:
        """The schedule of a search or a walk step by step; a storm has none."""
        return self.case.scenes if isinstance(self.case, Case) else []

    @property
    def with_reference(self) -> list[Scene]:
        """The same steps with the reference rules, as far as they are possible there."""
        return self.case.with_reference if isinstance(self.case, Case) else []

    @property
    def trace(self) -> Trace | None:
        """The `Trace` of the nodes of the simulator that lived through the schedule, or through the storm; ``None`` if there is none."""
        match self.case:
            case Case(ruling=Ruling() as ruling):
                return ruling.trace
            case StormCase(storm=storm) if storm.dumps:
                return storm.trace
        return None

    @property
    def trace_with_reference(self) -> Trace | None:
        """The `Trace` of the same schedule under the reference rules; ``None`` for a storm, which goes its own way then."""
        ruling = self.case.reference_ruling if isinstance(self.case, Case) else None
        return None if ruling is None else ruling.trace

    @property
    def parts_in(self) -> int | None:
        """The first step in which a node of the simulator is or says something else than under the reference; ``None``: in none."""
        case = self.case
        if not isinstance(case, Case) or case.ruling is None or case.reference_ruling is None:
            return None
        return parted_at(case.ruling, case.reference_ruling)

    @property
    def parting(self) -> Parting | None:
        """Where the rule first answered otherwise than the reference does."""
        return self.case.parting if self.case is not None else None

    @property
    def plan(self) -> Schedule | None:
        """The schedule itself, to be played again."""
        return self.case.plan if isinstance(self.case, Case) else None

    @property
    def broken_promise(self) -> tuple[int, Broken] | None:
        """The first obligation that was broken, and in which step."""
        return self.case.broken_promise if self.case is not None else None

    @property
    def disaster(self) -> tuple[int, Broken] | None:
        """The outcome that followed, and in which step."""
        return self.case.disaster if self.case is not None else None

    @property
    def invariant(self) -> str | None:
        """The name of the invariant that broke: the outcome if it came to one, else the obligation."""
        worst = self.disaster or self.broken_promise
        if self.never:
            return "Something Happens"
        return None if worst is None else worst[1].name

    @property
    def reason(self) -> str:
        """Why, in one sentence."""
        worst, first = self.disaster, self.broken_promise
        if self.never:
            return f"in {self.coverage.summary} {' and '.join(self.never)}: it breaks nothing, for it does nothing"
        if self.case is None or (worst is None and first is None):
            return ""
        if worst is None or first is None:
            return (worst or first)[1].reason  # type: ignore[index]
        if worst[1].reason == first[1].reason:
            return worst[1].reason
        return f"{first[1].reason}; {self.case.then} {worst[1].reason}"

    @property
    def steps(self) -> int:
        """How many steps the schedule has, the warm-up not counted; of a storm, how many faults it needs."""
        return len(self.schedule)

    @property
    def schedule(self) -> list[str]:
        """The schedule in words."""
        return self.case.schedule if self.case is not None else []

    @property
    def warm_up(self) -> list[str]:
        """What comes before the schedule, in words: how node 1 became a stable leader."""
        return [scene.words for scene in self.scenes if scene.before]

    def as_code(self) -> str:
        """Return a test for pytest that shows it again: it fails for this rule, and passes once the rule is right.

        Raises
        ------
        ValueError
            Nothing was found.
        """
        if self.case is None:
            raise ValueError(f"there is nothing to show again: {self.verdict}")
        return self.case.code(list(self.rules), self.invariant or "", self.reason, self.source)

    @property
    def score(self) -> float:
        """1 for a pass; 0.5 if what was found hurts nobody: safe, but it stands still or tells a client something wrong; else 0."""
        if self.passed or not self.finished:
            return 1.0 if self.passed else 0.0
        harmless = self.never or (self.invariant is not None and INVARIANTS[self.invariant].kind == "duty")
        return 0.5 if harmless else 0.0

    def raise_if_failed(self) -> None:
        """Raise `RuleBroken` with the whole report unless the rule has passed: time that was not enough is no pass either."""
        if not self.passed:
            raise RuleBroken(str(self) if self.finished else f"{self.verdict}. Give it more: budget=60, say")

    # ---- words

    @property
    def verdict(self) -> str:
        """The verdict in one line."""
        name = " and ".join(self.rules) or "the reference rules"
        if self.never:
            return f"{name}: nothing ever happened"
        if self.case is not None:
            return f"{name}: {self.invariant} is broken {self.case.how}"
        told = f"no violation in {self.coverage.summary}"
        return f"{name}: {told}" if self.finished else f"{name}: not finished: time was up; {told} so far"

    def __str__(self) -> str:
        if self.passed or not self.finished:
            return "\n".join([self.verdict, f"  {self.coverage.words}", *(f"  slower than need be: {remark}" for remark in self.remarks)])
        lines = [
            self.verdict,
            f"  {self.reason}",
            f"  {INVARIANTS[self.invariant or ''].name}: {INVARIANTS[self.invariant or ''].sentence}",
        ]
        if self.remark:
            lines.append(f"  {self.remark}")
        if self.warm_up:
            lines.append(f"  before: {'; '.join(self.warm_up)}")
        marks = {at[0]: "  <- " + at[1].name for at in (self.broken_promise, self.disaster) if at is not None}
        lines += [f"  {i}. {words}{marks.get(i, '')}" for i, words in enumerate(self.schedule, 1)]
        return "\n".join(lines + self.parting_lines())

    __repr__ = __str__

    @property
    def remark(self) -> str:
        """What else must be known to read it rightly; empty if nothing."""
        return self.case.remark if self.case is not None else ""

    def parting_lines(self) -> list[str]:
        """Return in words what the rule was given where it parts from the reference, and what both answer."""
        p = self.parting
        if p is None:
            return []
        when = f"In step {p.step}" if p.step else "In the warm-up" if self.warm_up else "The first time that it mattered,"
        return [
            f"  {when} {p.rule} was given {p.view}", f"  and answered {p.answered!r}; the reference answers {p.reference!r}.",
        ]  # fmt: skip

    # ---- the notebook

    def _repr_html_(self) -> str:
        return page(self)
