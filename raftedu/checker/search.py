"""Breadth-first search over macro steps: the shortest schedule that breaks an invariant.

`Search` looks through one profile, a depth at a time, so that several can go on in lock-step. It first looks for any broken invariant;
`Search.pursue` then follows a broken obligation on to what it leads to. The order depends on nothing but the rules and the profile: no
hashes, no sets that are walked through, no clock.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from typing import NamedTuple

from raftedu.checker.invariants import INVARIANTS, Broken
from raftedu.checker.model import Changed, State, System
from raftedu.checker.moves import Move, Moves
from raftedu.checker.profiles import Profile
from raftedu.checker.steps import Append, Elect, Late, Step, Tick
from raftedu.checker.symmetry import Names, Symmetry
from raftedu.core.rules import Rules
from raftedu.core.types import Index

__all__ = ["Found", "Search"]

CHUNK = 256
"""After so many states a search lets its caller look at the clock."""

UNKNOWN = Changed((), (), 0, None, False)


class Found(NamedTuple):
    """A state reached by ``step`` from ``parent``, and what broke on the way: an obligation, an outcome, or both."""

    parent: State
    step: Step
    after: State
    obligation: Broken | None
    outcome: Broken | None


class Search:
    """One profile, searched by depth.

    ``transitions`` counts every step that was tried, ``states`` those that differ by more than names; all states up to ``depth`` steps away
    have been seen. With ``outcomes_only`` a broken obligation is passed over.
    """

    def __init__(self, profile: Profile, rules: Rules, *, alike: bool = True) -> None:
        self.profile = profile
        self.system = System(profile, rules)
        self.symmetry = Symmetry(self.system, alike=alike and profile.alike)
        self.moves = Moves(self.system)
        self.transitions = 0
        self.outcomes_only = False
        self.before: Search | None = None
        self._roots: dict[State, tuple[State, Step, Names]] = {}
        self.cold_feet: Broken | None = None  # what broke already on the way to a warm start
        self.start = self.system.first_state()
        for step in warm_up(profile):
            self.start, obligation, outcome = self.apply(self.start, self.move(self.start, step))
            self.cold_feet = self.cold_feet or obligation or outcome
        self._begin([self.symmetry.canonical(self.start)[0]])

    def _begin(self, roots: list[State]) -> None:
        self.depth = 0
        self.exhausted = False
        self.found: list[Found] = []
        self.came_from: dict[State, tuple[State, Step, Names] | None] = dict.fromkeys(roots)
        self._front = roots
        self._raw: set[State] = set()

    @property
    def states(self) -> int:
        """How many states, up to names, have been reached."""
        return len(self.came_from)

    def move(self, state: State, step: Step) -> Move:
        """Return this step as a move of this state.

        Raises
        ------
        LookupError
            The step is not possible there.
        """
        for move in self.moves.of(state):
            if type(move.step) is type(step) and move.step == step:
                return move
            if isinstance(move.step, Elect) and isinstance(step, Elect) and in_order(move.step) == in_order(step):
                return self.moves.instead(move, step)  # the same voters in another order: under other names
        raise LookupError(f"{step} is not possible")

    # ---- one depth

    def go_deeper(self) -> Iterator[None]:
        """Look at every state one step further away; yields now and then, and what breaks is in ``found``."""
        front, self._front = self._front, []
        for count, state in enumerate(front, 1):
            self._expand(state)
            if count % CHUNK == 0:
                yield
        self.depth += 1
        self.exhausted = not self._front

    def _expand(self, state: State) -> None:
        raw, came_from = self._raw, self.came_from
        moves = self.moves.of(state)
        self.transitions += len(moves)
        silent, unheard = self._silenced(state)
        for move in moves:
            start = silent if move.silent else state
            key = move.key(start[0])
            changed = move.known.get(key, UNKNOWN)
            if changed is UNKNOWN:
                changed = move.known[key] = self.system.expand(start[0], move.step)
            if changed is None:
                continue
            after, outcome = self._after(start, move, changed)
            obligation = None if self.outcomes_only else (unheard if move.silent else None) or changed.broken
            if after in raw and obligation is None and outcome is None:
                continue
            raw.add(after)
            outcome = outcome or self.judge(after)
            if outcome is not None and outcome.name in self.profile.overlooks:
                outcome = None
            if outcome is not None and INVARIANTS[outcome.name].kind != "outcome":
                obligation, outcome = (None if self.outcomes_only else obligation or outcome), None
            if obligation is not None or outcome is not None:
                self.found.append(Found(state, move.step, after, obligation, outcome))
                continue
            new, names = self.symmetry.canonical(after)
            if new not in came_from:
                came_from[new] = (state, move.step, names)
                self._front.append(new)

    def apply(self, state: State, move: Move) -> tuple[State, Broken | None, Broken | None]:
        """Return the state after this move, and the obligation and the outcome that it breaks."""
        start, unheard = self._silenced(state) if move.silent else (state, None)
        changed = self.system.expand(start[0], move.step)
        if changed is None:
            return state, None, None
        after, outcome = self._after(start, move, changed)
        outcome, obligation = outcome or self.judge(after), unheard or changed.broken
        if outcome is not None and outcome.name in self.profile.overlooks:
            outcome = None
        if outcome is not None and INVARIANTS[outcome.name].kind != "outcome":
            obligation, outcome = obligation or outcome, None
        return after, obligation, outcome

    def _silenced(self, state: State) -> tuple[State, Broken | None]:
        """Return the state after a long silence, if that is what precedes an election here."""
        if self.profile.timed:
            return state, None
        nodes, broken = self.system.silenced(state[0])
        return (nodes, tuple([self.system.old(packet) for packet in state[1]]), state[2], state[3]), broken

    def _after(self, state: State, move: Move, changed: Changed) -> tuple[State, Broken | None]:
        nodes, net, history, _ = state
        new_nodes, outcome = list(nodes), changed.stale
        for place, node in changed.nodes:
            new_nodes[place] = node
        if changed.seen:
            for place, node in changed.nodes:
                history, broken = self.system.histories.after(history, place, node, changed.acked)
                outcome = outcome or broken
        if net or changed.held:
            net = self._net(net, changed.held, move)
        return (tuple(new_nodes), net, history, move.budget), outcome

    def _net(self, net: tuple[int, ...], held: tuple[int, ...], move: Move) -> tuple[int, ...]:
        step, left = move.step, list(net)
        if isinstance(step, Late):
            if not step.again:
                left.remove(step.packet)
        elif isinstance(step, Tick):
            left = [self.system.aged(packet, step.slow) for packet in left]
        return tuple(sorted([*left, *held]))

    # ---- outcomes

    def judge(self, state: State) -> Broken | None:
        """Return what is broken in this state as a whole."""
        nodes, _, history, _ = state
        system, histories = self.system, self.system.histories
        broken = histories.match(nodes)
        if broken is not None:
            return broken
        leads = system.leads
        for place, node in enumerate(nodes):
            if leads[node]:
                broken = histories.complete(history, place, node)
                if broken is not None:
                    return broken
        return self._judge_leases(nodes, histories.all[history].acked) if self.profile.timed else None

    def _judge_leases(self, nodes: tuple[int, ...], acked: Index) -> Broken | None:
        holders, broken = 0, None
        for place, known, node in zip(range(len(nodes)), self.system.looks, nodes, strict=True):
            holds, sees, wrong = known.get(node) or self.system.look(place, node)
            if holds:
                holders += 1
            if 0 <= sees < acked:
                return Broken("No Stale Read", f"node {place + 1} answers a GET as of entry {sees}, after entry {acked} was acknowledged")
            broken = broken or wrong
        if holders > 1:
            who = [str(place + 1) for place, node in enumerate(nodes) if self.system.look(place, node).holds]
            return Broken("Lease Disjoint", f"nodes {' and '.join(who)} hold a lease at the same instant")
        return broken

    # ---- what was found

    def once_more(self) -> None:
        """Begin again from the start, for outcomes only; all that nodes were found to do is still known."""
        self.outcomes_only = True
        self._begin([self.symmetry.canonical(self.start)[0]])

    def pursuit(self) -> Search:
        """Return a search that goes on from the obligations found broken here, for the outcomes that follow from them."""
        other = copy(self)
        other.before, other.outcomes_only, other.transitions = self, True, 0
        roots: dict[State, tuple[State, Step, Names]] = {}
        for found in self.found:
            root, names = self.symmetry.canonical(found.after)
            roots.setdefault(root, (found.parent, found.step, names))
        other._begin(list(roots))
        other._roots = roots
        return other

    def path(self, found: Found) -> list[Step]:
        """Return the steps that lead to what was found, under one set of names, from ``start``."""
        steps: list[tuple[Step, Names]] = [(found.step, self.symmetry.same)]
        search, state = self, found.parent
        while True:
            origin = search.came_from[state]
            if origin is None and search.before is not None:
                origin, search = search._roots[state], search.before
            if origin is None:
                break
            state = origin[0]
            steps.append((origin[1], origin[2]))
        steps.reverse()
        return self._under_one_name(steps)

    def _under_one_name(self, steps: list[tuple[Step, Names]]) -> list[Step]:
        _, first = self.symmetry.canonical(self.start)
        story = inverse(first)  # from the names of a state on the path to those of the story
        told = []
        for step, names in steps:
            told.append(self.symmetry.renamed_step(step, story))
            back = inverse(names)
            story = tuple([story[back[place]] for place in range(len(names))])
        return told


def in_order(step: Elect) -> Elect:
    """Return the election with its voters in the order of their places."""
    return step._replace(voters=tuple(sorted(step.voters)))


def inverse(names: Names) -> Names:
    """Return the names that undo these."""
    return tuple([names.index(place) for place in range(len(names))])


def warm_up(profile: Profile) -> list[Step]:
    """Return the steps that make node 1 a stable leader with one committed entry, known to all."""
    if not profile.warm:
        return []
    others = tuple(range(1, profile.n))
    return [Elect(0, others, 1, False), *[Append(0, j, "") for j in others * 2]]
