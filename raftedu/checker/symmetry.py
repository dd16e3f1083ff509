"""Nodes that are alike may change names: of all states that differ only by names, the search visits one.

A state is brought into the order of its nodes' signatures (what a snapshot says without naming anybody); only ties need a second look.
A path found for a rule that looks at ids may not replay; then `raftedu.checker.checking` looks again without this.
"""

from __future__ import annotations

from itertools import permutations
from typing import TypeAlias

from raftedu.checker.history import History
from raftedu.checker.model import State, System
from raftedu.checker.snapshot import rename
from raftedu.checker.steps import Append, Crash, Elect, Late, Read, Step, Tick, Write

__all__ = ["Names", "Symmetry"]

Names: TypeAlias = tuple[int, ...]
"""``names[old place]`` is the new place."""

Order: TypeAlias = tuple[tuple[int, ...], Names, dict[int, int]]
"""Which old place comes to each new one, the same as names, and what is known of snapshots under those names."""


class Symmetry:
    """The names of one search."""

    def __init__(self, system: System, *, alike: bool = True) -> None:
        self._system, self._n, self._alike = system, system.profile.n, alike
        self._signature_ids: dict[tuple[object, ...], int] = {}
        self._signatures: list[dict[int, int]] = [{} for _ in range(self._n)]
        self._nodes: dict[Names, dict[int, int]] = {}
        self._packets: dict[tuple[Names, int], int] = {}
        self._histories: dict[tuple[Names, int], int] = {}
        self._orders: dict[tuple[int, ...], list[Order]] = {}
        self.same = tuple(range(self._n))

    def canonical(self, state: State) -> tuple[State, Names]:
        """Return the state under the names that stand for all, and which names those are."""
        nodes, net, history, budget = state
        if not self._alike:
            return state, self.same
        known = self._signatures
        signatures = tuple([known[place].get(node) or self._signature(place, node) for place, node in enumerate(nodes)])
        orders = self._orders.get(signatures)
        if orders is None:
            orders = self._orders[signatures] = self._in_order(signatures)
        best: tuple[State, Names] | None = None
        for order, names, renamed in orders:
            new_nodes = tuple([renamed.get(nodes[old]) or self._node(names, nodes[old]) for old in order])
            new_net = tuple(sorted([self._packet(names, packet) for packet in net])) if net else net
            new = (new_nodes, new_net, self._history(names, history), budget)
            if best is None or new < best[0]:
                best = (new, names)
        assert best is not None
        return best

    def _in_order(self, signatures: tuple[int, ...]) -> list[Order]:
        order = sorted(range(self._n), key=signatures.__getitem__)
        orders = [tuple(order)]
        if self._n == 3 and len(set(signatures)) < 3:  # with more nodes the ties cost more than they save
            ranks = [signatures[old] for old in order]
            orders = [o for o in permutations(order) if [signatures[old] for old in o] == ranks]
        return [(o, names, self._nodes.setdefault(names, {})) for o in orders for names in [tuple(o.index(old) for old in range(self._n))]]

    def _signature(self, place: int, node: int) -> int:
        known = self._signatures[place].get(node)
        if known is None:
            s = self._system.snapshots[node]
            me = place + 1
            others = sorted(zip(s.next, s.match, [a or (-1e9, 0.0) for a in s.answered], strict=True))
            key = (
                s.role, s.term, s.voted_for is None, s.voted_for == me, s.leader is None, s.leader == me, s.log, s.commit, s.applied,
                s.promise, len(s.ballots), tuple(others), s.last_sent, s.elected, s.wait, s.lease or -1, s.owes_no_op, s.waiters, s.reads,
                s.epoch, s.disk is None,
            )  # fmt: skip
            known = self._signatures[place][node] = self._signature_ids.setdefault(key, len(self._signature_ids) + 1)
        return known

    def _node(self, names: Names, node: int) -> int:
        known = self._nodes[names].get(node)
        if known is None:
            ids = tuple(new + 1 for new in names)
            known = self._nodes[names][node] = self._system.snapshot_id(rename(self._system.snapshots[node], ids))
        return known

    def _packet(self, names: Names, packet: int) -> int:
        known = self._packets.get((names, packet))
        if known is None:
            to, m = self._system.packets[packet]
            known = self._packets[names, packet] = self._system.packet_id(names[to], m._replace(sender=names[m.sender - 1] + 1))
        return known

    def _history(self, names: Names, history: int) -> int:
        known = self._histories.get((names, history))
        if known is None:
            h = self._system.histories.all[history]
            leaders = tuple(sorted((term, names[place]) for term, place in h.leaders))
            known = self._histories[names, history] = self._system.histories.id(History(h.committed, leaders, h.acked))
        return known

    def renamed_step(self, step: Step, names: Names) -> Step:
        """Return the same step under other names."""
        match step:
            case Elect(i, voters, term, delayed):
                return Elect(names[i], tuple(names[v] for v in voters), term, delayed)
            case Append(i, j, how):
                return Append(names[i], names[j], how)
            case Late(packet, again):
                return Late(self._packet(names, packet), again)
            case Write(i, number, retry):
                return Write(names[i], number, retry)
            case Read(i, since):
                return Read(names[i], since)
            case Crash(i):
                return Crash(names[i])
            case Tick(slow, stuck):
                return Tick(names[slow] if slow >= 0 else slow, names[stuck] if stuck >= 0 else stuck)
