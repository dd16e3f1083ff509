"""`Walker`: takes random walks of macro steps through one profile, and leaves out of a walk what is not needed.

A step is drawn, not chosen from all that are possible: in a large world those are hundreds. What nodes were found to do is remembered from
walk to walk, and no walk depends on it: a held message is drawn by what is in it, for its number depends on the walks before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

from raftedu.checker.invariants import Broken
from raftedu.checker.model import State
from raftedu.checker.moves import Move
from raftedu.checker.profiles import Profile
from raftedu.checker.search import Search
from raftedu.checker.steps import Append, Crash, Elect, Late, Place, Step, Tick, Write
from raftedu.core.messages import Message
from raftedu.core.rules import Rules
from raftedu.core.types import Term

__all__ = ["Walker"]

LONGEST = 32
"""So many steps a long walk has; a short one half of it."""

AFTERWARDS = 14
"""So many steps a walk goes on after a broken promise, for the disaster that may follow."""

OFTEN = 16
"""After so many steps a walk asks whether it may go on."""

ATTEMPTS = 40
"""So many steps are drawn before a walk ends because none of them is possible."""


class Walker:
    """Walks through one profile; what nodes were found to do is remembered from walk to walk."""

    def __init__(self, profile: Profile, rules: Rules, outcomes_only: bool) -> None:
        search = _begun(profile, rules)
        self.search, self._outcomes_only, self._profile = search, outcomes_only, search.profile
        self._texts: dict[int, str] = {}
        self.steps: list[Step] = []
        self.obligation: Broken | None = None
        self.outcome: Broken | None = None

    @property
    def broken(self) -> bool:
        """Whether the last walk broke something."""
        return self.obligation is not None or self.outcome is not None

    def walk(self, r: Random, goes_on: Callable[[], bool]) -> list[Step] | None:
        """Take one walk and return its steps, up to what broke; ``None`` if there was no time for all of it."""
        weights = {
            "elect": r.choice((0.5, 1.0, 2.0)), "append": r.choice((2.0, 4.0)), "held": r.choice((0.0, 0.5, 1.5)),
            "late": r.choice((0.7, 2.0)), "write": r.choice((0.2, 0.7)), "crash": r.choice((0.0, 0.4)), "tick": r.choice((0.4, 1.0)),
        }  # fmt: skip
        self.steps, self.obligation, self.outcome = [], None, None
        state, last = self.search.start, r.choice((LONGEST // 2, LONGEST))
        changed = False
        while len(self.steps) < last:
            if len(self.steps) % OFTEN == 0 and not goes_on():
                return None
            move = self._choose(state, r, weights, changed)
            if move is None:
                break
            before = state
            state, obligation, outcome = self.search.apply(state, move)
            if state == before and obligation is None:
                last -= 1
                continue
            self.steps.append(move.step)
            changed = state[2] != before[2]  # somebody was elected, or something committed
            if outcome is not None:
                self.outcome = outcome
                self.obligation = self.obligation or (None if self._outcomes_only else obligation)
                break
            if obligation is not None and self.obligation is None and not self._outcomes_only:
                self.obligation, last = obligation, min(last, len(self.steps) + AFTERWARDS)
        return self.steps

    # ---- drawing a step

    def _choose(self, state: State, r: Random, weights: dict[str, float], changed: bool) -> Move | None:
        """Return a move: its kind by weight, then a step of that kind; a change invites elections, crashes and late messages."""
        worth = [(kind, weight * (3.0 if changed and kind in ("elect", "crash", "late") else 1.0)) for kind, weight in weights.items()]
        whole = sum(weight for _, weight in worth)
        for _ in range(ATTEMPTS):
            step = self._step(_drawn(worth, r.random() * whole), state, r)
            move = None if step is None else self._move(state, step)
            if move is not None:
                return move
        return None

    def _step(self, kind: str, state: State, r: Random) -> Step | None:
        nodes, net, _, budget = state
        n, left = len(nodes), self.search.system.budgets[budget]
        leaders = [i for i, node in enumerate(nodes) if self.search.system.leads[node]]
        i, j = int(r.random() * n), int(r.random() * (n - 1))
        match kind:
            case "elect":
                return self._election(i, nodes, r)
            case "held" if not leaders or r.random() < 0.3:
                return Elect(i, (j + (j >= i),), self.search.system.terms[nodes[i]] + 1, True)
            case "late" if net:
                packet = sorted(set(net), key=self._text)[int(r.random() * len(set(net)))]
                return Late(packet, r.random() < 0.3)
            case "crash":
                return Crash(i)
            case "tick":
                return Tick(i if r.random() < 0.3 else -1)
        if not leaders or kind == "late":
            return None
        i = leaders[int(r.random() * len(leaders))]
        if kind == "write":
            done = self._profile.writes - left.writes
            return Write(i, done, True) if r.random() < 0.3 else Write(i, done + 1, False)
        late = ("request late", "reply late")
        how = late[int(r.random() * 2)] if kind == "held" else "" if r.random() < 0.8 else ("reply lost", "disk stuck")[int(r.random() * 2)]
        return Append(i, j + (j >= i), how)

    def _election(self, i: Place, nodes: tuple[int, ...], r: Random) -> Step:
        others = [place for place in range(len(nodes)) if place != i]
        size = 1 + int(r.random() * max(2 if len(nodes) == 3 else 0, len(nodes) // 2))
        voters = set[int]()
        while len(voters) < size:
            voters.add(others[int(r.random() * len(others))])
        next_term, top = self._terms(i, nodes)
        return Elect(i, tuple(sorted(voters)), next_term if r.random() < 0.2 else top, False)

    def _terms(self, i: Place, nodes: tuple[int, ...]) -> tuple[Term, Term]:
        """Return the two terms for which this node may campaign: after its own, and after everybody's."""
        terms = self.search.system.terms
        return terms[nodes[i]] + 1, max([terms[node] for node in nodes]) + 1

    def _text(self, packet: int) -> str:
        """Return what is in a packet: its number depends on the walks before."""
        text = self._texts.get(packet)
        if text is None:
            text = self._texts[packet] = repr(self.search.system.packets[packet])
        return text

    def _move(self, state: State, step: Step) -> Move | None:
        """Return the step as a move of this state, ``None`` if it is not possible or nothing of its kind is left."""
        system, p, nodes = self.search.system, self._profile, state[0]
        left = after = system.budgets[state[3]]
        match step:
            case Elect(i, _, term, delayed):
                next_term, top = self._terms(i, nodes)
                if term > p.terms or (p.timed and system.leads[nodes[i]]) or term not in (next_term, next_term if delayed else top):
                    return None
                after = left._replace(late=left.late - delayed)
            case Append(i, _, how):
                possible = {"reply lost": p.lost, "disk stuck": system.behind[nodes[i]]}.get(how, True)
                if not system.leads[nodes[i]] or not possible:
                    return None
                after = left._replace(late=left.late - (how in ("request late", "reply late")), stuck=left.stuck - (how == "disk stuck"))
            case Late(packet, again):
                if packet not in state[1]:
                    return None
                after = left._replace(again=left.again - again)
            case Write(i, number, retry):
                fits = 0 < number <= p.writes - left.writes if retry else number == p.writes - left.writes + 1
                if not system.leads[nodes[i]] or not system.room[nodes[i]] or not fits:
                    return None
                after = left._replace(writes=left.writes - (not retry), retries=left.retries - retry)
            case Crash(i):
                if not system.terms[nodes[i]]:
                    return None
                after = left._replace(crashes=left.crashes - 1)
            case Tick():
                if not p.timed or not any(system.terms[node] for node in nodes):
                    return None
                after = left._replace(slow=left.slow - (step.slow >= 0))
        if min(after) < 0:
            return None
        return Move(step, system.budget_id(after), lambda places: places, {}, isinstance(step, Elect) and not p.timed)

    # ---- leaving out what is not needed

    def shrunk(self) -> list[Step]:
        """Return the steps of the last walk that are needed for the same invariant to break; what breaks is then that of these steps."""
        wanted = self._name()
        best = self._played(self.steps, wanted) or self.steps
        size = max(1, len(best) // 2)
        while True:
            place, smaller = 0, False
            while place < len(best):
                less = self._played(best[:place] + best[place + size :], wanted)
                if less is not None and len(less) < len(best):
                    best, smaller = less, True
                else:
                    place += size
            if size == 1 and not smaller:
                break
            size = max(1, size // 2)
        self._played(best, wanted)
        return best

    def _name(self) -> str:
        broken = self.outcome or self.obligation
        assert broken is not None
        return broken.name

    def _played(self, steps: list[Step], wanted: str) -> list[Step] | None:
        """Return those of the steps that could be taken, re-aimed where that is needed, if they still break ``wanted``."""
        state, used = self.search.start, list[Step]()
        self.obligation = self.outcome = None
        for step in steps:
            move = self._aimed(state, step)
            if move is None:
                continue
            before = state
            state, obligation, outcome = self.search.apply(state, move)
            if state == before and obligation is None:
                continue
            used.append(move.step)
            if not self._outcomes_only:
                self.obligation = self.obligation or obligation
            self.outcome = outcome
            if outcome is not None or (self.obligation is not None and self.obligation.name == wanted):
                return used if self._name() == wanted else None
        return None

    def _aimed(self, state: State, step: Step) -> Move | None:
        """Return the step as a move of this state; without those before it, terms are lower and messages others."""
        move, system = self._move(state, step), self.search.system
        if move is not None:
            return move
        match step:
            case Elect(i, _, term, delayed):
                next_term, top = self._terms(i, state[0])
                step = step._replace(term=top if term >= top and not delayed else next_term)
            case Write():
                step = step._replace(number=self._profile.writes - system.budgets[state[3]].writes + (not step.retry))
            case Late():
                to, m = system.packets[step.packet]
                alike = [packet for packet in state[1] if self._same_kind(system.packets[packet], to, m)]
                step = step._replace(packet=min(alike, key=self._text)) if alike else step
            case _:
                return None
        return self._move(state, step)

    @staticmethod
    def _same_kind(packet: tuple[Place, Message], to: Place, m: Message) -> bool:
        return packet[0] == to and type(packet[1]) is type(m) and packet[1].sender == m.sender


def _drawn(worth: list[tuple[str, float]], left: float) -> str:
    for kind, weight in worth:
        left -= weight
        if left < 0.0:
            return kind
    return worth[-1][0]


def _begun(profile: Profile, rules: Rules) -> Search:
    """Return a search at its start, a cold one if these rules break something or come to nothing in the warm-up."""
    try:
        search = Search(profile, rules, alike=False)
    except LookupError:
        return Search(replace(profile, warm=False), rules, alike=False)
    return search if search.cold_feet is None else Search(replace(profile, warm=False), rules, alike=False)
