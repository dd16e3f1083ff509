"""`System`: a whole cluster as a tuple of small ints, and what each macro step makes of it.

Every snapshot, message and history is interned, and every turn of a node is remembered: rules are pure, so that the same node with the same
input does the same. A state is ``(nodes, net, history, budget)``: the nodes' snapshots by place, the held messages, what has been committed
and who has led, and which faults are left. Knows how steps expand into inputs of the core, and nothing of the order of a search.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

from raftedu.checker.history import Histories
from raftedu.checker.invariants import Broken, first_broken, remarks
from raftedu.checker.looking import Look, look
from raftedu.checker.machine import CAMPAIGN, HEARTBEAT, PASS, RESTART, Happens, Left, Machine, Turn, Wake
from raftedu.checker.profiles import TICK, Profile
from raftedu.checker.read_obligations import stale_read
from raftedu.checker.snapshot import ROUND, STRIDE, Snapshot, fresh
from raftedu.checker.steps import READER, Append, Crash, Elect, Late, Place, Read, Step, Tick, Write
from raftedu.core.inputs import ClientRequest
from raftedu.core.messages import AppendEntries, AppendReply, Message, RequestVote
from raftedu.core.outputs import Outcome
from raftedu.core.rules import Rules
from raftedu.core.types import GET, SET, Role, Seconds

__all__ = ["Budget", "Changed", "Done", "State", "System", "request_id"]

Nodes: TypeAlias = tuple[int, ...]
State: TypeAlias = tuple[Nodes, tuple[int, ...], int, int]
SILENCE: Seconds = 1000.0


def request_id(number: int) -> int:
    """Return by which id the client asks for its SET of this number: they begin with 0, and those between went to a GET each."""
    return 2 * (number - 1)


class Budget(NamedTuple):
    """How often each thing may still happen."""

    crashes: int
    late: int
    again: int
    writes: int
    retries: int
    slow: int
    stuck: int
    gets: int


class Done(NamedTuple):
    """What a turn made of a node: the snapshot, the packets that left, up to which index a SET was acknowledged, what was broken.

    ``stale``: a GET that was answered with less than had been acknowledged when it was asked.
    """

    node: int
    sent: tuple[int, ...]
    acked: int
    broken: Broken | None
    stale: Broken | None = None


class Changed(NamedTuple):
    """What a step made of a cluster: the nodes that changed, by place; the packets that are held; whether a history can see any of it."""

    nodes: tuple[tuple[Place, int], ...]
    held: tuple[int, ...]
    acked: int
    broken: Broken | None
    seen: bool
    stale: Broken | None = None


class System:
    """One profile under one table of rules."""

    def __init__(self, profile: Profile, rules: Rules) -> None:
        self.profile = profile
        self.machine = Machine(profile, rules)
        self.config = profile.config()
        self.snapshots: list[Snapshot] = []
        self._snapshot_ids: dict[Snapshot, int] = {}
        self.packets: list[tuple[Place, Message]] = []
        self._packet_ids: dict[Any, int] = {}
        self.budgets: list[Budget] = []
        self._budget_ids: dict[Budget, int] = {}
        self.histories = Histories(self.snapshots, profile.n)
        self._turns: dict[Any, Done] = {}
        self.looks: list[dict[int, Look]] = [{} for _ in range(profile.n)]
        self._aged: dict[tuple[int, int], int] = {}
        # For every snapshot: what decides which steps are possible, and all of it as one number.
        self.leads: list[bool] = []
        self.terms: list[int] = []
        self.room: list[bool] = []
        self.behind: list[bool] = []
        self.shapes: list[int] = []
        self._shape_ids: dict[tuple[bool, int, bool, bool], int] = {}
        self.remarks: dict[str, Broken] = {}  # the first of each kind
        self.on_turn: list[Any] = []  # who wants to see every turn; then nothing is remembered

    # ---- interning

    def snapshot_id(self, snapshot: Snapshot) -> int:
        """Return the number of this snapshot."""
        known = self._snapshot_ids.get(snapshot)
        if known is None:
            known = self._snapshot_ids[snapshot] = len(self.snapshots)
            self.snapshots.append(snapshot)
            self.leads.append(snapshot.role is Role.LEADER)
            self.terms.append(snapshot.term)
            self.room.append(len(snapshot.log) < self.profile.entries)
            self.behind.append(snapshot.disk is not None)
            shape = (self.leads[-1], self.terms[-1], self.room[-1], self.behind[-1])
            self.shapes.append(self._shape_ids.setdefault(shape, len(self._shape_ids)))
            self.histories.note(snapshot)
        return known

    def packet_id(self, to: Place, message: Message) -> int:
        """Return the number of this message on its way to this place."""
        key = (to, type(message), message)
        known = self._packet_ids.get(key)
        if known is None:
            known = self._packet_ids[key] = len(self.packets)
            self.packets.append((to, message))
        return known

    def budget_id(self, budget: Budget) -> int:
        """Return the number of this budget."""
        known = self._budget_ids.get(budget)
        if known is None:
            known = self._budget_ids[budget] = len(self.budgets)
            self.budgets.append(budget)
        return known

    def first_state(self) -> State:
        """Return the state from which nothing has happened yet."""
        p = self.profile
        node = self.snapshot_id(fresh(p) if not p.before else fresh(p)._replace(promised=p.before * TICK, promise=p.before * TICK))
        budget = Budget(p.crashes, p.late, p.again, p.writes, p.retries, p.slow, p.stuck, p.gets)
        return ((node,) * p.n, (), self.histories.first, self.budget_id(budget))

    # ---- turns of one node

    def turn(self, place: Place, node: int, happens: Happens, passed: Seconds = 0.0, writes: bool = True) -> Done:
        """Return what this input makes of this node; from memory if it is known."""
        key = (place, node, type(happens), happens, passed, writes)
        done = self._turns.get(key)
        if done is None or self.on_turn:
            done = self._turns[key] = self._live(place, node, happens, passed, writes)
        return done

    def _live(self, place: Place, node: int, happens: Happens, passed: Seconds, writes: bool) -> Done:
        try:
            turn, after = self.machine.turn(place, self.snapshots[node], _told(happens, self.machine.clocks), passed=passed, writes=writes)
            broken = first_broken(turn, self.profile.overlooks)
            for beyond in remarks(turn):
                self.remarks.setdefault(beyond.name, beyond)
        except (LookupError, TypeError, ValueError) as error:  # the core's own: a rule has led it where no right rule leads; it stops there
            return Done(node, (), 0, Broken("Node Goes On", f"node {place + 1} cannot go on: {type(error).__name__}: {error}"))
        acked = max((a.index for a in turn.answers if a.outcome == Outcome.SUCCESS and a.client != READER), default=0)
        for listener in self.on_turn:
            listener(turn, after, broken)
        missed = stale_read(turn)
        stale = None if missed is None else Broken("No Stale Read", missed)
        return Done(self.snapshot_id(after), tuple(self._sent(left, turn, after.epoch) for left in turn.left), acked, broken, stale)

    def _sent(self, left: Left, turn: Turn, epoch: int) -> int:
        m = left.message
        if isinstance(m, AppendEntries):
            m = m._replace(round=-STRIDE * epoch, sent_at=round(m.sent_at - turn.now, 6))
        elif isinstance(m, AppendReply):
            m = m._replace(round=ROUND - m.round)
        return self.packet_id(left.to - 1, m)

    def to(self, done: Done, place: Place) -> int:
        """Return the last packet that left for this place, -1 if there is none."""
        for packet in reversed(done.sent):
            if self.packets[packet][0] == place:
                return packet
        return -1

    # ---- steps of the cluster

    def places(self, step: Step) -> tuple[Place, ...]:
        """Return the nodes on which it depends what this step does."""
        match step:
            case Append(i, j, _):
                return (i, j)
            case Elect(i, voters, _, _):
                return (i, *voters)
            case Late(packet, _):
                to, message = self.packets[packet]
                return (to, message.sender - 1)
            case Write(i, _, _) | Read(i, _) | Crash(i):
                return (i,)
        return tuple(range(self.profile.n))

    def expand(self, nodes: Nodes, step: Step) -> Changed | None:
        """Return what this step makes of the nodes, ``None`` if it cannot happen or changes nothing."""
        cluster = _Cluster(self, nodes)
        match step:
            case Elect():
                changed = self._elect(cluster, step)
            case Append():
                changed = self._append(cluster, step)
            case Late():
                changed = self._late(cluster, step.packet)
            case Write(i, number, _):
                cluster.turn(i, ClientRequest(SET, "x", f"w{number}", "client", request_id(number), "op"))
                changed = cluster.changed()
            case Read(i, since):
                cluster.turn(i, ClientRequest(GET, "x", "", READER, since, "read"))
                changed = cluster.changed()
            case Crash(i):
                cluster.turn(i, Wake(RESTART))
                changed = cluster.changed()
            case Tick():
                changed = self._tick(cluster, step)
        if changed is None or (not changed.nodes and not changed.held and changed.broken is None and not isinstance(step, Late | Tick)):
            return changed if changed is not None and changed.stale is not None else None
        return changed

    def silenced(self, nodes: Nodes) -> tuple[Nodes, Broken | None]:
        """Return the nodes after so much time that no lease and no promise is left; leaders notice."""
        if not any([self.leads[node] for node in nodes]):
            return nodes, None
        cluster = _Cluster(self, nodes)
        for place, node in enumerate(nodes):
            if self.leads[node]:
                cluster.turn(place, Wake(PASS), passed=SILENCE)
        return tuple(cluster.nodes), cluster.broken

    def _elect(self, cluster: _Cluster, step: Elect) -> Changed | None:
        i = step.i
        if self.leads[cluster.nodes[i]]:
            return None
        done = cluster.turn(i, Wake(CAMPAIGN, step.term))
        held = []
        for voter in step.voters:
            request = self.to(done, voter)
            if request < 0:
                continue
            reply = self.to(cluster.turn(voter, self.packets[request][1]), i)
            if reply >= 0 and step.delayed:
                held.append(reply)
            elif reply >= 0:
                cluster.turn(i, self.packets[reply][1])
        return cluster.changed(held)

    def _append(self, cluster: _Cluster, step: Append) -> Changed | None:
        i, j, writes = step.i, step.j, step.how != "disk stuck"
        done = cluster.turn(i, Wake(HEARTBEAT), writes=writes)
        request = self.to(done, j)
        if request < 0:
            return cluster.changed() if step.how == "" else None
        if step.how == "request late":
            return cluster.changed([request])
        reply = self.to(cluster.turn(j, self.packets[request][1]), i)
        if step.how == "reply late":
            return cluster.changed([reply]) if reply >= 0 else None
        if reply >= 0 and step.how != "reply lost":
            cluster.turn(i, self.packets[reply][1], writes=writes)
        return cluster.changed()

    def _late(self, cluster: _Cluster, packet: int) -> Changed | None:
        to, message = self.packets[packet]
        sender = message.sender - 1
        done = cluster.turn(to, message)
        reply = self.to(done, sender)
        if reply >= 0 and isinstance(message, AppendEntries | RequestVote):
            cluster.turn(sender, self.packets[reply][1])
        return cluster.changed()

    def _tick(self, cluster: _Cluster, step: Tick) -> Changed | None:
        for place in range(self.profile.n):
            if place != step.slow:
                cluster.turn(place, Wake(PASS), passed=TICK, writes=place != step.stuck)
        return cluster.changed()

    def aged(self, packet: int, slow: Place) -> int:
        """Return the packet a tick later: what its leader knows of its age, on the leader's own clock."""
        known = self._aged.get((packet, slow))
        if known is None:
            to, m = self.packets[packet]
            oldest = self.profile.lease + 1
            if isinstance(m, AppendEntries) and m.sender - 1 != slow:
                m = m._replace(round=_older(m.round, oldest), sent_at=max(m.sent_at - TICK, -oldest * TICK))
            elif isinstance(m, AppendReply) and to != slow:
                m = m._replace(round=_older(m.round, oldest))
            known = self._aged[packet, slow] = self.packet_id(to, m)
        return known

    def old(self, packet: int) -> int:
        """Return the packet after a long silence."""
        for _ in range(self.profile.lease + 1):
            packet = self.aged(packet, -1)
        return packet

    # ---- looking at a node without a turn

    def look(self, place: Place, node: int) -> Look:
        """Return whether this node holds a lease and what it would answer to a GET, at this instant."""
        known = self.looks[place].get(node)
        if known is None:
            known = self.looks[place][node] = look(self.machine, place, self.snapshots[node])
        return known


