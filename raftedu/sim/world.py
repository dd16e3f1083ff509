"""`World`: nodes, network, disks, clocks and clients around one queue of events in virtual time; the same seed, the same bytes.

Nothing here reads a clock or the system: time is what the queue says. Every random number comes from a stream of its own purpose,
seeded by a text, so that a fault that draws more does not shift anybody else's chances; nothing depends on ``hash`` or on the order of
a set. `Simulation` adds what a person asks for; the checker needs only this.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import Any, TypeAlias

from raftedu.core.asking import Attempt, Pursuit, Reply, Seeker
from raftedu.core.config import Config
from raftedu.core.inputs import ClientRequest
from raftedu.core.node import Node
from raftedu.core.outputs import Answer, Outcome, Say
from raftedu.core.rules import RULES, Rules
from raftedu.core.types import NodeId, Seconds
from raftedu.events import MemoryDump
from raftedu.sim.clock import NodeClock
from raftedu.sim.disk import Disk
from raftedu.sim.life import Answered, Life, Onlooker, Packet
from raftedu.sim.network import Network, Quality
from raftedu.sim.timeouts import Timeouts, first_timeouts

__all__ = ["UTC_ZERO", "Listener", "Operation", "SimulationError", "World"]

UTC_ZERO = 1403136000.0
"""The time of day at which every simulation begins: 19 June 2014, the day on which Raft was presented."""

DISK_DELAY: Seconds = 0.005

Listener: TypeAlias = Callable[[NodeId, Seconds, str, Say], None]


class SimulationError(RuntimeError):
    """A simulation cannot do what it was told; the message says what to do instead."""


@contextmanager
def _without_collector() -> Iterator[None]:
    """Spare Python's collector of circles meanwhile: it would look at all kept events again and again, and they form none."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class Operation:
    """An operation of a client on its way; ``reply`` is ``None`` until it has ended."""

    def __init__(self, request: ClientRequest, seeker: Seeker, deadline: Seconds) -> None:
        self.request, self.seeker = request, seeker
        self.pursuit: Pursuit = seeker.pursue(request, deadline)
        self.reply: Reply | None = None


