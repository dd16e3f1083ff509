"""`Report`: what a check found, in the student's words, as text and as one static table for a notebook."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from html import escape

from raftedu.checker.invariants import INVARIANTS, Broken
from raftedu.checker.replay import Parting, Scene, Schedule
from raftedu.checker.snapshot import Snapshot
from raftedu.core.types import SET, Role

__all__ = ["Coverage", "Report", "RuleBroken"]


class RuleBroken(AssertionError):
    """A rule broke an invariant; the message is the report in words."""


@dataclass(frozen=True)
class Coverage:
    """How far a check came. ``profiles``: name, the depth that is complete, and whether nothing was left."""

    transitions: int = 0
    states: int = 0
    finished: bool = True
    profiles: tuple[tuple[str, int, bool], ...] = ()

    @property
    def words(self) -> str:
        """The same in words, and never more than was done."""
        told = ", ".join(f"{name} to depth {depth}{' (all there is)' if whole else ''}" for name, depth, whole in self.profiles)
        return f"{self.transitions:,} transitions, {self.states:,} states: {told}"


@dataclass(frozen=True)
class Report:
    """The verdict on a rule, and the schedule that breaks it.

    ``scenes`` is the schedule step by step; ``with_reference`` the same steps with the reference rules, as far as they are possible there.
    """

    rules: tuple[str, ...]
    coverage: Coverage
    plan: Schedule | None = None
    scenes: list[Scene] = field(default_factory=list)
    with_reference: list[Scene] = field(default_factory=list)
    parting: Parting | None = None
    never: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether nothing was found, which is less than being right."""
        return not self.scenes and not self.never

    @property
    def finished(self) -> bool:
        """Whether all was looked at that the effort asks for; the time was enough."""
        return not self.passed or self.coverage.finished

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

    def raise_if_failed(self) -> None:
        """Raise `RuleBroken` with the whole report if something was found."""
        if not self.passed:
            raise RuleBroken(str(self))

    def in_words_only(self) -> Report:
        """Return the same with views and answers as words, for where they cannot travel themselves."""
        scenes = [replace(scene, calls=[]) for scene in self.scenes]
        p = self.parting
        parting = p and Parting(p.step, p.rule, repr(p.view), repr(p.answered), repr(p.reference))
        return replace(self, scenes=scenes, with_reference=[replace(scene, calls=[]) for scene in self.with_reference], parting=parting)

    # ---- words

    @property
    def verdict(self) -> str:
        """The verdict in one line."""
        name = " and ".join(self.rules) or "the reference rules"
        if self.never:
            return f"{name}: nothing ever happened"
        if not self.passed:
            return f"{name}: {self.invariant} is broken in {self.steps} step{'s' if self.steps != 1 else ''}"
        deep = max((depth for _, depth, _ in self.coverage.profiles), default=0)
        told = f"no violation in {self.coverage.transitions:,} transitions, {self.coverage.states:,} states, up to depth {deep}"
        return f"{name}: {told}" if self.finished else f"{name}: not finished: time was up; {told} so far"

    def __str__(self) -> str:
        if self.passed:
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
        if self.passed:
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
