"""`State`: everything that one node knows, and the few verbs by which it asks its driver for something.

Below all handlers; it decides nothing. Fields are grouped as in Figure 2; comments state what always holds.
"""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

from raftedu.core.config import Config
from raftedu.core.inputs import ClientRequest
from raftedu.core.kv import KeyValue
from raftedu.core.log import Log
from raftedu.core.messages import Message
from raftedu.core.outputs import Output, Persist, Say, Send, SetTimer
from raftedu.core.rules import Rules
from raftedu.core.types import Durable, HardState, Index, NodeId, Role, Seconds, Term, make
from raftedu.core.views import Ballot, PersistView, Round, TimeoutView

__all__ = [
    "ELECTION",
    "LEADER",
    "ParkedRead",
    "State",
    "Unsynced",
    "arm_election_timer",
    "disarm",
    "finish_step",
    "persisted",
    "say",
    "send",
    "set_role",
    "tell",
]

ELECTION = "election"
LEADER = "leader"


class Unsynced(NamedTuple):
    """One `Persist` that the driver has not reported as done."""

    seq: int
    since: Seconds
    hard: HardState
    last_index: Index
    keeps: Index  # the log below it was not touched by this write


class ParkedRead(NamedTuple):
    """A GET that waits for a round: what was committed when it arrived, when that was, and the last round sent before."""

    request: ClientRequest
    read_index: Index
    asked_at: Seconds
    after_round: int


class State:
    """What one node knows. Changed only by the handlers, one input at a time."""

    def __init__(self, node: NodeId, config: Config, rules: Rules, durable: Durable) -> None:
        self.node, self.config, self.rules = node, config, rules
        self.peers, self.majority = config.peers(node), config.majority
        self.promise_length, self.kappa = config.promise, config.kappa
        self.has_lease = config.has_lease
        self.told_lease = config.lease if config.has_lease else 0.0  # what messages say of it; all nodes must say the same (R11)
        # Persistent (Figure 2).
        self.term: Term = durable.hard.term
        self.voted_for: NodeId | None = durable.hard.voted_for
        self.log = Log(durable.entries)
        self.promised: Seconds = durable.hard.promised
        self.ran_before = durable.ran_before
        # What is on disk for sure. saved_index <= log.last_index.
        self.saved, self.saved_index = durable.hard, self.log.last_index
        self.seq = 0
        self.unsynced: deque[Unsynced] = deque()
        self.written = durable.hard
        self.changed_from: Index = 0  # first index that this step changed, 0: none
        self.truncated = False
        # Volatile on every node. last_applied <= commit_index <= log.last_index, unless a rule is wrong.
        self.role = Role.FOLLOWER
        self.leader: NodeId | None = None
        self.commit_index: Index = 0
        self.last_applied: Index = 0
        self.kv = KeyValue()
        self.promise_until: Seconds = 0.0
        # A candidate's.
        self.ballots: list[Ballot] = []
        self.campaign_seq = 0  # the Persist that saves its vote for itself
        # A leader's. match_index < next_index for every peer.
        self.next_index: dict[NodeId, Index] = {}
        self.match_index: dict[NodeId, Index] = {}
        self.round = 0
        self.rounds: dict[int, Seconds] = {}  # when each round of this term was sent (R2)
        self.answered: dict[NodeId, Round] = {}
        self.in_flight: dict[NodeId, int] = {}  # the round that carries entries not yet answered
        self.elected_at: Seconds = 0.0
        self.wait_until: Seconds = 0.0
        self.waiting = False
        self.commit_blocked = True  # the commit rule has not seen the latest matches: it was not yet time to commit
        self.lease_expiry: Seconds | None = None
        self.lease_told = False  # lease_acquired has been said
        self.owes_no_op = False  # the first entry of its term is still to come
        self.next_heartbeat_at: Seconds = 0.0
        self.waiters: dict[Index, list[ClientRequest]] = {}
        self.reads: deque[ParkedRead] = deque()  # in the order in which they arrived
        self.full_round = 0  # the last round that went to everybody
        self.appended: dict[tuple[str, int], Index] = {}  # (client, request) of entries not yet applied
        # Timers: a firing of an older generation is ignored.
        self.generation = {ELECTION: 0, LEADER: 0}
        self.leader_due: Seconds | None = None
        # Whether anybody reads the events; without a listener none is made.
        self.listening = True
        # This step's.
        self.out: list[Output] = []
        self.sends: list[tuple[NodeId, Message]] = []

    @property
    def hard(self) -> HardState:
        """What must be saved besides the log."""
        return HardState(self.term, self.voted_for, self.promised)


