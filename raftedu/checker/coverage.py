"""`Coverage`: how far a check came. Adds up over its tasks, and never says more than was done."""

from __future__ import annotations

from dataclasses import dataclass, replace

from raftedu.checker.invariants import Broken

__all__ = ["NEVER", "Coverage"]

NEVER = {
    "a leader was elected": "no leader was elected",
    "an entry was committed": "no entry was committed",
    "a lease was held": "no lease was held",
    "a GET was answered": "no GET was answered",
    "a lease was handed over": "no lease was handed over",
    "everything went on after a storm": "nothing went on after a storm",
}
"""What must happen sometimes, and how to say that it did not."""


@dataclass(frozen=True)
class Coverage:
    """How far a check came.

    ``profiles``: name, the depth that is complete, and whether nothing was left. ``walks`` are schedules of macro steps, ``schedules``
    those of the simulator, ``seconds`` its simulated time, ``stories`` directed ones. ``awaited`` are keys of `NEVER`, what must happen
    sometimes and was looked for; ``happened`` what did. ``remarks``: bounds that were exceeded, which is safe and slower than need be.
    """

    transitions: int = 0
    states: int = 0
    finished: bool = True
    profiles: tuple[tuple[str, int, bool], ...] = ()
    walks: int = 0
    schedules: int = 0
    seconds: float = 0.0
    stories: int = 0
    awaited: frozenset[str] = frozenset()
    happened: frozenset[str] = frozenset()
    remarks: tuple[Broken, ...] = ()

    def __add__(self, other: Coverage) -> Coverage:
        """Return both together; of two remarks on the same bound the first."""
        names = {remark.name for remark in self.remarks}
        return Coverage(
            self.transitions + other.transitions, self.states + other.states, self.finished and other.finished,
            self.profiles + other.profiles, self.walks + other.walks, self.schedules + other.schedules, self.seconds + other.seconds,
            self.stories + other.stories, self.awaited | other.awaited, self.happened | other.happened,
            self.remarks + tuple(remark for remark in other.remarks if remark.name not in names),
        )  # fmt: skip

    @property
    def never(self) -> tuple[str, ...]:
        """What did not happen once, in words."""
        return tuple(words for what, words in NEVER.items() if what in self.awaited - self.happened)

    def cut_short(self) -> Coverage:
        """Return the same, not finished."""
        return replace(self, finished=False)

    @property
    def depth(self) -> int:
        """The greatest depth that is complete in any profile."""
        return max((depth for _, depth, _ in self.profiles), default=0)

    @property
    def summary(self) -> str:
        """What was looked at, in a clause."""
        told = [f"{self.transitions:,} transitions, {self.states:,} states, up to depth {self.depth}"] if self.profiles else []
        if self.walks:
            told.append(f"{self.walks:,} random walks")
        if self.schedules:
            told.append(f"{self.schedules:,} simulated schedules ({self.seconds / 3600:.1f} hours)")
        if self.stories:
            told.append(f"{self.stories} directed stories")
        return ", ".join(told) or "nothing at all"

    @property
    def words(self) -> str:
        """The same for each profile."""
        told = ", ".join(f"{name} to depth {depth}{' (all there is)' if whole else ''}" for name, depth, whole in self.profiles)
        return f"{self.summary}{': ' + told if told else ''}"