class _Cluster:
    """The nodes while a step goes on."""

    def __init__(self, system: System, nodes: Nodes) -> None:
        self.system, self.before, self.nodes = system, nodes, list(nodes)
        self.acked = 0
        self.broken: Broken | None = None
        self.stale: Broken | None = None

    def turn(self, place: Place, happens: Happens, *, passed: Seconds = 0.0, writes: bool = True) -> Done:
        done = self.system.turn(place, self.nodes[place], happens, passed, writes)
        self.nodes[place] = done.node
        self.acked = max(self.acked, done.acked)
        self.broken = self.broken or done.broken
        self.stale = self.stale or done.stale
        return done

    def changed(self, held: list[int] | None = None) -> Changed:
        nodes = tuple([(place, new) for place, new in enumerate(self.nodes) if new != self.before[place]])
        public = self.system.histories.public
        seen = self.acked > 0 or any(public[new] != public[self.before[place]] for place, new in nodes)
        return Changed(nodes, tuple(held or ()), self.acked, self.broken, seen, self.stale)


def _older(round_: int, oldest: int) -> int:
    """Return a round's name a tick later: its age grows, until it makes no difference any more. A refusal names none."""
    if round_ == ROUND:
        return round_
    age = round_ % STRIDE
    return round_ - age + min(age + 1, oldest)


def _told(happens: Happens, clocks: list[Seconds]) -> Happens:
    """Return a packet as it arrives: rounds by their numbers, the leader's note of its own clock as that clock shows it."""
    if isinstance(happens, AppendEntries):
        return happens._replace(round=ROUND - happens.round, sent_at=clocks[happens.sender - 1] + happens.sent_at)
    return happens._replace(round=ROUND - happens.round) if isinstance(happens, AppendReply) else happens