def say(s: State, event: str, *, peer: NodeId | None = None, index: Index | None = None, **facts: Any) -> None:
    """Emit an event; term and role are those of this moment."""
    if s.listening:
        s.out.append(make(Say, (event, s.term, s.role, peer, index, facts)))


def tell(s: State, event: str, peer: NodeId | None, index: Index | None, facts: dict[str, Any]) -> None:
    """Emit an event whose facts stand ready; a caller that is busy asks ``s.listening`` before it gathers them."""
    s.out.append(make(Say, (event, s.term, s.role, peer, index, facts)))


def send(s: State, to: NodeId, message: Message) -> None:
    """Send a message at the end of this step, after the disk if the rules say so."""
    s.sends.append((to, message))


def set_role(s: State, role: Role, why: str) -> None:
    """Change the role and say so; nothing if it is the same."""
    if role != s.role:
        old, s.role = s.role, role
        say(s, "role_changed", old=old, new=role, why=why)


def arm_election_timer(s: State) -> None:
    """Restart the election timer with a new random duration."""
    low, high = s.rules.election_timeout_range(make(TimeoutView, (s.node, s.config.election_min, s.config.election_max)))
    arm(s, ELECTION, low, high)


def arm(s: State, timer: str, low: Seconds, high: Seconds) -> None:
    """Ask to be woken after ``low`` to ``high`` seconds, instead of what was asked before."""
    generation = s.generation[timer] = s.generation[timer] + 1
    s.out.append(make(SetTimer, (timer, low, high, generation)))


def disarm(s: State, timer: str) -> None:
    """Take back the last wish to be woken."""
    arm(s, timer, -1.0, -1.0)


def finish_step(s: State, now: Seconds) -> list[Output]:
    """Return what this step asks for: first what to save, then the rest, each message with what it must wait for."""
    _ask_to_save(s, now)
    out, s.out = s.out, []
    if s.sends:
        for to, message in s.sends:
            out.append(make(Send, (to, message, s.seq if s.unsynced and _must_wait(s, message) else 0)))
        s.sends = []
    return out


def _ask_to_save(s: State, now: Seconds) -> None:
    written = s.written
    if not s.changed_from and (s.term, s.voted_for, s.promised) == written:
        return
    hard = s.hard
    s.seq += 1
    first, last = s.changed_from, s.log.last_index
    entries = s.log.between(first, last) if first else ()
    s.out.insert(0, Persist(s.seq, hard if hard != written else None, first, entries, s.truncated))
    s.unsynced.append(Unsynced(s.seq, now, hard, last, first - 1 if first else last))
    s.written, s.changed_from, s.truncated = hard, 0, False


def _must_wait(s: State, message: Message) -> bool:
    view = PersistView(
        message=type(message).__name__,
        term_unsaved=s.term != s.saved.term,
        vote_unsaved=s.voted_for != s.saved.voted_for,
        entries_unsaved=s.saved_index < s.log.last_index,
        promise_unsaved=s.promised != s.saved.promised,
    )
    return s.rules.must_persist_first(view)


def persisted(s: State, seq: int) -> None:
    """Take note that everything up to number ``seq`` is on disk."""
    done = None
    while s.unsynced and s.unsynced[0].seq <= seq:
        done = s.unsynced.popleft()
    if done is not None:
        s.saved = done.hard
        # A later write may already have replaced part of what this one saved.
        s.saved_index = min([done.last_index, *(later.keeps for later in s.unsynced)])
