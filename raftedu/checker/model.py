"""`System`: a whole cluster as a tuple of small ints, and what each macro step makes of it.

Every snapshot, message and history is interned, and every turn of a node is remembered: rules are pure, so that the same node with the same
input does the same. A state is ``(nodes, net, history, budget)``: the nodes' snapshots by place, the held messages, what has been committed
and who has led, and which faults are left. Knows how steps expand into inputs of the core, and nothing of the order of a search.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

from raftedu.checker.history import Histories
from raftedu.checker.invariants import Broken, first_broken
from raftedu.checker.looking import Look, look
from raftedu.checker.machine import CAMPAIGN, HEARTBEAT, PASS, RESTART, Happens, Left, Machine, Turn, Wake
from raftedu.checker.profiles import TICK, Profile
from raftedu.checker.snapshot import ROUND, Snapshot, fresh
from raftedu.checker.steps import Append, Crash, Elect, Late, Place, Step, Tick, Write
from raftedu.core.inputs import ClientRequest
from raftedu.core.messages import AppendEntries, AppendReply, Message, RequestVote
from raftedu.core.outputs import Outcome
from raftedu.core.rules import Rules
from raftedu.core.types import SET, Role, Seconds

__all__ = ["Budget", "Changed", "Done", "State", "System"]

Nodes: TypeAlias = tuple[int, ...]
State: TypeAlias = tuple[Nodes, tuple[int, ...], int, int]
SILENCE: Seconds = 1000.0


class Budget(NamedTuple):
    """How often each thing may still happen."""

    crashes: int
    late: int
    again: int
    writes: int
    retries: int
    slow: int
    stuck: int


class Done(NamedTuple):
    """What a turn made of a node: the snapshot, the packets that left, up to which index a SET was acknowledged, what was broken."""

    node: int
    sent: tuple[int, ...]
    acked: int
    broken: Broken | None


class Changed(NamedTuple):
    """What a step made of a cluster: the nodes that changed, by place; the packets that are held; whether a history can see any of it."""

    nodes: tuple[tuple[Place, int], ...]
    held: tuple[int, ...]
    acked: int
    broken: Broken | None
    seen: bool


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
        node = self.snapshot_id(fresh(p))
        budget = Budget(p.crashes, p.late, p.again, p.writes, p.retries, p.slow, p.stuck)
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
        turn, after = self.machine.turn(place, self.snapshots[node], _told(happens, self.machine.clocks), passed=passed, writes=writes)
        broken = first_broken(turn)
        acked = max((a.index for a in turn.answers if a.outcome == Outcome.SUCCESS), default=0)
        for listener in self.on_turn:
            listener(turn, after, broken)
        return Done(self.snapshot_id(after), tuple(self._sent(left, turn) for left in turn.left), acked, broken)

    def _sent(self, left: Left, turn: Turn) -> int:
        m = left.message
        if isinstance(m, AppendEntries):
            m = m._replace(round=0, sent_at=round(m.sent_at - turn.now, 6))
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
            case Write(i, _, _) | Crash(i):
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
                cluster.turn(i, ClientRequest(SET, "x", f"w{number}", "client", number, "op"))
                changed = cluster.changed()
            case Crash(i):
                cluster.turn(i, Wake(RESTART))
                changed = cluster.changed()
            case Tick(slow):
                changed = self._tick(cluster, slow)
        if changed is None or (not changed.nodes and not changed.held and changed.broken is None and not isinstance(step, Late | Tick)):
            return None
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

    def _tick(self, cluster: _Cluster, slow: Place) -> Changed | None:
        for place in range(self.profile.n):
            if place != slow:
                cluster.turn(place, Wake(PASS), passed=TICK)
        return cluster.changed()

    def aged(self, packet: int, slow: Place) -> int:
        """Return the packet a tick later: what its leader knows of its age, on the leader's own clock."""
        known = self._aged.get((packet, slow))
        if known is None:
            to, m = self.packets[packet]
            oldest = self.profile.lease + 1
            if isinstance(m, AppendEntries) and m.sender - 1 != slow:
                m = m._replace(round=min(m.round + 1, oldest), sent_at=max(m.sent_at - TICK, -oldest * TICK))
            elif isinstance(m, AppendReply) and to != slow:
                m = m._replace(round=min(m.round + 1, oldest))
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
        self.acked, self.broken = 0, None  # type: int, Broken | None

    def turn(self, place: Place, happens: Happens, *, passed: Seconds = 0.0, writes: bool = True) -> Done:
        done = self.system.turn(place, self.nodes[place], happens, passed, writes)
        self.nodes[place] = done.node
        self.acked = max(self.acked, done.acked)
        self.broken = self.broken or done.broken
        return done

    def changed(self, held: list[int] | None = None) -> Changed:
        nodes = tuple([(place, new) for place, new in enumerate(self.nodes) if new != self.before[place]])
        public = self.system.histories.public
        seen = self.acked > 0 or any(public[new] != public[self.before[place]] for place, new in nodes)
        return Changed(nodes, tuple(held or ()), self.acked, self.broken, seen)


def _told(happens: Happens, clocks: list[Seconds]) -> Happens:
    """Return a packet as it arrives: rounds by their numbers, the leader's note of its own clock as that clock shows it."""
    if isinstance(happens, AppendEntries):
        return happens._replace(round=ROUND - happens.round, sent_at=clocks[happens.sender - 1] + happens.sent_at)
    return happens._replace(round=ROUND - happens.round) if isinstance(happens, AppendReply) else happens
