"""`Judge`: looks on while a simulated cluster runs, after every step of every node, and says what breaks and when.

The incremental half of what `raftedu.sim.safety` audits from whole dumps, for runs of messages as `raftedu.checker.history` is for macro
steps. It needs no events: it compares what a node is after a step with the little that it remembers of it, so that a step costs next to
nothing. What only matters in elections or for clients stands in `raftedu.checker.judge_turns`. It knows nothing of faults.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from raftedu.checker.invariants import INVARIANTS, Broken
from raftedu.core.config import Config
from raftedu.core.inputs import Input
from raftedu.core.kv import KeyValue
from raftedu.core.leases import lease_is_valid
from raftedu.core.outputs import Output, Persist
from raftedu.core.rules import RULES
from raftedu.core.state import ELECTION, State
from raftedu.core.types import SET, Entry, Index, NodeId, Role, Seconds, Term
from raftedu.sim.life import Life

__all__ = ["ALL_KINDS", "NEARLY", "Incident", "Judge", "Seen"]

ALL_KINDS = frozenset({"outcome", "obligation", "duty"})
NEARLY: Seconds = 1e-6
_LEADER = Role.LEADER


class Incident(NamedTuple):
    """What broke, and when, in simulated seconds."""

    time: Seconds
    broken: Broken


class Seen:
    """What is remembered of one node between two of its steps."""

    __slots__ = (
        "applied", "commit", "expiry", "generation", "lease_told", "leads", "life", "matched", "promise", "role", "term", "voted_for",
    )  # fmt: skip

    def __init__(self, life: Life) -> None:
        s = life.core.state
        self.life, self.leads, self.matched = life, False, {}  # type: Life, bool, dict[NodeId, Index]
        self.note(s)

    def note(self, s: State) -> None:
        """Remember the node as it is."""
        self.term, self.voted_for, self.role, self.commit, self.applied = s.term, s.voted_for, s.role, s.commit_index, s.last_applied
        self.promise, self.expiry, self.lease_told, self.generation = s.promise_until, s.lease_expiry, s.lease_told, s.generation[ELECTION]
        self.leads = s.role is _LEADER


class Judge:
    """Judges one run. ``kinds``: which kinds of invariants count; ``on_moment`` is told of changes at which faults hurt most.

    ``obligation`` and ``outcome`` are the first of each to break; ``happened`` collects what *sometimes* must.
    """

    def __init__(
        self, config: Config, now: Callable[[], Seconds], *, kinds: frozenset[str] = ALL_KINDS,
        on_moment: Callable[[str, NodeId], None] | None = None, on_outcome: Callable[[], None] | None = None,
    ) -> None:  # fmt: skip
        self.config, self.kinds = config, kinds
        self.leased = config.has_lease
        self._now, self.moment, self._on_outcome = now, on_moment or (lambda what, node: None), on_outcome or (lambda: None)
        self.obligation: Incident | None = None
        self.outcome: Incident | None = None
        self.happened: set[str] = set()
        self.slow: set[str] = set()
        """The names of the bounds that were exceeded: slower than need be, and not wrong."""
        self.seen: dict[NodeId, Seen] = {}
        self.leaders: dict[Term, NodeId] = {}
        self.leading: dict[NodeId, None] = {}
        self.latest_leader: tuple[Term, NodeId | None] = (0, None)
        self.committed: list[tuple[Entry, Term]] = []
        """Entry i + 1, and the lowest term in which it was committed."""
        self.states: list[str] = [KeyValue().state]
        """What a state machine is after each entry, if every request is done once."""
        self.effects: dict[tuple[str, int], Index] = {}
        """Which entry did the request of a client."""
        self.versions: dict[tuple[str, str], Index] = {}
        """Which entry gave a key its value; the values of a run are all different."""
        self._entries: dict[tuple[Index, Term], tuple[Entry, Term | None]] = {}
        self._kv = KeyValue()
        self._holder: NodeId | None = None
        self.turns: dict[type, Callable[[State, Seen, Seconds, Any, list[Output]], None]] = {}
        """Who looks closer at a step, by what it began with: a type of message, or of input."""

    def breaks(self, name: str, reason: str) -> None:
        """Take note that an invariant is broken; only the first outcome and the first obligation count."""
        kind = INVARIANTS[name].kind
        if kind not in self.kinds or self.outcome is not None:
            return
        incident = Incident(self._now(), Broken(name, reason))
        if kind == "outcome":
            self.outcome = incident
            self._on_outcome()
        elif self.obligation is None:
            self.obligation = incident

    # ---- after every step

    def __call__(self, life: Life, input: Input | None, outputs: list[Output]) -> None:
        """Judge one step of one node; called before its outputs are carried out."""
        s = life.core.state
        if input is None:
            self._begun(life, s)
            return
        seen, now = self.seen[s.node], life.now
        if s.term != seen.term:
            if s.term < seen.term:
                self.breaks("Term Hygiene", f"node {s.node} was in term {seen.term} and went back to term {s.term}")
        elif s.voted_for != seen.voted_for and seen.voted_for is not None:
            self.breaks("One Vote a Term", _second_vote(s, seen.voted_for))
        if outputs and type(outputs[0]) is Persist and outputs[0].first:
            self._log_changed(s, seen, outputs[0])
        turn = self.turns.get(type(getattr(input, "message", input)))
        if turn is not None:
            turn(s, seen, now, getattr(input, "message", input), outputs)
        if s.commit_index != seen.commit:
            self._committed(s, seen, now)
        if s.last_applied != seen.applied:
            self._applied(s)
        if s.promise_until < seen.promise - NEARLY:
            lost = seen.promise - s.promise_until
            self.breaks("Promise Never Falls", f"node {s.node} had promised to wait {lost:.1f} s longer than it does now")
        if s.role is _LEADER:
            self._leads(s, seen, now)
        elif seen.leads:
            self.leading.pop(s.node, None)
        if len(self.leading) > 1:
            self._judge_leases()
        seen.note(s)

    def _begun(self, life: Life, s: State) -> None:
        before = self.seen.get(s.node)
        self.seen[s.node] = Seen(life)
        self.leading.pop(s.node, None)
        if before is not None and self.leased:
            owed = before.promise - life.now
            short = before.promise - s.promise_until
            if owed > NEARLY and short > NEARLY:
                self.breaks(
                    "Promise at Restart",
                    f"node {s.node} had promised its leader {owed:.1f} s more when it crashed, and started again {short:.1f} s short of it",
                )

    # ---- logs

    def _log_changed(self, s: State, seen: Seen, persist: Persist) -> None:
        first, node = persist.first, s.node
        if persist.truncates:
            if s.role is _LEADER:
                self.breaks("Leader Append-Only", f"node {node}, leader of term {s.term}, lost its own entry {first}")
            if first <= seen.commit:
                self.breaks("State Machine Safety", f"node {node} had committed entry {seen.commit} and cut its log from {first} on")
            self.moment("truncated", node)
        before = s.log.term_at(first - 1)
        for index, entry in enumerate(persist.entries, first):
            known = self._entries.setdefault((index, entry.term), (entry, before))
            if known != (entry, before):
                self.breaks("Log Matching", f"{_same_place(node, index, entry)}: {_told(known, before, entry)}")
            before = entry.term
        if persist.entries:
            self.moment("appended", node)

    # ---- commits

    def _committed(self, s: State, seen: Seen, now: Seconds) -> None:
        old, new, node = seen.commit, s.commit_index, s.node
        if new < old:
            self.breaks("Commit Never Falls", f"node {node} had committed index {old} and went back to {new}")
            return
        if new > s.log.last_index:
            self.breaks("Commit Justified", f"node {node} committed index {new}, and its log ends at {s.log.last_index}")
            return
        for index in range(old + 1, new + 1):
            self._commit_one(s, index)
        if s.role is _LEADER and self.leased and now < s.wait_until - NEARLY:
            left = s.wait_until - now
            self.breaks("Commit Justified", f"node {node} committed entry {new} {left:.1f} s before its wait for an older lease is over")
        if s.role is _LEADER and s.log.term_at(new) != s.term:
            term = s.log.term_at(new)
            self.breaks("Commit Justified", f"node {node} leads term {s.term} and committed entry {new} of term {term} by counting")
        if new > s.last_applied and s.last_applied == seen.applied:
            self.breaks("Applies All", f"node {node} knows that entry {new} is committed and has applied only {s.last_applied}")
        self.moment("committed", node)

    def _commit_one(self, s: State, index: Index) -> None:
        entry = s.log.entry(index)
        if index > len(self.committed):
            self.happened.add("an entry was committed")
            self.committed.append((entry, s.term))
            if self._kv.apply(entry, RULES, is_leader=False) == "new" and entry.op == SET:
                self.effects[entry.client, entry.request] = index
                self.versions[entry.key, entry.value] = index
            self.states.append(self._kv.state)
            return
        known, term = self.committed[index - 1]
        if known != entry:
            words = f"node {s.node} committed {entry.words!r} of term {entry.term} at index {index}"
            self.breaks("State Machine Safety", f"{words}, where {known.words!r} of term {known.term} was committed before")
        elif s.term < term:
            self.committed[index - 1] = (entry, s.term)

    def _applied(self, s: State) -> None:
        applied = s.last_applied
        if applied > s.commit_index:
            self.breaks("Applies What Is Committed", f"node {s.node} applied entry {applied}; only {s.commit_index} is committed")
        elif self.outcome is None and s.kv.state != self.states[applied]:
            self.breaks(
                "Exactly Once",
                f"node {s.node} has applied {applied} entries, and its state machine is not what they make when each request is done once",
            )

    # ---- leaders and leases

    def _leads(self, s: State, seen: Seen, now: Seconds) -> None:
        if not seen.leads or seen.term != s.term:
            self._elected(s, seen)
        elif self.leased:
            # As it was before the step: a first lease may be dated back so far that it is over at once.
            if seen.expiry is None:
                over, why = max(s.wait_until, s.elected_at) + self.config.election_max, "never came"
            else:
                over, why = seen.expiry, "has run out"
            if now >= over + NEARLY:
                self.breaks("Expired Leader Steps Down", f"node {s.node} leads term {s.term} on; its lease {why}")
        if s.lease_expiry != seen.expiry and self.leased:
            self._renewed(s, seen, now)
        if s.lease_told and not seen.lease_told:
            self.moment("lease", s.node)
            self.happened.add("a lease was held")
            if self._holder not in (None, s.node):
                self.happened.add("a lease was handed over")
            self._holder = s.node

    def _elected(self, s: State, seen: Seen) -> None:
        node, term = s.node, s.term
        self.happened.add("a leader was elected")
        self.leading[node] = None
        self.latest_leader = max(self.latest_leader, (term, node), key=lambda led: led[0])
        seen.matched = dict(s.match_index)
        other = self.leaders.setdefault(term, node)
        if other != node:
            first, second = sorted((other, node))
            self.breaks("Election Safety", f"nodes {first} and {second} both became leader of term {term}")
        for index, (entry, in_term) in enumerate(self.committed, 1):
            if in_term < term and (s.log.last_index < index or s.log.entry(index) != entry):
                lacks = f"lacks entry {index} ({entry.words!r} of term {entry.term}), committed in term {in_term}"
                self.breaks("Leader Completeness", f"node {node} leads term {term} and {lacks}")
                break
        self.moment("elected", node)

    def _renewed(self, s: State, seen: Seen, now: Seconds) -> None:
        sent = sorted([now, *(answer.sent_at for answer in s.answered.values())], reverse=True)
        until = sent[s.majority - 1] + self.config.lease if len(sent) >= s.majority else None
        if seen.leads and seen.term == s.term and seen.expiry is not None:
            until = max(until or seen.expiry, seen.expiry)
        if s.lease_expiry is None:
            return
        if until is None:
            self.breaks("Lease From a Send", f"node {s.node} took a lease in term {s.term} that no majority has answered for")
        elif s.lease_expiry > until + NEARLY:
            due = f"what a majority answered was sent for {until - now:.1f} s"
            self.breaks("Lease From a Send", f"node {s.node} holds its lease for {s.lease_expiry - now:.1f} s; {due}")

    def _judge_leases(self) -> None:
        holders = []
        for node in list(self.leading):
            life = self.seen[node].life
            if life.ended:
                del self.leading[node]
            elif lease_is_valid(life.core.state, life.now):
                holders.append(node)
        if len(holders) > 1:
            who = " and ".join(map(str, sorted(holders)))
            self.breaks("Lease Disjoint", f"nodes {who} both hold a lease at {self._now():.1f} s")


def _second_vote(s: State, before: NodeId) -> str:
    if s.voted_for is None:
        return f"node {s.node} forgot in term {s.term} that it had voted for {before}"
    return f"node {s.node} voted for {before} and for {s.voted_for} in term {s.term}"


def _same_place(node: NodeId, index: Index, entry: Entry) -> str:
    return f"node {node} and another both hold an entry of term {entry.term} at index {index}"


def _told(known: tuple[Entry, Term | None], before: Term | None, entry: Entry) -> str:
    if known[0] != entry:
        return f"{entry.words!r} here and {known[0].words!r} there"
    return f"after an entry of term {before} here and of term {known[1]} there"