class World:
    """Everything that a simulation consists of.

    Parameters
    ----------
    config, rules
        As for `raftedu.core.node.Node`.
    seed
        What all chance comes from.
    first_timeout
        The first election timeout of some nodes; all others wait longer.
    listening
        Whether events are kept. Without them a world runs faster, and there is nothing to look at afterwards.
    listener
        Called with node, time, sentence and event for every event.
    onlooker
        Called after every step of a node, listening or not; see `raftedu.sim.life.Onlooker`.
    """

    def __init__(
        self, config: Config, *, seed: int = 0, rules: Rules = RULES, first_timeout: Mapping[NodeId, Seconds] | None = None,
        listening: bool = True, listener: Listener | None = None, onlooker: Onlooker | None = None,
    ) -> None:  # fmt: skip
        self.config, self.seed, self.rules, self.listening, self.listener = config, seed, rules, listening, listener
        self.onlooker = onlooker
        self.now: Seconds = 0.0
        self.steps = 0
        """How many events of the queue have been taken."""
        self.dumps = {node: MemoryDump(node) for node in config.nodes}
        self.listen(listener)
        self._queue: list[tuple[Seconds, int, Callable[..., None], tuple[Any, ...]]] = []
        self._order = count()
        self.network = Network(config.nodes, self.stream("network"), Quality())
        self.disks = {node: Disk(DISK_DELAY) for node in config.nodes}
        self.clocks = {node: NodeClock() for node in config.nodes}
        first = first_timeouts(config, self.stream("first"), first_timeout or {})
        self.timeouts = {node: Timeouts(self.stream(f"timeouts/{node}"), first.get(node)) for node in config.nodes}
        self.lives: dict[NodeId, Life] = {}
        """The latest life of each node, ended or not."""
        self._client_delay = self.stream("clients")
        self._seekers: list[Seeker] = []
        self._clients = 0
        for node in config.nodes:
            self.start(node)

    def stream(self, purpose: str) -> Random:
        """Return the random numbers for one purpose: the same for the same seed, whatever else is drawn."""
        return Random(f"{self.seed}/{purpose}")

    # ---- the queue

    def at(self, time: Seconds, action: Callable[..., None], *args: Any) -> None:
        """Let ``action(*args)`` happen at ``time``. What is to happen at one moment happens in the order in which it was planned."""
        heappush(self._queue, (time, next(self._order), action, args))

    @property
    def next_time(self) -> Seconds | None:
        """When the next event of the queue happens, ``None`` if nothing is left to happen."""
        return self._queue[0][0] if self._queue else None

    def take(self) -> bool:
        """Take the next event of the queue; return whether there was one."""
        if not self._queue:
            return False
        time, _, action, args = heappop(self._queue)
        self.now = time
        self.steps += 1
        action(*args)
        return True

    def run_to(self, end: Seconds) -> None:
        """Take all events up to ``end``, and let it be that time."""
        with _without_collector():
            self._run_to(end)
        self.now = max(self.now, end)

    def _run_to(self, end: Seconds) -> None:
        queue = self._queue
        while queue and queue[0][0] <= end:
            self.now, _, action, args = heappop(queue)
            self.steps += 1
            action(*args)

    # ---- nodes

    def start(self, node: NodeId) -> None:
        """Start a node from what is on its disk."""
        earlier = self.lives.get(node)
        incarnation = earlier.incarnation + 1 if earlier else 1
        core = Node(node, self.config, self.rules, self.disks[node].load())
        core.state.listening = self.listening
        links, timeouts = self.network.links[node], self.timeouts[node]
        life = Life(core, incarnation, self.clocks[node], self.disks[node], links, timeouts, self, self.dumps[node].write)
        self.lives[node] = life
        life.begin({"incarnation": incarnation, "utc_zero": UTC_ZERO, "pace": 1.0})
        for a, b in self.network.cuts:
            if a == node:
                life.say("link_cut", b, {})

    def end(self, node: NodeId, event: str, why: str) -> None:
        """End a node; what is not on its disk is lost."""
        life = self.lives[node]
        life.say(event, None, {"why": why})
        life.end()

    def failed(self, life: Life) -> None:
        """Take note that a rule or a handler failed: this node stops, the others go on."""
        life.end()

    def is_up(self, node: NodeId) -> bool:
        """Return whether a node runs; one that is paused does."""
        return not self.lives[node].ended

    # ---- events

    def listen(self, listener: Listener | None) -> None:
        """Let ``listener`` hear every event from now on, and nobody else."""
        for node, dump in self.dumps.items():
            dump.listener = None if listener is None else partial(self._tell, listener, node)

    def _tell(self, listener: Listener, node: NodeId, words: str, say: Say) -> None:
        listener(node, self.now, words, say)

    # ---- messages

    def transmit(self, to: NodeId, packet: Packet) -> None:
        """Take a message on a link with faults: it is cut, held, lost, doubled or overtaken."""
        sender = packet[3]
        link = self.network.links[sender.node][to]
        if link.cut:
            self._drop(to, packet, "the link is cut")
            return
        if link.held is not None:
            link.held.append(packet)
            return
        times = link.arrivals(self.now)
        if not times:
            self._drop(to, packet, "the network lost it")
        if len(times) > 1:
            sender.say("duplicated", to, packet[2])
        for time in times:
            self.at(time, self.arrive, to, packet)

    def arrive(self, to: NodeId, packet: Packet) -> None:
        """Hand a message to its receiver."""
        life = self.lives[to]
        if not life.ended:
            life.receive(packet)
            return
        sender = packet[3]
        self._drop(to, packet, f"node {to} is down")
        if not sender.ended and to not in sender.unreachable:
            sender.unreachable.add(to)
            sender.say("rpc_failed", to, {"reason": f"node {to} is down", "msg": packet[1]})

    def _drop(self, to: NodeId, packet: Packet, why: str) -> None:
        if not packet[3].ended:
            packet[3].say("dropped", to, {**packet[2], "why": why})

    def release(self, pairs: Iterable[tuple[NodeId, NodeId]]) -> int:
        """Let go what is held on these links, hold nothing there any more, and return how many messages that were."""
        released = 0
        for a, b in pairs:
            link = self.network.links[a][b]
            held, link.held = link.held or [], None
            link.judge()
            for packet in held:
                self.transmit(b, packet)
            released += len(held)
        return released

    # ---- clients

    def call(self, node: NodeId, request: ClientRequest, timeout: Seconds, answered: Answered) -> None:
        """Let a client ask one node once; ``answered`` is called once, with ``None`` if nothing comes back in time."""
        quality = self.network.quality
        delay = self._client_delay.uniform(quality.low, quality.high)
        self.at(self.now + delay, self._request, node, request, answered)
        self.at(self.now + timeout, self._give_up, node, request.op_id)

    def _request(self, node: NodeId, request: ClientRequest, answered: Answered) -> None:
        life = self.lives[node]
        if life.ended:
            reason = f"node {node} is down"
            answered(Answer(request.op_id, request.client, request.request, Outcome.FAIL, "", None, None, 0, reason))
        else:
            life.clients[request.op_id] = answered
            life.request(request)

    def _give_up(self, node: NodeId, op_id: str) -> None:
        answered = self.lives[node].clients.pop(op_id, None)
        if answered is not None:
            answered(None)

    def operate(self, op: str, key: str, value: str, deadline: Seconds) -> Operation:
        """Let a client that is idle begin an operation, and return it at once."""
        seeker = self._seekers.pop() if self._seekers else self._new_client()
        operation = Operation(ClientRequest(op, key, value), seeker, deadline)
        self._go_on(operation, None)
        return operation

    def new_client_name(self) -> str:
        """Return a client id that nobody has."""
        self._clients += 1
        return f"c{self._clients}"

    def _new_client(self) -> Seeker:
        name = self.new_client_name()
        return Seeker(self.config.nodes, now=lambda: self.now, draw=self.stream(f"client/{name}").uniform, client=name)

    def _go_on(self, operation: Operation, answer: Answer | None) -> None:
        try:
            wish = operation.pursuit.send(answer)
        except StopIteration as end:
            operation.reply = end.value
            self._seekers.append(operation.seeker)
            return
        if isinstance(wish, Attempt):
            self.call(wish.node, wish.request, wish.timeout, lambda answer: self._go_on(operation, answer))
        else:
            self.at(self.now + wish.seconds, self._go_on, operation, None)
