"""What must hold at every step of any schedule: Figure 3 of the paper, leases that never overlap, and what clients were told.

The invariants judge outcomes, from what nodes say, answer and hold; they know nothing of the rules, so that no wrong rule hides from them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

from raftedu.core.leases import lease_is_valid
from raftedu.core.outputs import Answer, Outcome, Say
from raftedu.core.types import Entry, Role

if TYPE_CHECKING:
    from tests.harness import World

__all__ = ["Invariants", "Operation", "Violation", "require"]


class Violation(AssertionError):
    """An outcome that must never be; the message names the invariant and who broke it."""


def require(truth: object, words: str) -> None:
    """Raise a `Violation` with these words if it is not so."""
    if not truth:
        raise Violation(words)


@dataclass
class Operation:
    """One attempt of a client; ``began`` and ``ended`` count what clients saw, in the order of real time."""

    op_id: str
    node: int
    op: str
    key: str
    value: str
    client: str
    request: int
    began: int = 0
    ended: int | None = None
    outcome: Outcome | None = None


@dataclass
class Life:
    """What one incarnation of a node has shown so far."""

    term: int
    commit: int = 0
    applied: int = 0


class Invariants:
    """Looks on. Raises `Violation` as soon as an outcome is wrong."""

    def __init__(self) -> None:
        self.leaders: dict[int, int] = {}  # term -> node
        self.entries: dict[tuple[int, int], tuple[Entry, int]] = {}  # (index, term) -> the entry and the term before it
        self.chains: dict[tuple[int, int], str] = {}  # (index, term) -> hash of everything up to it
        self.committed: dict[int, tuple[Entry, int]] = {}  # index -> entry, and the lowest term in which it was committed
        self.applied: dict[int, Entry] = {}
        self.states: dict[int, str] = {}
        self.effects: dict[int, tuple[str, str]] = {}  # index -> (key, value) that took effect there
        self.once: dict[tuple[str, int], int] = {}  # (client, request) -> the index where it took effect
        self.lives: dict[int, Life] = {}
        self.operations: dict[str, Operation] = {}
        self.floor: dict[str, int] = {}  # key -> a GET that begins now must see at least this index
        self.asked_with_floor: dict[str, int] = {}
        self.clock = count(1)

    # ---- nodes

    def started(self, world: World, i: int) -> None:
        """Begin a new life of a node; what its disk holds counts as its log."""
        s = world.state(i)
        self.lives[i] = Life(s.term)
        self._know_entries(i, s.log, 1)

    def hear(self, world: World, i: int, say: Say) -> None:
        """Judge one event; the node's log is as it was when its step ended."""
        log = world.state(i).log
        match say.event:
            case "leader_elected":
                self._elected(i, say.term, log)
            case "entry_appended":
                self._know_entries(i, log, say.facts["from"])
                self._know_chain(i, log, say)
            case "entries_truncated":
                self._truncated(i, say)
            case "committed":
                self._commit(i, say, log)
            case "applied":
                self._apply(i, say, log)

    def _elected(self, i: int, term: int, log: Any) -> None:
        if self.leaders.setdefault(term, i) != i:
            raise Violation(f"Election Safety: nodes {self.leaders[term]} and {i} both lead term {term}")
        for index, (entry, in_term) in self.committed.items():
            if in_term < term and (log.term_at(index) is None or log.entry(index) != entry):
                raise Violation(f"Leader Completeness: node {i} leads term {term} without entry {index}, committed in term {in_term}")

    def _know_entries(self, i: int, log: Any, first: int) -> None:
        for index in range(first, log.last_index + 1):
            entry, before = log.entry(index), log.term_at(index - 1)
            known = self.entries.setdefault((index, entry.term), (entry, before))
            if known != (entry, before):
                raise Violation(f"Log Matching: entry {index} of term {entry.term} on node {i} is {(entry, before)}, elsewhere {known}")

    def _know_chain(self, i: int, log: Any, say: Say) -> None:
        end = (say.index or 0, log.term_at(say.index))
        if self.chains.setdefault(end, say.facts["chain"]) != say.facts["chain"]:
            raise Violation(f"Log Matching: node {i} told another hash for (index, term) {end}")

    def _truncated(self, i: int, say: Say) -> None:
        if say.role == Role.LEADER:
            raise Violation(f"Leader Append-Only: node {i} cuts its log as the leader of term {say.term}")
        if say.facts["from_index"] <= self.lives[i].commit:
            raise Violation(f"State Machine Safety: node {i} cuts its log from {say.facts['from_index']}, committed {self.lives[i].commit}")

    def _commit(self, i: int, say: Say, log: Any) -> None:
        entry = log.entry(say.index)
        known, in_term = self.committed.get(say.index or 0, (entry, say.term))
        if known != entry:
            raise Violation(f"State Machine Safety: node {i} commits {entry} at {say.index}, elsewhere {known}")
        self.committed[say.index or 0] = (entry, min(in_term, say.term))
        if say.facts["new"] < say.facts["old"]:
            raise Violation(f"commit goes back on node {i}: {say.facts['old']} to {say.facts['new']}")

    def _apply(self, i: int, say: Say, log: Any) -> None:
        life, odd = self.lives[i], dict(say.facts["effects"])
        for index in range(say.facts["from"], say.facts["to"] + 1):
            if index != life.applied + 1:
                raise Violation(f"node {i} applies entry {index} after {life.applied}")
            life.applied = index
            entry = log.entry(index)
            if self.applied.setdefault(index, entry) != entry:
                raise Violation(f"State Machine Safety: node {i} applies {entry} at {index}, elsewhere {self.applied[index]}")
            if entry.op == "SET" and odd.get(index, "new") == "new":
                self._effect(i, index, entry)
        if self.states.setdefault(say.facts["to"], say.facts["state"]) != say.facts["state"]:
            raise Violation(f"State Machine Safety: node {i} has another state after entry {say.facts['to']}")

    def _effect(self, i: int, index: int, entry: Entry) -> None:
        self.effects[index] = (entry.key, entry.value)
        if entry.client and self.once.setdefault((entry.client, entry.request), index) != index:
            raise Violation(f"exactly once: node {i} does request {entry.request} of client {entry.client} again at {index}")

    def look(self, world: World) -> None:
        """Compare all nodes with what they showed before, and ask who holds a lease at this instant."""
        for i in world.up():
            s, life = world.state(i), self.lives[i]
            if s.term < life.term or s.commit_index < life.commit:
                raise Violation(f"node {i} goes back from term {life.term}, commit {life.commit} to {s.term}, {s.commit_index}")
            if not s.last_applied <= s.commit_index <= s.log.last_index:
                raise Violation(f"node {i} has applied {s.last_applied}, committed {s.commit_index} of {s.log.last_index}")
            life.term, life.commit = s.term, s.commit_index
        holders = self.holders(world)
        if len(holders) > 1:
            raise Violation(f"Lease Disjoint: nodes {holders} hold a lease at the same instant {world.now}")

    def holders(self, world: World) -> list[int]:
        """Return who believes at this instant to hold a lease."""
        leaders = [i for i in world.up() if world.state(i).role == Role.LEADER]
        return [i for i in leaders if lease_is_valid(world.state(i), world.hosts[i].local(world.now))]

    # ---- clients

    def asked(self, operation: Operation) -> None:
        """Note that a client asks."""
        operation.began = next(self.clock)
        self.operations[operation.op_id] = operation
        self.asked_with_floor[operation.op_id] = self.floor.get(operation.key, 0)

    def answered(self, answer: Answer) -> None:
        """Judge what a client is told."""
        operation = self.operations[answer.op_id]
        if operation.ended is not None:
            raise Violation(f"operation {answer.op_id} is answered twice")
        operation.ended, operation.outcome = next(self.clock), answer.outcome
        if answer.outcome == Outcome.SUCCESS:
            seen = self._set_done(operation) if operation.op == "SET" else self._get_done(operation, answer.value)
            self.floor[operation.key] = max(seen, self.floor.get(operation.key, 0))

    def _set_done(self, operation: Operation) -> int:
        index = self.once.get((operation.client, operation.request)) if operation.client else None
        if operation.client and index is None:
            raise Violation(f"node {operation.node} acknowledges request {operation.request} of {operation.client}, which nobody applied")
        return index or 0

    def _get_done(self, operation: Operation, value: str) -> int:
        versions = {"": 0} | {v: index for index, (key, v) in sorted(self.effects.items()) if key == operation.key}
        floor = self.asked_with_floor[operation.op_id]
        if value not in versions:
            raise Violation(f"dirty read: node {operation.node} answers {operation.key}={value!r}, which was never applied")
        if versions[value] < floor:
            raise Violation(
                f"stale read: node {operation.node} answers {operation.key}={value!r} of entry {versions[value]}, known was {floor}"
            )
        return versions[value]

    def crashed(self, i: int) -> None:
        """Whoever waits for this node learns nothing."""
        for operation in self.operations.values():
            if operation.node == i and operation.ended is None:
                operation.ended, operation.outcome = next(self.clock), Outcome.UNKNOWN

    def finish(self, world: World) -> None:
        """Judge the whole: what was acknowledged is in every leader's log, what failed was never applied."""
        outcomes: dict[tuple[str, int], set[Outcome | None]] = {}
        for operation in self.operations.values():
            if operation.op == "SET":
                outcomes.setdefault((operation.client, operation.request), set()).add(operation.outcome)
        for (client, request), seen in outcomes.items():
            if seen == {Outcome.FAIL} and (client, request) in self.once:
                raise Violation(f"request {request} of {client} failed, and is applied at {self.once[client, request]}")
        for i in world.up():
            self._holds_all_it_commits(world, i)

    def _holds_all_it_commits(self, world: World, i: int) -> None:
        s = world.state(i)
        for index in range(1, s.commit_index + 1):
            if self.committed[index][0] != s.log.entry(index):
                raise Violation(f"State Machine Safety: node {i} holds {s.log.entry(index)} at {index}, committed was another")
