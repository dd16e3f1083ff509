"""`Simulation`: a cluster in virtual time, with the methods of `raftedu.Cluster` and more faults than a real one can be given.

It says what a person may ask for, in words of one cluster; how it comes about stands in `raftedu.sim.world`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from raftedu.core.asking import ATTEMPT, Reply, or_raise
from raftedu.core.config import Config
from raftedu.core.inputs import ClientRequest
from raftedu.core.node import Status
from raftedu.core.outputs import Answer, Say
from raftedu.core.rules import RULES, Rules
from raftedu.core.state import ELECTION
from raftedu.core.types import NodeId, Role, Seconds
from raftedu.sim.life import Life
from raftedu.sim.world import Listener, Operation, SimulationError, World
from raftedu.trace import Trace, trace_of

__all__ = ["Simulation"]


class Simulation:
    """A cluster of the same nodes as `raftedu.Cluster`, in virtual time. The same arguments and calls give the same bytes, anywhere.

    Time stands still between two calls; `run`, `step`, and whatever waits let it go on. All durations are protocol seconds.

    Parameters
    ----------
    nodes
        How many nodes (ids from 1), or their ids.
    seed
        What all chance comes from: timeouts, delays, faults.
    lease
        The length of a leader lease; any other setting of `raftedu.Config` may be given by name too.
    rules
        The table of rules, e.g. ``RULES.but(grant_vote=mine)``; a rule that fails stops its node, see `errors`.
    first_timeout
        The first election timeout of some nodes, e.g. ``{2: 5.0}``; all others wait longer.
    listening
        Whether events are kept. Without them it runs faster, and `trace` is empty.
    listener
        Called with node, time, sentence and event for every event.

    Examples
    --------
    >>> sim = Simulation(3, seed=7)
    >>> sim.set("x", "1").outcome.value
    'success'
    >>> sim.get("x")
    '1'
    >>> sim.crash(sim.leader)
    >>> sim.run(60).leader is None
    False
    """

    def __init__(
        self, nodes: int | Iterable[NodeId] = 5, *, seed: int = 0, lease: Seconds = 8.0, rules: Rules | None = None,
        first_timeout: Mapping[NodeId, Seconds] | None = None, listening: bool = True, listener: Listener | None = None, **settings: Any,
    ) -> None:  # fmt: skip
        self.config = Config.of(nodes if isinstance(nodes, int) else tuple(nodes), lease=lease, **settings)
        for node in first_timeout or {}:
            self._check(node)
        self.world = World(
            self.config, seed=seed, rules=rules or RULES, first_timeout=first_timeout, listening=listening, listener=listener,
        )  # fmt: skip
        self._stopped = False

    # ---- what a notebook types

    @property
    def nodes(self) -> list[NodeId]:
        """The ids of all nodes, crashed ones too."""
        return list(self.config.nodes)

    @property
    def seed(self) -> int:
        """What all chance comes from."""
        return self.world.seed

    @property
    def leader(self) -> NodeId | None:
        """The node that leads now, with or without a lease; ``None`` if there is none. Of two, the one of the later term."""
        states = [life.core.state for life in self.world.lives.values() if not life.ended]
        leaders = [state for state in states if state.role == Role.LEADER]
        return max(leaders, key=lambda state: state.term).node if leaders else None

    def status(self) -> list[Status | None]:
        """Return how every node stands, ``None`` for one that is down."""
        return [life.core.status(life.now) if not life.ended else None for life in map(self._life, self.nodes)]

    def log(self, node: NodeId) -> tuple[tuple[int, int, str], ...]:
        """Return the log of a node as (index, term, operation) triples."""
        return self._life(node).core.log

    def is_up(self, node: NodeId) -> bool:
        """Return whether a node runs; one that is paused does."""
        return not self._life(node).ended

    def set(self, key: str, value: str, *, deadline: Seconds = 60.0) -> Reply:
        """Set ``key`` to ``value``; follow leader hints and go on until SUCCESS. Time passes meanwhile.

        Raises
        ------
        RequestFailed
            When ``deadline`` seconds have passed; its ``reply`` says whether it may still happen.
        """
        return or_raise("SET", key, value, self.request("SET", key, value, deadline=deadline))

    def get(self, key: str, *, deadline: Seconds = 60.0) -> str:
        """Return the latest committed value of ``key``, the empty string if there is none; errors as for `set`."""
        return or_raise("GET", key, "", self.request("GET", key, deadline=deadline)).value

    def request(self, op: str, key: str, value: str = "", *, deadline: Seconds = 60.0) -> Reply:
        """Do ``op`` (``"SET"`` or ``"GET"``) and return how it ended, whatever that is."""
        operation = self.begin(op, key, value, deadline=deadline)
        while operation.reply is None:
            self.world.take()
        return operation.reply

    def begin(self, op: str, key: str, value: str = "", *, deadline: Seconds = 60.0) -> Operation:
        """Begin an operation of a client of its own and return at once; its ``reply`` is ``None`` until it has ended."""
        self._must_run()
        return self.world.operate(op, key, value, deadline)

    def ask(self, node: NodeId, op: str, key: str, value: str = "", *, timeout: Seconds = ATTEMPT) -> Answer | None:
        """Ask this one node once, follow no hint, and return its answer; ``None`` if none came within ``timeout`` seconds."""
        self._must_run()
        self._check(node)
        client = self.world.new_client_name()
        box: list[Answer | None] = []
        self.world.call(node, ClientRequest(op, key, value, client, 1, f"{client}-1-1"), timeout, box.append)
        while not box:
            self.world.take()
        return box[0]

    # ---- time

    @property
    def now(self) -> Seconds:
        """The protocol seconds since the simulation began."""
        return self.world.now

    def run(self, seconds: Seconds) -> Self:
        """Let so many seconds pass, and return the simulation."""
        self._must_run()
        if not 0 <= seconds < math.inf:
            raise SimulationError(f"run({seconds}): give a number of seconds from 0")
        self.world.run_to(self.world.now + seconds)
        return self

    def run_until(self, condition: Callable[[], bool], timeout: Seconds = 60.0, *, what: str = "the condition") -> Self:
        """Let time pass until ``condition()`` is true, to the very event that makes it so.

        Raises
        ------
        SimulationError
            When ``timeout`` seconds have passed before.
        """
        self._must_run()
        end = self.world.now + timeout
        while not condition():
            following = self.world.next_time
            if following is None or following > end:
                self.world.run_to(end)
                raise SimulationError(f"there was not {what} within {timeout:g} s: {self!r}")
            self.world.take()
        return self

    def wait_until(self, condition: Callable[[], bool], what: str = "the condition", *, timeout: Seconds = 60.0) -> None:
        """Let time pass until ``condition()`` is true, as `run_until` does."""
        self.run_until(condition, timeout, what=what)

    def wait_for_leader(self, *, lease: bool = False, timeout: Seconds = 60.0) -> NodeId:
        """Let time pass until there is a leader (``lease=True``: one whose lease is valid) and return its id."""

        def found() -> NodeId | None:
            leaders = [s for s in self.status() if s is not None and s.role == Role.LEADER and (s.lease_left > 0 or not lease)]
            return max(leaders, key=lambda s: s.term).node if leaders else None

        self.run_until(lambda: found() is not None, timeout, what=f"a leader{' with a lease' if lease else ''}")
        leader = found()
        assert leader is not None
        return leader

    def step(self) -> list[str]:
        """Take events of the queue until one is worth a word, and return what was said about it; empty if nothing is left to happen."""
        self._must_run()
        world, listener = self.world, self.world.listener
        said: list[str] = []

        def overhear(node: NodeId, time: Seconds, words: str, say: Say) -> None:
            said.append(words)
            if listener is not None:
                listener(node, time, words, say)

        world.listen(overhear)
        try:
            while not said and world.take():
                pass
        finally:
            world.listen(listener)
        return said

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

    # ---- looking at it

    @property
    def trace(self) -> Trace:
        """The `Trace` of everything so far, from the very lines that `save` writes."""
        return trace_of(self.world.dumps.values())

    def save(self, folder: str | Path) -> Path:
        """Write ``logs_node_X/dump.txt`` for every node below ``folder``, for `raftedu.read_dump`, and return the folder."""
        for node, dump in self.world.dumps.items():
            dump.save(Path(folder) / f"logs_node_{node}" / "dump.txt")
        return Path(folder)

    @property
    def errors(self) -> dict[NodeId, BaseException]:
        """What ended nodes against their will: a rule that failed."""
        return {node: life.error for node, life in self.world.lives.items() if life.error is not None}

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopped

    def stop(self) -> None:
        """End every node, so that the trace says how it ended. Stopping twice is harmless."""
        for node in self.nodes if not self._stopped else ():
            if self.is_up(node):
                self.world.end(node, "stopped", "stop")
        self._stopped = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def __repr__(self) -> str:
        status = [s for s in self.status() if s is not None]
        leads = [f"node {s.node} leads term {s.term}" for s in status if s.role == Role.LEADER]
        down = [str(node) for node in self.nodes if not self.is_up(node)]
        faults = [f"node {node} stopped: {type(error).__name__}: {error}" for node, error in sorted(self.errors.items())]
        parts = [f"{len(self.nodes)} nodes, seed {self.seed}, at {self.now:.2f} s", *(leads or ["no leader"])]
        parts += [f"down: {', '.join(down)}"] if down else []
        return f"<Simulation: {'; '.join([*parts, *faults])}>"

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
