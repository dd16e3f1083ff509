"""`Coverage`: how far a check came. Adds up over its tasks, and never says more than was done."""

from __future__ import annotations

from dataclasses import dataclass, replace

__all__ = ["Coverage"]


@dataclass(frozen=True)
class Coverage:
    """How far a check came.

    ``profiles``: name, the depth that is complete, and whether nothing was left. ``never``: what did not happen once, ``None`` if nobody
    looked. ``seconds`` are simulated ones, of ``schedules`` in the simulator; ``walks`` are schedules of macro steps.
    """

    transitions: int = 0
    states: int = 0
    finished: bool = True
    profiles: tuple[tuple[str, int, bool], ...] = ()
    never: tuple[str, ...] | None = None
    walks: int = 0
    schedules: int = 0
    seconds: float = 0.0

    def __add__(self, other: Coverage) -> Coverage:
        """Return both together: what never happened in either never happened."""
        if self.never is None or other.never is None:
            never = self.never if other.never is None else other.never
        else:
            never = tuple(what for what in self.never if what in other.never)
        return Coverage(
            self.transitions + other.transitions, self.states + other.states, self.finished and other.finished,
            self.profiles + other.profiles, never, self.walks + other.walks, self.schedules + other.schedules, self.seconds + other.seconds,
        )  # fmt: skip

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
        return ", ".join(told) or "nothing at all"

    @property
    def words(self) -> str:
        """The same for each profile."""
        told = ", ".join(f"{name} to depth {depth}{' (all there is)' if whole else ''}" for name, depth, whole in self.profiles)
        return f"{self.summary}{': ' + told if told else ''}"
