"""A small world for hand-written schedules: real nodes, and a test that decides what arrives, when, and what a crash leaves.

Nothing happens by itself. Messages stay in flight until the test delivers, drops or copies them, or lets everything `settle`; time
moves when the test says so (`run`), and only leaders' timers fire on the way; a disk writes at once, or is held; a crash keeps what was
written. Every node has its own clock, ``offset + rate * now``. `tests.invariants` looks on at every step.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count
from typing import Any, NamedTuple

from raftedu.core.config import LEASE_POLICIES, NO_LEASE, READ_MODES, Config
from raftedu.core.inputs import ClientRequest, Input, Persisted, Receive, TimerFired
from raftedu.core.messages import AppendEntries, AppendReply, Message, RequestVote, VoteReply
from raftedu.core.node import Node
from raftedu.core.outputs import Answer, Output, Persist, Say, Send, SetTimer
from raftedu.core.rules import RULES, Rules
from raftedu.core.types import Durable, Entry, HardState, Role
from tests.invariants import Invariants, Operation, Violation, require

__all__ = ["WAYS", "Flight", "Host", "Told", "Violation", "World", "require"]

FOREVER = float("inf")
WAYS = [(policy, mode) for policy in LEASE_POLICIES for mode in READ_MODES if mode != "unsafe" and (mode, policy) != ("lease", NO_LEASE)]
"""The lease policies and the read modes that go with them and are safe."""


@dataclass(eq=False)
class Flight:
    """A message on its way."""

    id: int
    src: int
    dst: int
    message: Message
    sent_at: float


class Told(NamedTuple):
    """An event as a node told it, with the real time and the node."""

    time: float
    node: int
    say: Say


class Timer(NamedTuple):
    """An armed timer; the moments are real ones, ``local_low`` is the earliest on the node's clock."""

    generation: int
    low: float
    high: float
    local_low: float


@dataclass(eq=False)
class Host:
    """The machine of one node: its clock, its disk, its timers; ``node`` is ``None`` while it is down."""

    id: int
    config: Config
    offset: float = 0.0
    rate: float = 1.0
    node: Node | None = None
    incarnation: int = 0
    ran_before: bool = False
    hard: HardState = HardState()
    entries: list[Entry] = field(default_factory=list)
    disk_held: bool = False
    unwritten: list[Persist] = field(default_factory=list)
    blocked: list[Send] = field(default_factory=list)
    saved_seq: int = 0
    timers: dict[str, Timer] = field(default_factory=dict)
    last_local: float = float("-inf")

    def local(self, now: float) -> float:
        """Return what this node's clock shows; it never goes back."""
        self.last_local = max(self.last_local, self.offset + self.rate * now)
        return self.last_local

    def write(self, persist: Persist) -> None:
        """Do what `Persist` says: cut the log, append, replace the rest."""
        if persist.hard is not None:
            self.hard = persist.hard
        if persist.first:
            if persist.first - 1 > len(self.entries):
                raise Violation(f"node {self.id} asks for entry {persist.first} to be written, and its disk has {len(self.entries)}")
            del self.entries[persist.first - 1 :]
            self.entries.extend(persist.entries)
        self.saved_seq = persist.seq


