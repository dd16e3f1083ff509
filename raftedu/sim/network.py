"""The network: one `Link` for each direction between two nodes, and what may go wrong on it.

A link decides when a message arrives, how often, or why never. It draws only by `uniform` and comparison: sums and products of floats
are the same on every machine, logarithms are not.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import Any, NamedTuple

from raftedu.core.types import NodeId, Seconds

__all__ = ["Link", "Network", "Quality"]


class Quality(NamedTuple):
    """How good a link is. ``low`` to ``high``: the delay of a message in seconds; the rest are probabilities.

    Without ``reorder`` a link is first in, first out, as a connection is. With it, that share of the messages is late by up to
    ``late`` seconds more, and the others overtake them.
    """

    low: Seconds = 0.01
    high: Seconds = 0.05
    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    late: Seconds = 2.0


class Link:
    """The way from one node to another."""

    __slots__ = ("_low", "_random", "_span", "cut", "held", "is_plain", "last", "quality")

    def __init__(self, random: Random, quality: Quality) -> None:
        self._random = random
        self.cut = False
        """Whether nothing that is sent arrives. What was sent before still does."""
        self.held: list[Any] | None = None
        """What waits for `release`, ``None`` if nothing is held back."""
        self.last: Seconds = 0.0
        """When the latest message arrives: no later one may come before it."""
        self.become(quality)

    def become(self, quality: Quality) -> None:
        """Change how good the link is."""
        self.quality = quality
        self._low, self._span = quality.low, quality.high - quality.low
        self.judge()

    def judge(self) -> None:
        """Note whether messages only need time here; then the caller may spare the rest."""
        q = self.quality
        self.is_plain = not (self.cut or self.held is not None or q.loss or q.duplicate or q.reorder)

    def arrivals(self, now: Seconds) -> list[Seconds]:
        """Return when a message sent ``now`` arrives: once, twice, or never."""
        q, draw = self.quality, self._random.random
        if q.loss and draw() < q.loss:
            return []
        times = [self.arrival(now)]
        if q.duplicate and draw() < q.duplicate:
            times.append(self.arrival(now))
        return times

    def arrival(self, now: Seconds) -> Seconds:
        """Return when a message sent ``now`` arrives if it does."""
        draw, reorder = self._random.random, self.quality.reorder
        time = now + self._low + self._span * draw()
        if reorder:
            return time + self.quality.late * draw() if draw() < reorder else time
        if time < self.last:
            return self.last
        self.last = time
        return time


class Network:
    """All links between the nodes of a cluster, ``links[a][b]`` from a to b."""

    def __init__(self, nodes: Iterable[NodeId], random: Random, quality: Quality) -> None:
        ids = tuple(nodes)
        self.quality = quality
        self.links = {a: {b: Link(random, quality) for b in ids if b != a} for a in ids}

    def pairs(self, a: NodeId | None = None, b: NodeId | None = None) -> list[tuple[NodeId, NodeId]]:
        """Return the links from ``a`` to ``b``, in the order of the nodes; ``None`` stands for every node."""
        return [(x, y) for x, row in self.links.items() for y in row if a in (None, x) and b in (None, y)]

    def cut(self, wanted: Iterable[tuple[NodeId, NodeId]]) -> tuple[list[tuple[NodeId, NodeId]], list[tuple[NodeId, NodeId]]]:
        """Cut exactly these links; return those newly cut and those newly mended, in the order of the nodes."""
        cuts = set(wanted)
        changed = [(a, b) for a, b in self.pairs() if self.links[a][b].cut != ((a, b) in cuts)]
        for a, b in changed:
            self.links[a][b].cut = (a, b) in cuts
            self.links[a][b].judge()
        return [pair for pair in changed if pair in cuts], [pair for pair in changed if pair not in cuts]

    @property
    def cuts(self) -> list[tuple[NodeId, NodeId]]:
        """The links that are cut."""
        return [(a, b) for a, b in self.pairs() if self.links[a][b].cut]

    def become(self, pairs: Iterable[tuple[NodeId, NodeId]], **changes: float) -> None:
        """Change how good some links are."""
        for a, b in pairs:
            link = self.links[a][b]
            link.become(link.quality._replace(**changes))
