"""Where the random durations of a simulated node come from; elections can be directed for a lecture."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from raftedu.core.config import Config
from raftedu.core.outputs import SetTimer
from raftedu.core.state import ELECTION
from raftedu.core.types import NodeId, Seconds

__all__ = ["Timeouts", "first_timeouts"]


class Timeouts:
    """Draws the durations of one node's timers."""

    __slots__ = ("_first", "_random", "fixed")

    def __init__(self, random: Random, first: Seconds | None) -> None:
        self._random, self._first = random, first
        self.fixed: Seconds | None = None
        """How long the node waits for its leader from its next election timer on; ``None``: a random time, as it should."""

    def draw(self, wish: SetTimer) -> Seconds:
        """Return the duration for a timer: random in its range, unless somebody directs elections."""
        if wish.timer != ELECTION:
            return wish.low
        seconds = wish.low + (wish.high - wish.low) * self._random.random()
        first, self._first = self._first, None
        if first is not None:
            return first
        return seconds if self.fixed is None else self.fixed


def first_timeouts(config: Config, random: Random, given: Mapping[NodeId, Seconds]) -> dict[NodeId, Seconds]:
    """Return the first election timeout of every node: those given, and clearly longer ones for all others; empty: chance decides."""
    if not given:
        return {}
    gap = (config.election_max - config.election_min) / 10
    least = max(given.values()) + gap
    return {node: given.get(node, max(random.uniform(config.election_min, config.election_max), least)) for node in config.nodes}
