"""`StillWorld`: the world of the simulator in which nothing happens by itself. Messages wait to be delivered, timers to be fired, writes
to be written; whoever directs it decides what is next.

Nodes, disks, links and dumps are those of `raftedu.sim`. It writes down what a node did in one *turn*, with one input and all that
followed from it, as `raftedu.checker.machine.Turn`; it judges nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from raftedu.checker.machine import Happens, Left, Turn
from raftedu.checker.profiles import TICK, Profile
from raftedu.checker.snapshot import Disk, Snapshot, epoch_of, take
from raftedu.core.config import Config
from raftedu.core.inputs import Input
from raftedu.core.outputs import Answer, Output, Persist, Say, Send, SetTimer
from raftedu.core.rules import Rules
from raftedu.core.state import LEADER
from raftedu.core.types import HardState, NodeId, Role, Seconds
from raftedu.sim.clock import NodeClock
from raftedu.sim.life import Life, Packet
from raftedu.sim.world import World

__all__ = ["DELAY", "Sent", "StillWorld"]

DELAY: Seconds = 0.001
"""How long each turn takes, on no node's own clock; so a trace shows what came after what."""

START: Seconds = 100.0
"""When it begins. No clock shows so little that a length of time could be taken for a moment."""


class Sent(NamedTuple):
    """A message on its way to a node, until somebody delivers it."""

    to: NodeId
    packet: Packet


class StillClock(NodeClock):
    """A clock that shows the same until it is told that time has passed. No timer waits for it."""

    __slots__ = ("shows",)

    def __init__(self, shows: Seconds) -> None:
        super().__init__()
        self.shows, self.is_true = shows, False

    def at(self, now: Seconds) -> Seconds:
        """Return what it shows."""
        return self.shows

    def when(self, deadline: Seconds) -> Seconds:
        """Return that no deadline comes by itself."""
        return math.inf


class StillWorld(World):
    """A world that waits. The profile says how disks and clocks are; its bounds are none here."""

    def __init__(self, profile: Profile, config: Config, rules: Rules) -> None:
        self._profile = replace(profile, timed=True, leftovers=True)  # of what is remembered nothing is left out
        self._lazy = profile.lazy_disk
        self._owed = profile.before * TICK
        self._promised = self._owed if profile.timed else config.promise
        self._apart = config.lease / 2 if profile.offsets else 0.0
        self._clocks: dict[NodeId, StillClock] = {}
        self._shows = START  # what a clock shows that is never slow
        self._outputs: list[Output] = []
        self._left: list[Left] = []
        self._urgent = False
        self.sent: list[Sent] = []
        """What left in this step and has not been delivered."""
        super().__init__(config, rules=rules, onlooker=self._look_on)
        for a, b in self.network.pairs():
            link = self.network.links[a][b]
            link.held = []  # so that every message is handed to `transmit`
            link.judge()
        for disk in self.disks.values():
            disk.delay = math.inf
        self._seen = {node: (self.snapshot(node), self.lives[node].now) for node in config.nodes}
        """How each node was after its last turn, and when, on its own clock."""

    # ---- what the simulator would do by itself

    def start(self, node: NodeId) -> None:
        """Start a node; before its first start its clock and disk are made what they are to be."""
        is_first = node not in self.lives
        if is_first:
            self.now, disk = START, self.disks[node]
            self.clocks[node] = self._clocks[node] = StillClock(START + self._apart * self.config.nodes.index(node))
            if self._promised:  # in a life before this run, so that nobody has to write it now
                disk.write(Persist(1, HardState(promised=self._promised), 0, (), False))
                disk.begin()
                disk.finish()
        super().start(node)
        if is_first and self._owed:
            self.lives[node].core.state.promise_until = self.lives[node].now + self._owed
        if is_first and self._apart:
            self._tell_clock(node)

    def transmit(self, to: NodeId, packet: Packet) -> None:
        """Keep a message until it is delivered, and note what is on its sender's disk at this moment."""
        hard, entries, _ = self.disks[packet[3].node].durable
        self._left.append(Left(to, packet[0], hard, entries))
        self.sent.append(Sent(to, packet))

    def _look_on(self, _: Life, input: Input | None, outputs: list[Output]) -> None:
        self._outputs += outputs
        self._urgent = self._urgent or any(type(output) is Send and output.after for output in outputs)

    def lose(self) -> None:
        """Lose all that left and was not delivered."""
        for to, packet in self.sent:
            self._drop(to, packet, "the network lost it")
        self.sent = []

    # ---- what a node does

    def turn(self, node: NodeId, happens: Happens, act: Callable[[], None], *, writes: bool = True) -> Turn:
        """Let ``act`` happen to a node, with all that follows, and return what it did; without ``writes`` its disk is stuck until then."""
        self.now = round(self.now + DELAY, 6)
        self._outputs, self._left, self._urgent = [], [], False
        if writes:
            self.write(node)
        act()
        while self.behind(node) and (self._urgent or not self._lazy):
            self.write(node)
        life, outputs, (old, then) = self.lives[node], self._outputs, self._seen[node]
        self._seen[node] = self.snapshot(node)._replace(disk=self._disk(node)), life.now
        return Turn(
            node, old, life.now - then, happens, life.core.state, life.now, self._left,
            [o for o in outputs if type(o) is Answer], [o for o in outputs if type(o) is SetTimer], [o for o in outputs if type(o) is Say],
        )  # fmt: skip

    def snapshot(self, node: NodeId) -> Snapshot:
        """Return a node as it is, whatever of it is on its disk."""
        life = self.lives[node]
        return take(life.core.state, life.now, self._profile, None, epoch_of(life.core.state.round))

    def _disk(self, node: NodeId) -> Disk | None:
        """Return what a node's disk holds and since when it has had more to write, ``None`` if it has nothing."""
        if not self.behind(node):
            return None
        life, (hard, entries, _) = self.lives[node], self.disks[node].durable
        pending = [(Persist(u.seq, None, 0, (), False), u._replace(since=u.since - life.now)) for u in life.core.state.unsynced]
        return Disk(hard, entries, tuple(pending))

    def behind(self, node: NodeId) -> bool:
        """Return whether a node waits for its disk."""
        life = self.lives[node]
        return not life.ended and bool(life.core.state.unsynced)

    def write(self, node: NodeId) -> None:
        """Let a node's disk write all that waits."""
        if not self.behind(node):
            return
        disk = self.disks[node]
        disk.delay, self._urgent = 0.0, False
        self.lives[node].look_at_disk()
        disk.delay = math.inf  # what this write leads to is another one
        self.take()

    def heartbeat(self, node: NodeId) -> None:
        """Let a leader's next round be due now."""
        life = self.lives[node]
        if life.core.state.role is Role.LEADER:
            life.core.state.next_heartbeat_at = life.now
            life.fire(LEADER)

    def restart(self, node: NodeId) -> None:
        """Crash a node and start it again from its disk."""
        if self.is_up(node):
            self.end(node, "crashed", "crash")
        self.start(node)

    def pass_time(self, seconds: Seconds, slow: NodeId | None) -> None:
        """Let time pass, on the clocks of all nodes but ``slow``."""
        self.now = round(self.now + seconds, 6)
        for node, clock in self._clocks.items():
            if node != slow:
                clock.shows += seconds
        self._shows += seconds
        if slow is not None:
            self._tell_clock(slow)

    def _tell_clock(self, node: NodeId) -> None:
        self.lives[node].say("clock_changed", None, {"rate": 1.0, "offset": self._clocks[node].shows - self._shows})