class World:
    """Nodes, what is between them, and the hand of the test.

    ``clocks`` gives nodes an (offset, rate), ``logs`` the terms of what they find on their disk; the settings are those of `Config`.
    """

    def __init__(
        self, nodes: int = 3, *, rules: Rules = RULES, clocks: dict[int, tuple[float, float]] | None = None,
        logs: dict[int, list[int]] | None = None, start: bool = True, watch: Invariants | None = None, **settings: Any,
    ) -> None:  # fmt: skip
        self.config = Config.of(nodes, **settings)
        self.rules, self.now = rules, 0.0
        self.flights: list[Flight] = []
        self.told: list[Told] = []
        self.answers: dict[str, Answer] = {}
        self.cut_links: set[tuple[int, int]] = set()
        self.held_links: set[tuple[int, int]] = set()
        self.paused: set[int] = set()
        self.ids, self.requests = count(1), count(1)
        self.invariants = watch or Invariants()
        self.hosts = {i: Host(i, self.config, *(clocks or {}).get(i, (0.0, 1.0))) for i in self.config.nodes}
        for i, terms in (logs or {}).items():
            self._furnish(self.hosts[i], terms)
        for i in self.config.nodes if start else ():
            self.restart(i)

    def _furnish(self, host: Host, terms: list[int]) -> None:
        """Put a log of these terms on the disk of a node that has not run: the same entry for the same (index, term)."""
        host.entries = [Entry(term, "SET", f"k{i}", f"{i}.{term}", "past", i * 100 + term) for i, term in enumerate(terms, 1)]
        host.hard = HardState(max(terms, default=0), None, 0.0)

    # ---- looking

    def node(self, i: int) -> Node:
        """Return a node that is up."""
        node = self.hosts[i].node
        assert node is not None, f"node {i} is down"
        return node

    def state(self, i: int) -> Any:
        """Return the state of a node that is up."""
        return self.node(i).state

    def role(self, i: int) -> Role:
        """Return its role."""
        return self.state(i).role

    def terms(self, i: int) -> list[int]:
        """Return its log as a list of terms."""
        return list(self.state(i).log.terms)

    def up(self) -> list[int]:
        """Return the ids of the nodes that are not down."""
        return [i for i, host in self.hosts.items() if host.node is not None]

    def leaders(self) -> list[int]:
        """Return the ids of all nodes that believe they lead."""
        return [i for i in self.up() if self.role(i) == Role.LEADER]

    def holders(self) -> list[int]:
        """Return the ids of all nodes that believe at this instant that they hold a lease."""
        return self.invariants.holders(self)

    def events(self, event: str, node: int | None = None) -> list[Say]:
        """Return what was told so far of this kind."""
        return [told.say for told in self.told if told.say.event == event and node in (None, told.node)]

    # ---- messages

    def flying(self, src: int | None = None, dst: int | None = None, kind: type | None = None) -> list[Flight]:
        """Return the messages in flight, oldest first."""
        return [f for f in self.flights if src in (None, f.src) and dst in (None, f.dst) and (kind is None or isinstance(f.message, kind))]

    def take(self, src: int, dst: int, kind: type | None = None) -> Flight:
        """Return the oldest message in flight on this link; it must be there."""
        found = self.flying(src, dst, kind)
        assert found, f"nothing of the kind is in flight from {src} to {dst}: {self.flights}"
        return found[0]

    def deliver(self, flight: Flight) -> None:
        """Let a message arrive, cut link or not (it had passed before); a node that is down does not get it."""
        if flight in self.flights:
            self.flights.remove(flight)
        self.step(flight.dst, Receive(flight.message, f"m{flight.id}"))

    def drop(self, *flights: Flight) -> None:
        """Lose messages; without arguments, all that are in flight."""
        for flight in flights or tuple(self.flights):
            self.flights.remove(flight)

    def copy(self, flight: Flight) -> Flight:
        """Return a duplicate that is not in flight, to `deliver` at some later time."""
        return Flight(flight.id, flight.src, flight.dst, flight.message, flight.sent_at)

    def settle(self) -> None:
        """Deliver everything, oldest first, until nothing flies; cut links lose, held ones hold."""
        for _ in range(20_000):
            flight = next((f for f in self.flights if (f.src, f.dst) not in self.held_links), None)
            if flight is None:
                return
            if (flight.src, flight.dst) in self.cut_links:
                self.flights.remove(flight)
            else:
                self.deliver(flight)
        raise Violation("the nodes do not come to rest")

    def cut(self, a: int, b: int) -> None:
        """Cut the link between two nodes, both ways; what is in flight on it is lost as it settles."""
        self.cut_links |= {(a, b), (b, a)}

    def isolate(self, *nodes: int) -> None:
        """Cut these nodes off from all others, not from each other."""
        for a in nodes:
            for b in self.hosts:
                if b not in nodes:
                    self.cut(a, b)

    def heal(self) -> None:
        """Mend every link and let what was held go on."""
        self.cut_links.clear()
        self.held_links.clear()

    # ---- time

    def run(self, until: float, *, elections: bool = False) -> None:
        """Move time, settle all the while, fire leaders' timers, and election timers (as late as they may be) if asked to."""
        self.settle()
        while True:
            awake = [(i, host.timers) for i, host in self.hosts.items() if i not in self.paused]
            due = [(timers["leader"].low, i, "leader") for i, timers in awake if "leader" in timers]
            if elections:
                due += [(timers["election"].high, i, "election") for i, timers in awake if "election" in timers]
            when, i, name = min(due, default=(FOREVER, 0, ""))
            if when > until:
                break
            self.now = max(self.now, when)
            self.fire(i, name)
            self.settle()
        self.now = max(self.now, until)
        self.settle()
        self.invariants.look(self)

    def pause(self, i: int) -> None:
        """Let no timer of a node fire, as if its process were stopped; cut it off as well if nothing shall arrive."""
        self.paused.add(i)

    def resume(self, i: int) -> None:
        """Let its timers fire again, the overdue ones as soon as time moves."""
        self.paused.discard(i)

    def fire(self, i: int, timer: str) -> None:
        """Fire a timer now."""
        host = self.hosts[i]
        armed = host.timers.pop(timer)
        if timer == "leader":
            host.last_local = max(host.local(self.now), armed.local_low)
        self.step(i, TimerFired(timer, armed.generation))

    # ---- what a test does most

    def campaign(self, i: int) -> None:
        """Let the election timer of a node run out."""
        self.fire(i, "election")

    def rise(self, i: int, term: int) -> None:
        """Let a node campaign in vain, its requests all lost, until it is in this term."""
        while self.state(i).term < term:
            flying = list(self.flights)
            self.campaign(i)
            self.flights[:] = flying

    def elect(self, i: int, by: Iterable[int] | None = None) -> None:
        """Let a node campaign; ``by``: only these hear it and are heard, and the new leader's messages stay in flight."""
        self.campaign(i)
        if by is None:
            self.settle()
            return
        for voter in by:
            self.deliver(self.take(i, voter, RequestVote))
            self.deliver(self.take(voter, i, VoteReply))
        self.drop_flying(src=i, kind=RequestVote)

    def drop_flying(self, src: int | None = None, dst: int | None = None, kind: type | None = None) -> None:
        """Lose what is in flight on these links."""
        for flight in self.flying(src, dst, kind):
            self.flights.remove(flight)

    def exchange(self, leader: int, follower: int) -> None:
        """Deliver the oldest AppendEntries on this link, and its reply."""
        self.deliver(self.take(leader, follower, AppendEntries))
        self.deliver(self.take(follower, leader, AppendReply))

    def set(self, i: int, key: str, value: str, client: str | None = None, request: int | None = None) -> str:
        """Ask a node for a SET; return the name of the attempt, for `answers`."""
        number = next(self.requests) if request is None else request
        return self._ask(i, "SET", key, value, f"c{number}" if client is None else client, number)

    def get(self, i: int, key: str) -> Answer:
        """Ask a node for a GET and return its answer; what does not come at once, comes when all is delivered."""
        name = self.ask(i, key)
        if name not in self.answers:
            self.settle()
        return self.answers[name]

    def ask(self, i: int, key: str) -> str:
        """Ask a node for a GET; return the name of the attempt, for `answers`."""
        return self._ask(i, "GET", key, "", "reader", 0)

    def _ask(self, i: int, op: str, key: str, value: str, client: str, request: int) -> str:
        op_id = f"o{next(self.ids)}"
        self.invariants.asked(Operation(op_id, i, op, key, value, client, request))
        self.step(i, ClientRequest(op, key, value, client, request, op_id))
        return op_id

    # ---- disks and crashes

    def hold_disk(self, i: int) -> None:
        """From now on nothing is written on this node's disk."""
        self.hosts[i].disk_held = True

    def release_disk(self, i: int) -> None:
        """Write what was held, and go on writing."""
        self.hosts[i].disk_held = False
        self.sync(i)

    def sync(self, i: int, writes: int | None = None) -> None:
        """Write what waits (the first ``writes`` of it), tell the node, and let go what waited for it."""
        host = self.hosts[i]
        todo = host.unwritten[:writes]
        del host.unwritten[: len(todo)]
        for persist in todo:
            host.write(persist)
        if not todo or host.node is None:
            return
        free = [send for send in host.blocked if send.after <= host.saved_seq]
        host.blocked = [send for send in host.blocked if send.after > host.saved_seq]
        self.step(i, Persisted(host.saved_seq))
        for send in free:
            self.launch(i, send)

    def crash(self, i: int) -> None:
        """Stop a node; only what was written is left."""
        host = self.hosts[i]
        self.invariants.crashed(i)
        host.node = None
        host.unwritten.clear()
        host.blocked.clear()
        host.timers.clear()

    def restart(self, i: int, **settings: Any) -> None:
        """Start a node from its disk, with other settings if given."""
        host = self.hosts[i]
        assert host.node is None, f"node {i} is up"
        host.config = host.config.but(**settings) if settings else host.config
        host.incarnation += 1
        host.saved_seq = 0
        host.node = Node(i, host.config, self.rules, Durable(host.hard, tuple(host.entries), host.ran_before))
        host.ran_before = True
        self.invariants.started(self, i)
        self._carry_out(host, host.node.start(host.local(self.now)))

    # ---- the driver's duties

    def step(self, i: int, input: Input) -> None:
        """Give a node an input now; nothing happens if it is down."""
        host = self.hosts[i]
        if host.node is not None:
            self._carry_out(host, host.node.step(input, host.local(self.now)))

    def _carry_out(self, host: Host, outputs: list[Output]) -> None:
        free: list[Send] = []
        for output in outputs:
            match output:
                case Say():
                    self.told.append(Told(self.now, host.id, output))
                    self.heard(host, output)
                case Persist():
                    host.unwritten.append(output)
                case Send():
                    (host.blocked if output.after > host.saved_seq else free).append(output)
                case SetTimer():
                    self.arm(host, output)
                case Answer():
                    self.answers[output.op_id] = output
                    self.invariants.answered(output)
        for send in free:
            self.launch(host.id, send)
        self.invariants.look(self)
        if host.unwritten:
            self.disk_asked(host)

    def heard(self, host: Host, say: Say) -> None:
        """Let the invariants look at an event."""
        self.invariants.hear(self, host.id, say)

    def launch(self, src: int, send: Send) -> None:
        """Put a message on its way; on a cut link it is lost."""
        if (src, send.to) not in self.cut_links:
            self.flights.append(Flight(next(self.ids), src, send.to, send.message, self.now))

    def arm(self, host: Host, timer: SetTimer) -> None:
        """Remember a timer; nothing fires by itself."""
        if timer.low < 0:
            host.timers.pop(timer.timer, None)
            return
        low, high = self.now + timer.low / host.rate, self.now + timer.high / host.rate
        host.timers[timer.timer] = Timer(timer.generation, low, high, host.local(self.now) + timer.low)

    def disk_asked(self, host: Host) -> None:
        """Write at once, unless the disk is held."""
        if not host.disk_held:
            self.sync(host.id)
