"""`Faults`: everything that can be done to a simulated cluster, each an event in the dump of the node that it hits.

It knows the world and how to break it; what a person asks of a cluster that works stands in `raftedu.sim.simulation`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from raftedu.core.config import Config
from raftedu.core.state import ELECTION
from raftedu.core.types import NodeId, Seconds
from raftedu.sim.life import Life
from raftedu.sim.world import SimulationError, World

__all__ = ["Faults"]


class Faults:
    """The faults of nodes and of the network."""

    config: Config
    world: World
    _stopped = False

    @property
    def nodes(self) -> list[NodeId]:
        """The ids of all nodes, crashed ones too."""
        return list(self.config.nodes)

    def is_up(self, node: NodeId) -> bool:
        """Return whether a node runs; one that is paused does."""
        return not self._life(node).ended

    @property
    def now(self) -> Seconds:
        """The protocol seconds since the simulation began."""
        return self.world.now

    # ---- faults of nodes

    def crash(self, node: NodeId | None) -> None:
        """Crash a node as a loss of power would: a write whose fsync has not ended is gone."""
        if node is None:
            raise SimulationError("there is no leader to crash just now: wait_for_leader() first")
        self._must_be_up(node)
        self.world.end(node, "crashed", "crash")

    def restart(self, node: NodeId) -> None:
        """Start a crashed node again, from what is on its disk."""
        self._must_run()
        if self.is_up(node):
            raise SimulationError(f"node {node} is running: crash({node}) it first")
        self.world.start(node)

    def pause(self, node: NodeId) -> None:
        """Let a node not run until `resume`, while its clock goes on and messages wait for it."""
        life = self._must_be_up(node)
        if life.paused:
            raise SimulationError(f"node {node} is paused already: resume({node}) it first")
        life.paused = True
        life.say("paused", None, {})

    def resume(self, node: NodeId) -> None:
        """Let a paused node go on."""
        life = self._must_be_up(node)
        if not life.paused:
            raise SimulationError(f"node {node} is not paused")
        life.say("resumed", None, {})
        life.resume()

    def clock(self, node: NodeId, *, rate: float | None = None, offset: Seconds | None = None) -> None:
        """Let a node's clock run at another rate from now on, or jump to ``offset`` seconds ahead of the true time."""
        self._check(node)
        for name, value, ok in (("rate", rate, rate is None or 0 <= rate < math.inf), ("offset", offset, math.isfinite(offset or 0.0))):
            if not ok:
                raise SimulationError(f"clock({node}, {name}={value}): a clock runs forward at a finite rate, or stands still")
        clock, life = self.world.clocks[node], self._life(node)
        clock.set(self.now, rate, offset)
        if not life.ended:
            life.say("clock_changed", None, {"rate": clock.rate, "offset": clock.offset(self.now)})
            life.look_at_clock()

    def disk(self, node: NodeId, delay: Seconds | None) -> None:
        """Let an fsync of a node take ``delay`` seconds from now on; ``None``: it never ends."""
        self._check(node)
        self.world.disks[node].delay = math.inf if delay is None else delay
        self._inject(node, "its disk is stuck" if delay is None else f"an fsync of its disk takes {delay:g} s")
        if not self._life(node).ended:
            self._life(node).look_at_disk()

    def campaign(self, node: NodeId) -> None:
        """Let the election timer of a node run out now."""
        life = self._must_be_up(node)
        if life.paused or not life.can_campaign():
            raise SimulationError(f"node {node} has no election timer that could run out: it leads, or is paused")
        self._inject(node, "its election timer runs out at once")
        life.fire(ELECTION)

    def fix_timeout(self, node: NodeId, seconds: Seconds | None) -> None:
        """Let a node wait exactly ``seconds`` for its leader from its next heartbeat on; ``None``: a random time again."""
        self._check(node)
        self.world.timeouts[node].fixed = seconds

    # ---- faults of the network

    def partition(self, *groups: Iterable[NodeId]) -> None:
        """Cut every link between nodes that share no group; those not named are a group too. A node in two groups is a bridge."""
        named = [list(group) for group in groups]
        for node in (node for group in named for node in group):
            self._check(node)
        rest = [node for node in self.nodes if not any(node in group for group in named)]
        together = {(a, b) for group in [*named, rest] for a in group for b in group}
        self._cut([pair for pair in self.world.network.pairs() if pair not in together])

    def isolate(self, node: NodeId) -> None:
        """Cut all links of one node, besides those that are cut already."""
        self._check(node)
        self._cut([*self.world.network.cuts, *self.world.network.pairs(a=node), *self.world.network.pairs(b=node)])

    def rejoin(self, node: NodeId) -> None:
        """Mend all links of one node."""
        self._check(node)
        self._cut([pair for pair in self.world.network.cuts if node not in pair])

    def cut(self, a: NodeId, b: NodeId) -> None:
        """Cut the link from ``a`` to ``b``, one way: what ``a`` sends does not arrive."""
        self._cut([*self.world.network.cuts, *self._link(a, b)])

    def mend(self, a: NodeId, b: NodeId) -> None:
        """Mend the link from ``a`` to ``b``."""
        mended = self._link(a, b)
        self._cut([pair for pair in self.world.network.cuts if pair not in mended])

    def heal(self) -> None:
        """Mend every link that is cut. Other faults of the network stay, see `calm`."""
        self._cut([])

    def hold(self, a: NodeId, b: NodeId) -> None:
        """Hold back what ``a`` sends to ``b`` from now on, until `release`."""
        for x, y in self._link(a, b):
            link = self.world.network.links[x][y]
            link.held = link.held if link.held is not None else []
            link.judge()
            self._inject(x, f"what it sends to node {y} is held back")

    def release(self, a: NodeId | None = None, b: NodeId | None = None) -> int:
        """Let go what is held from ``a`` to ``b`` (``None``: any node), hold nothing there any more; return how many messages."""
        pairs = [(x, y) for x, y in self.world.network.pairs(a, b) if self.world.network.links[x][y].held is not None]
        for x, y in pairs:
            self._inject(x, f"what it sent to node {y} and was held back is released")
        return self.world.release(pairs)

    def weather(self, a: NodeId | None = None, b: NodeId | None = None, **changes: float) -> None:
        """Change how good the links from ``a`` to ``b`` are (``None``: any node).

        ``low`` and ``high`` bound the delay in seconds; ``loss``, ``duplicate`` and ``reorder`` are probabilities; a message that
        is reordered is late by up to ``late`` seconds more.
        """
        pairs = self.world.network.pairs(a, b)
        quality = self.world.network.quality._replace(**self._sound(changes))
        for node in sorted({x for x, _ in pairs}):
            whom = "all others" if b is None else f"node {b}"
            self._inject(node, f"its links to {whom} change: {', '.join(f'{name} {changes[name]:g}' for name in sorted(changes))}")
        self.world.network.become(pairs, **changes)
        if a is None and b is None:
            self.world.network.quality = quality

    def slow(self, node: NodeId, low: Seconds, high: Seconds) -> None:
        """Let everything that is sent *to* a node take ``low`` to ``high`` seconds."""
        self._check(node)
        self.weather(b=node, low=low, high=high)

    def calm(self) -> None:
        """Let the network be as it was at first, but for the links that are cut and what is held."""
        self.weather(**type(self.world.network.quality)()._asdict())

    # ---- helpers

    def _cut(self, pairs: Iterable[tuple[NodeId, NodeId]]) -> None:
        self._must_run()
        cut, mended = self.world.network.cut(pairs)
        for event, changed in (("link_cut", cut), ("link_healed", mended)):
            for a, b in changed:
                if self.is_up(a):
                    self._life(a).say(event, b, {})

    def _inject(self, node: NodeId, what: str) -> None:
        if self.is_up(node):
            self._life(node).say("fault_injected", None, {"what": what})

    def _link(self, a: NodeId, b: NodeId) -> list[tuple[NodeId, NodeId]]:
        self._check(a)
        self._check(b)
        if a == b:
            raise SimulationError(f"node {a} has no link to itself: name two nodes")
        return [(a, b)]

    def _sound(self, changes: Mapping[str, float]) -> Mapping[str, float]:
        known = type(self.world.network.quality)._fields
        for name, value in changes.items():
            if name not in known:
                raise SimulationError(f"a link has no {name!r}; it has {', '.join(known)}")
            if not 0 <= value < math.inf or (name in ("loss", "duplicate", "reorder") and value > 1):
                raise SimulationError(f"{name}={value}: give seconds from 0, or a probability from 0 to 1")
        return changes

    def _life(self, node: NodeId) -> Life:
        self._check(node)
        return self.world.lives[node]

    def _check(self, node: NodeId) -> None:
        if node not in self.config.nodes:
            raise SimulationError(f"there is no node {node!r}; the nodes are {', '.join(map(str, self.config.nodes))}")

    def _must_be_up(self, node: NodeId) -> Life:
        self._must_run()
        if not self.is_up(node):
            raise SimulationError(f"node {node} is down: restart({node}) it first")
        return self._life(node)

    def _must_run(self) -> None:
        if self._stopped:
            raise SimulationError("this simulation is stopped: make a new one")
