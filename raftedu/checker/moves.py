"""Which steps are possible in a state, and what they cost; prepared so that a search asks a dictionary and no more."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from operator import itemgetter
from typing import Any

from raftedu.checker.model import Budget, Changed, State, System
from raftedu.checker.steps import Append, Crash, Elect, Late, Place, Read, Step, Tick, Write

__all__ = ["Move", "Moves"]


class Move:
    """A step, the budget that is left after it, and what it was found to make of the nodes it depends on; ``silent``: after a silence."""

    __slots__ = ("budget", "key", "known", "silent", "step")

    def __init__(
        self, step: Step, budget: int, key: Callable[[tuple[int, ...]], Any], known: dict[Any, Changed | None], silent: bool
    ) -> None:
        self.step, self.budget, self.key, self.known, self.silent = step, budget, key, known, silent


class Moves:
    """The moves of one system."""

    def __init__(self, system: System) -> None:
        self._system, self._profile = system, system.profile
        self._possible: dict[tuple[Any, ...], list[Move]] = {}
        self._late: dict[tuple[int, int], list[Move]] = {}
        self._reads: dict[tuple[Any, ...], list[Move]] = {}
        self._known: dict[tuple[type, Step], dict[Any, Changed | None]] = {}
        self._voters = [self._sets_of_voters(i) for i in range(self._profile.n)]

    def _sets_of_voters(self, i: Place) -> list[tuple[Place, ...]]:
        n = self._profile.n
        others = [place for place in range(n) if place != i]
        sizes = range(1, n) if n == 3 else range(1, n // 2 + 1)
        alone = [()] if self._profile.late or n == 1 else []
        return alone + [voters for size in sizes for voters in combinations(others, size)]

    def of(self, state: State) -> list[Move]:
        """Return all moves of this state, in an order that depends on nothing but the state."""
        nodes, net, history, budget = state
        shapes = self._system.shapes
        shape = (budget, *[shapes[node] for node in nodes])
        moves = self._possible.get(shape)
        if moves is None:
            moves = self._possible[shape] = self._find(nodes, budget)
        if self._profile.gets:
            moves = moves + self._questions(shape, nodes, history, budget)
        return moves + [move for packet in dict.fromkeys(net) for move in self._arrivals(packet, budget)] if net else moves

    def _move(self, step: Step, budget: Budget) -> Move:
        known = self._known.setdefault((type(step), step), {})
        silent = isinstance(step, Elect) and not self._profile.timed
        return Move(step, self._system.budget_id(budget), itemgetter(*self._system.places(step)), known, silent)

    def _questions(self, shape: tuple[int, ...], nodes: tuple[int, ...], history: int, budget: int) -> list[Move]:
        left, since = self._system.budgets[budget], self._system.histories.all[history].acked
        if not left.gets:
            return []
        moves = self._reads.get((shape, since))
        if moves is None:
            leaders = [i for i, node in enumerate(nodes) if self._system.leads[node] or self._profile.ask_all]
            moves = self._reads[shape, since] = [self._move(Read(i, since), left._replace(gets=left.gets - 1)) for i in leaders]
        return moves

    def instead(self, move: Move, step: Step) -> Move:
        """Return a move that costs what this one does and takes another step."""
        return self._move(step, self._system.budgets[move.budget])

    def _arrivals(self, packet: int, budget: int) -> list[Move]:
        moves = self._late.get((packet, budget))
        if moves is None:
            left = self._system.budgets[budget]
            moves = [self._move(Late(packet, False), left)]
            if left.again:
                moves.append(self._move(Late(packet, True), left._replace(again=left.again - 1)))
            self._late[packet, budget] = moves
        return moves

    def _find(self, nodes: tuple[int, ...], budget: int) -> list[Move]:
        left = self._system.budgets[budget]
        moves: list[Move] = []
        for i, node in enumerate(nodes):
            moves += self._elections(i, nodes, left)
            if self._system.leads[node]:
                moves += self._appends(i, node, left)
            if self._system.leads[node] or self._profile.ask_all:
                moves += self._writes(i, node, left)
            if left.crashes and self._system.terms[node]:
                moves.append(self._move(Crash(i), left._replace(crashes=left.crashes - 1)))
        if self._profile.timed and any(self._system.terms[node] for node in nodes):
            moves.append(self._move(Tick(-1), left))
            if left.slow:
                moves += [self._move(Tick(i), left._replace(slow=left.slow - 1)) for i in range(len(nodes))]
            if left.stuck:
                behind = [i for i, node in enumerate(nodes) if self._system.leads[node] and self._system.behind[node]]
                moves += [self._move(Tick(-1, i), left._replace(stuck=left.stuck - 1)) for i in behind]
        return moves

    def _elections(self, i: Place, nodes: tuple[int, ...], left: Budget) -> list[Move]:
        system, most = self._system, self._profile.terms
        if self._profile.timed and system.leads[nodes[i]]:
            return []
        next_term = system.terms[nodes[i]] + 1
        top = max(system.terms[node] for node in nodes) + 1
        moves = []
        for voters in self._voters[i]:
            moves += [self._move(Elect(i, voters, term, False), left) for term in sorted({next_term, top}) if term <= most]
            if left.late and len(voters) == 1 and next_term <= most:
                moves.append(self._move(Elect(i, voters, next_term, True), left._replace(late=left.late - 1)))
        return moves

    def _appends(self, i: Place, node: int, left: Budget) -> list[Move]:
        moves = []
        for j in range(self._profile.n):
            if j == i:
                continue
            moves.append(self._move(Append(i, j, ""), left))
            if self._profile.lost:
                moves.append(self._move(Append(i, j, "reply lost"), left))
            if left.late:
                less = left._replace(late=left.late - 1)
                moves += [self._move(Append(i, j, "request late"), less), self._move(Append(i, j, "reply late"), less)]
            if left.stuck and self._system.behind[node]:
                moves.append(self._move(Append(i, j, "disk stuck"), left._replace(stuck=left.stuck - 1)))
        return moves

    def _writes(self, i: Place, node: int, left: Budget) -> list[Move]:
        if not self._system.room[node]:
            return []
        moves, done = [], self._profile.writes - left.writes
        if left.writes:
            moves.append(self._move(Write(i, done + 1, False), left._replace(writes=left.writes - 1)))
        if left.retries:
            moves += [self._move(Write(i, number, True), left._replace(retries=left.retries - 1)) for number in range(done, 0, -1)]
        return moves
