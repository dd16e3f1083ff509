"""The weather of guided simulation: which cluster a seed stands for, which faults there are, and when they strike.

A fault is an `Action`, plain data, so that a run can be played again with some of them left out. All chance comes from the seed, by
`uniform` and comparison, so that a run is the same on every machine. Faults strike a moment after something has changed: a leader was
elected, an entry appended, committed or cut, a lease acquired. Knows nothing of what is right or wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any, NamedTuple, TypeAlias

from raftedu.core.config import Config
from raftedu.core.rules import Rules
from raftedu.core.state import ELECTION
from raftedu.core.types import NodeId, Seconds
from raftedu.sim.life import Onlooker
from raftedu.sim.network import Quality
from raftedu.sim.simulation import Simulation
from raftedu.sim.world import World

__all__ = ["Action", "Cluster", "Nemesis", "calm_cluster", "cluster_of", "config_of"]

MARGIN = 0.999
"""How much of ``rho`` a clock uses: promises outlast leases exactly, and floats are rounded."""

Call: TypeAlias = tuple[str, tuple[Any, ...]]


class Action(NamedTuple):
    """A fault: when, in simulated seconds; in words; and which of `DEEDS`, with its arguments."""

    time: Seconds
    words: str
    call: Call


# ---- the cluster

LEASED = (("wait-then-append", "lease"), ("deferred-commit", "lease"), ("wait-then-append", "lease"), ("deferred-commit", "lease"))
UNUSUAL = (("no-lease", "read-index"), ("no-lease", "log"), ("deferred-commit", "read-index"))
"""Policies and read modes: of fifteen clusters three read otherwise than by a lease, and two of those are plain Raft."""


def config_of(seed: int) -> Config:
    """Return the cluster that a seed stands for: mostly five nodes, long and short leases, all policies."""
    r = Random(f"{seed}/config")
    policy, reads = r.choice((*LEASED, *LEASED, *LEASED, *UNUSUAL))
    lease, heartbeat = r.choice(((4.0, 1.0), (8.0, 1.0), (8.0, 2.0), (8.0, 2.5), (12.0, 2.5)))
    return Config.of(
        r.choice((5, 5, 5, 5, 3, 3, 4)), lease=lease, heartbeat=heartbeat, election_min=5.0, election_max=10.0,
        rho=r.choice((1e-3, 0.05, 0.2)), lease_policy=policy, read_mode=reads,
        batch_size=r.choice((512, 512, 1)), no_op_on_election=r.random() < 0.85, fast_backup=r.random() < 0.7,
    )  # fmt: skip


class _World(World):
    """A world whose clocks never told the true time: each has its rate and its offset from the beginning."""

    def __init__(self, config: Config, clocks: Mapping[NodeId, tuple[float, Seconds]], **settings: Any) -> None:
        self._first = clocks
        super().__init__(config, **settings)

    def start(self, node: NodeId) -> None:
        first = self.lives.get(node) is None
        clock = self.clocks[node]
        if first:
            clock.set(0.0, *self._first.get(node, (1.0, 0.0)))
        super().start(node)
        if first and not clock.is_true:
            self.lives[node].say("clock_changed", None, {"rate": clock.rate, "offset": clock.offset(0.0)})


class Cluster(Simulation):
    """A simulation that is told what to do by actions; what makes no sense any more, such as a crash of a dead node, is skipped."""

    def __init__(self, world: World) -> None:
        self.config, self.world = world.config, world

    def do(self, action: Action) -> None:
        """Do what the action says."""
        name, args = action.call
        DEEDS[name](self, *args)

    def calm(self) -> None:
        """Let all be well again but for clocks, which keep their rate, and nodes that are down."""
        self.heal()
        super().calm()
        self.release()
        for node in self.nodes:
            if self.world.disks[node].delay != FAST:
                self.disk(node, FAST)
            if self.is_up(node) and self.world.lives[node].paused:
                self.resume(node)


def cluster_of(seed: int, rules: Rules, *, listening: bool = False, onlooker: Onlooker | None = None) -> Cluster:
    """Return the cluster of this seed, at time 0, with clocks that are wrong within ``rho``."""
    config, r = config_of(seed), Random(f"{seed}/clocks")
    clocks = {}
    for node in config.nodes:
        rate = 1.0 + MARGIN * config.rho * r.choice((-1.0, -1.0, 0.0, 1.0, 1.0))
        clocks[node] = (rate, r.uniform(0.0, 1000.0))
    return Cluster(_World(config, clocks, seed=seed, rules=rules, listening=listening, onlooker=onlooker))


def calm_cluster(config: Config, seed: int, rules: Rules, onlooker: Onlooker) -> Cluster:
    """Return a cluster of these settings whose clocks are right."""
    return Cluster(_World(config, {}, seed=seed, rules=rules, listening=False, onlooker=onlooker))


# ---- what may be done to it

GOOD = (("low", Quality().low), ("high", Quality().high))
"""The delays of a healthy link."""

FAST: Seconds = 0.005
"""How long an fsync of a healthy disk takes."""


def _isolate(sim: Cluster, *nodes: NodeId) -> None:
    sim.partition(nodes)


def _crash(sim: Cluster, node: NodeId) -> None:
    if sim.is_up(node):
        sim.crash(node)


def _restart(sim: Cluster, node: NodeId) -> None:
    if not sim.is_up(node):
        sim.restart(node)


def _campaign(sim: Cluster, node: NodeId) -> None:
    life = sim.world.lives[node]
    if not life.ended and not life.paused and life.can_campaign():
        life.say("fault_injected", None, {"what": "its election timer runs out at once"})
        life.fire(ELECTION)


def _pause(sim: Cluster, node: NodeId) -> None:
    if sim.is_up(node) and not sim.world.lives[node].paused:
        sim.pause(node)


def _resume(sim: Cluster, node: NodeId) -> None:
    if sim.is_up(node) and sim.world.lives[node].paused:
        sim.resume(node)


def _weather(sim: Cluster, to: NodeId | None, changes: tuple[tuple[str, float], ...]) -> None:
    sim.weather(None, to, **dict(changes))


DEEDS: dict[str, Callable[..., None]] = {
    "isolate": _isolate, "heal": Simulation.heal, "cut": Simulation.cut, "crash": _crash, "restart": _restart, "campaign": _campaign,
    "weather": _weather, "pause": _pause, "resume": _resume, "disk": lambda sim, node, delay: sim.disk(node, delay),
    "clock": lambda sim, node, rate: sim.clock(node, rate=rate), "hold": Simulation.hold,
    "release": lambda sim, a, b: sim.release(a, b),
}  # fmt: skip
"""What an action may do, by name."""


# ---- when it is done

MOMENTS = {"elected": 1.0, "lease": 0.8, "truncated": 0.8, "voted": 0.25, "committed": 0.12, "appended": 0.12}
"""How much the changes of a node invite faults."""


class Nemesis:
    """Plans faults. ``plan`` is called for each of them, with how many seconds from now it happens."""

    def __init__(self, config: Config, seed: int, plan: Callable[[Seconds, str, Call], None], leader: Callable[[], NodeId | None]) -> None:
        self._config, self._plan, self._leader = config, plan, leader
        self._r = r = Random(f"{seed}/faults")
        self._bias = r.choice((0.1, 0.3, 0.6))
        self._slows = r.random() < 0.5
        self._deeds = [deed for deed in self._all() if r.random() < 0.7] or self._all()
        self._bad_weather()

    def _all(self) -> list[Callable[[NodeId], None]]:
        return [
            self._cut_off, self._cut_off, self._with_friends, self._with_friends, self._one_way, self._crash, self._crash, self._elect,
            self._elect, self._split, self._impatient, self._usurp, self._usurp, self._disk, self._clock, self._hold, self._pause,
            self._crash_again,
        ]  # fmt: skip

    def _bad_weather(self) -> None:
        r = self._r
        if r.random() < 0.3:
            delay = r.choice((0.05, 0.3))
            for node in self._config.nodes:
                self._plan(0.0, f"the disk of node {node} takes {delay:g} s for an fsync", ("disk", (node, delay)))
        if r.random() < 0.4:
            return
        changes: list[tuple[str, float]] = [("high", r.choice((0.05, 0.05, 0.5)))]
        if r.random() < 0.5:
            changes.append(("loss", r.choice((0.02, 0.1, 0.25))))
        if r.random() < 0.5:
            changes.append(("duplicate", r.choice((0.05, 0.2))))
        if r.random() < 0.5:
            changes += [("reorder", r.choice((0.03, 0.15))), ("late", r.choice((1.0, 1.5 * self._config.lease)))]
        words = ", ".join(f"{name} {value:g}" for name, value in changes)
        self._plan(0.0, f"every link is bad from now on: {words}", ("weather", (None, tuple(changes))))

    def moment(self, what: str, node: NodeId) -> None:
        """Let something happen because of this change, or not."""
        r = self._r
        if r.random() >= self._bias * MOMENTS[what]:
            return
        if r.random() < 0.45:
            self._plan(self._soon(12.0), "all links are mended", ("heal", ()))
        if r.random() < 0.25 and self._slows:
            self._slow_link(node)
        else:
            leader = self._leader()
            victim = node if r.random() < 0.6 or leader is None else leader
            r.choice(self._deeds)(victim)

    def _soon(self, most: Seconds) -> Seconds:
        return 0.001 + self._r.random() * self._r.choice((0.1, 2.0, most))

    def _other(self, node: NodeId) -> NodeId:
        return self._r.choice([peer for peer in self._config.nodes if peer != node])

    # ---- the faults

    def _cut_off(self, node: NodeId) -> None:
        self._plan(self._soon(2.0), f"node {node} is cut off", ("isolate", (node,)))

    def _with_friends(self, node: NodeId) -> None:
        friend = self._other(node)
        self._plan(self._soon(2.0), f"nodes {node} and {friend} are cut off together", ("isolate", (node, friend)))

    def _one_way(self, node: NodeId) -> None:
        other = self._other(node)
        a, b = (node, other) if self._r.random() < 0.5 else (other, node)
        self._plan(self._soon(2.0), f"what node {a} sends to node {b} is lost from now on", ("cut", (a, b)))

    def _crash(self, node: NodeId) -> None:
        after = self._r.choice((0.0, 0.006)) + self._r.random() * self._r.choice((0.004, 0.05, 1.0))
        down = self._r.choice((0.002, 0.05, 1.0, 4.0))
        self._plan(after, f"node {node} crashes", ("crash", (node,)))
        self._plan(after + down, f"node {node} starts again", ("restart", (node,)))

    def _crash_again(self, node: NodeId) -> None:
        """Two nodes at once, so that what only they hold is gone for a while."""
        self._crash(node)
        self._crash(self._other(node))

    def _elect(self, node: NodeId) -> None:
        other = self._other(node)
        self._plan(self._soon(3.0), f"the election timer of node {other} runs out", ("campaign", (other,)))

    def _split(self, node: NodeId) -> None:
        """Two candidates at nearly the same moment."""
        after = self._soon(1.0)
        for candidate in {node: None, self._other(node): None}:
            after += self._r.random() * 0.03
            self._plan(after, f"the election timer of node {candidate} runs out", ("campaign", (candidate,)))

    def _usurp(self, node: NodeId) -> None:
        """The leader is cut off, perhaps with a friend, and another node campaigns at once, perhaps after some have started again."""
        r, leader = self._r, self._leader()
        leader = node if leader is None else leader
        others = [peer for peer in self._config.nodes if peer != leader]
        friends = [r.choice(others)] if len(others) > 2 and r.random() < 0.4 else []
        who = " and ".join(map(str, sorted([leader, *friends])))
        after = self._soon(1.0)
        self._plan(after, f"node{'s' if friends else ''} {who} cannot reach the others any more", ("isolate", (leader, *friends)))
        for peer in others:
            if r.random() < 0.3:
                self._plan(after, f"node {peer} crashes", ("crash", (peer,)))
                self._plan(after + 0.002, f"node {peer} starts again", ("restart", (peer,)))
        rest = [peer for peer in others if peer not in friends]
        for _ in range(r.choice((1, 2, 3))):
            after += 0.01 + r.random() * r.choice((0.1, 1.0))
            usurper = r.choice(rest)
            self._plan(after, f"the election timer of node {usurper} runs out", ("campaign", (usurper,)))

    def _impatient(self, node: NodeId) -> None:
        """A candidate that hears of its votes late, and campaigns once more meanwhile."""
        other, after, late = self._other(node), self._soon(1.0), self._r.choice((0.3, 2.0))
        slow = (("low", late / 2), ("high", late))
        self._plan(after, f"everything sent to node {other} takes up to {late:g} s", ("weather", (other, slow)))
        for _ in range(2):
            self._plan(after + 0.001, f"the election timer of node {other} runs out", ("campaign", (other,)))
            after += self._r.random() * late
        self._plan(after + late, f"what is sent to node {other} is fast again", ("weather", (other, GOOD)))

    def _slow_link(self, node: NodeId) -> None:
        late = self._r.random() * 1.5 * self._config.lease
        until = self._r.random() * 1.5 * self._config.lease
        slow = (("low", late / 2), ("high", late))
        self._plan(0.001, f"everything sent to node {node} takes {late / 2:.1f} to {late:.1f} s", ("weather", (node, slow)))
        self._plan(until, f"what is sent to node {node} is fast again", ("weather", (node, GOOD)))

    def _disk(self, node: NodeId) -> None:
        delay = self._r.choice((None, 0.5, 3.0))
        words = "is stuck" if delay is None else f"takes {delay:g} s for an fsync"
        after = self._soon(1.0)
        self._plan(after, f"the disk of node {node} {words}", ("disk", (node, delay)))
        self._plan(after + self._r.random() * 1.5 * self._config.lease, f"the disk of node {node} is fast again", ("disk", (node, FAST)))

    def _clock(self, node: NodeId) -> None:
        rate = 1.0 + MARGIN * self._config.rho * self._r.choice((-1.0, 1.0))
        self._plan(self._soon(3.0), f"the clock of node {node} runs at {rate:.4f} from now on", ("clock", (node, rate)))

    def _hold(self, node: NodeId) -> None:
        other = self._other(node)
        a, b = (node, other) if self._r.random() < 0.5 else (other, node)
        after = self._r.random() * 0.05
        self._plan(after, f"what node {a} sends to node {b} is held back", ("hold", (a, b)))
        later = after + self._r.random() * self._r.choice((2.0, 2.0 * self._config.lease))
        self._plan(later, f"what node {a} sent to node {b} arrives after all", ("release", (a, b)))

    def _pause(self, node: NodeId) -> None:
        after, length = self._soon(2.0), self._r.random() * self._r.choice((2.0, 1.5 * self._config.lease))
        self._plan(after, f"node {node} stops for {length:.1f} s", ("pause", (node,)))
        self._plan(after + length, f"node {node} goes on", ("resume", (node,)))
