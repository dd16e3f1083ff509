"""`Report`: what a check found, in the student's words, as text and as one static table for a notebook."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from raftedu.checker.case import Case
from raftedu.checker.coverage import Coverage
from raftedu.checker.invariants import INVARIANTS, Broken
from raftedu.checker.replay import Parting, Scene, Schedule
from raftedu.checker.snapshot import Snapshot
from raftedu.core.types import SET, Role

__all__ = ["Report", "RuleBroken"]


class RuleBroken(AssertionError):
    """A rule broke an invariant; the message is the report in words."""


@dataclass(frozen=True)
class Report:
    """The verdict on a rule, and the schedule that breaks it, if one was found."""

    rules: tuple[str, ...]
    coverage: Coverage
    case: Case | None = None

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
        return (self.coverage.never or ()) if self.case is None and self.coverage.finished else ()

    @property
    def scenes(self) -> list[Scene]:
        """The schedule step by step."""
        return self.case.scenes if self.case is not None else []

    @property
    def with_reference(self) -> list[Scene]:
        """The same steps with the reference rules, as far as they are possible there."""
        return self.case.with_reference if self.case is not None else []

    @property
    def parting(self) -> Parting | None:
        """Where the rule first answered otherwise than the reference does."""
        return self.case.parting if self.case is not None else None

    @property
    def plan(self) -> Schedule | None:
        """The schedule itself, to be played again."""
        return self.case.plan if self.case is not None else None

    @property
    def broken_promise(self) -> tuple[int, Broken] | None:
        """The first obligation that was broken, and in which step."""
        return next(((i, s.obligation) for i, s in enumerate(self._story, 1) if s.obligation is not None), None)

    @property
    def disaster(self) -> tuple[int, Broken] | None:
        """The outcome that followed, and in which step."""
        return next(((i, s.outcome) for i, s in enumerate(self._story, 1) if s.outcome is not None), None)

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
            return f"in {self.coverage.transitions:,} transitions {' and '.join(self.never)}: it breaks nothing, for it does nothing"
        if worst is None and first is None:
            return ""
        if worst is None or first is None:
            return (worst or first)[1].reason  # type: ignore[index]
        later = worst[0] - first[0]
        then = f"{later} step{'s' if later > 1 else ''} later" if later else "and so"
        return f"{first[1].reason}; {then} {worst[1].reason}"

    @property
    def steps(self) -> int:
        """How many steps the schedule has, the warm-up not counted."""
        return len(self._story)

    @property
    def schedule(self) -> list[str]:
        """The schedule in words."""
        return [scene.words for scene in self._story]

    @property
    def warm_up(self) -> list[str]:
        """What comes before the schedule, in words: how node 1 became a stable leader."""
        return [scene.words for scene in self.scenes if scene.before]

    @property
    def _story(self) -> list[Scene]:
        return [scene for scene in self.scenes if not scene.before]

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
            return f"{name}: {self.invariant} is broken in {self.steps} step{'s' if self.steps != 1 else ''}"
        told = f"no violation in {self.coverage.summary}"
        return f"{name}: {told}" if self.finished else f"{name}: not finished: time was up; {told} so far"

    def __str__(self) -> str:
        if self.passed or not self.finished:
            return f"{self.verdict}\n  {self.coverage.words}"
        lines = [
            self.verdict,
            f"  {self.reason}",
            f"  {INVARIANTS[self.invariant or ''].name}: {INVARIANTS[self.invariant or ''].sentence}",
        ]
        if self.warm_up:
            lines.append(f"  before: {'; '.join(self.warm_up)}")
        marks = {at[0]: "  <- " + at[1].name for at in (self.broken_promise, self.disaster) if at is not None}
        lines += [f"  {i}. {words}{marks.get(i, '')}" for i, words in enumerate(self.schedule, 1)]
        return "\n".join(lines + self._parting_lines())

    __repr__ = __str__

    def _parting_lines(self) -> list[str]:
        p = self.parting
        if p is None:
            return []
        return [
            f"  In step {p.step} {p.rule} was given {p.view}", f"  and answered {p.answered!r}; the reference answers {p.reference!r}.",
        ]  # fmt: skip

    # ---- the notebook

    def _repr_html_(self) -> str:
        if self.passed or not self.finished:
            return f"<p><b>{escape(self.verdict)}</b></p><p>{escape(self.coverage.words)}</p>"
        sentence = INVARIANTS[self.invariant or ""].sentence
        head = f"<p><b>{escape(self.verdict)}</b><br>{escape(self.reason)}.<br><i>{escape(f'{self.invariant}: {sentence}')}</i></p>"
        tail = "".join(f"<p>{escape(line.strip())}</p>" for line in self._parting_lines())
        return head + self._table() + tail

    def _table(self) -> str:
        nodes = range(1, len(self.scenes[0].nodes) + 1) if self.scenes else range(0)
        rows = ["<tr><th>step</th><th></th>" + "".join(f"<th>node {node}</th>" for node in nodes) + "</tr>"]
        first = sum(scene.before for scene in self.scenes)
        for number, scene in enumerate(self.scenes, 1):
            step = "before" if scene.before else str(number - first)
            broken = "".join(f"<br><b>{escape(f'{b.name}: {b.reason}')}</b>" for b in (scene.obligation, scene.outcome) if b is not None)
            cells = "".join(f"<td>{escape(_cell(s, node in scene.holders))}</td>" for node, s in zip(nodes, scene.nodes, strict=True))
            rows.append(f"<tr><td>{step}</td><td style='text-align:left'>{escape(scene.words)}{broken}</td>{cells}</tr>")
        return f"<table>{''.join(rows)}</table>"


def _cell(s: Snapshot, holds: bool) -> str:
    """Return a node in a few words: role, term, vote, log with the commit index as a bar, what is left of wait, lease and promise."""
    log = [f"{e.term}{':' + e.value if e.op == SET else ''}" for e in s.log]
    words = [f"{s.role} t{s.term}", f"vote {s.voted_for if s.voted_for is not None else '-'}"]
    words.append(f"log [{' '.join([*log[: s.commit], '|', *log[s.commit :]])}]")
    if s.role is Role.LEADER and s.wait > 0:
        words.append(f"waits {s.wait:.0f} s")
    if holds and s.lease is not None:
        words.append(f"lease {s.lease:.0f} s")
    if s.promise > 0:
        words.append(f"promised {s.promise:.0f} s")
    return ", ".join(words)
