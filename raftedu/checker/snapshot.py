"""`Snapshot`: one node as a plain tuple, so that equal situations are equal; and back into a `State` of the real core.

What no later step depends on is left out: message ids, generations, sequence and round numbers, whether an event has been told. Times are
seconds from now, and what lies so far back that it makes no difference any more is clipped. Knows `State` and nothing of searching.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias

from raftedu.checker.profiles import TICK, Profile
from raftedu.core.inputs import ClientRequest
from raftedu.core.kv import KeyValue
from raftedu.core.log import Log
from raftedu.core.outputs import Persist
from raftedu.core.rules import RULES
from raftedu.core.state import ELECTION, LEADER, ParkedRead, State, Unsynced
from raftedu.core.types import SET, Entry, HardState, Index, NodeId, Role, Seconds, Term
from raftedu.core.views import Ballot, Round

__all__ = ["LEFT_OUT", "ROUND", "STRIDE", "Disk", "Parked", "Snapshot", "epoch_of", "fresh", "kv_after", "rename", "restore", "take"]

ROUND, STRIDE = 1000, 100
"""A round that a leader sent ``a`` ticks ago, after it had been asked ``e`` GETs in its term, has the number ``ROUND + e * STRIDE - a``,
whatever it was called when it was sent: so numbers are in the order of sending, as far as anything rests on it.
"""

LEFT_OUT = frozenset({
    "node", "config", "rules", "peers", "majority", "promise_length", "kappa", "ran_before", "seq", "written", "changed_from", "truncated",
    "campaign_seq", "round", "in_flight", "lease_told", "next_heartbeat_at", "appended", "generation", "leader_due", "listening", "out",
    "sends", "saved_index", "rounds", "full_round", "has_lease", "told_lease",
})  # fmt: skip
"""The fields of `State` that no snapshot holds: constant, derived from others, or without influence on what a node may do next."""

Entries: TypeAlias = tuple[Entry, ...]
Waiters: TypeAlias = tuple[tuple[Index, tuple[ClientRequest, ...]], ...]


class Disk(NamedTuple):
    """A disk that is behind: what it holds, and what it is still to write."""

    hard: HardState
    entries: Entries
    pending: tuple[tuple[Persist, Unsynced], ...]


class Parked(NamedTuple):
    """A GET that waits for a round: when it was asked, seconds from now, and how many had been asked before it in this term."""

    asked: Seconds
    epoch: int
    read_index: Index
    request: ClientRequest


class Snapshot(NamedTuple):
    """One node. Times are relative to now; ``next``, ``match`` and ``answered`` have a place for every node, in the order of ids."""

    role: Role
    term: Term
    voted_for: NodeId | None
    leader: NodeId | None
    log: Entries
    commit: Index
    applied: Index
    kv: str | None  # the hash of a state machine that has not done what the log says
    promised: Seconds
    promise: Seconds
    ballots: tuple[Ballot, ...]
    next: tuple[Index, ...]
    match: tuple[Index, ...]
    answered: tuple[tuple[Seconds, Seconds, int] | None, ...]  # sent, received, and the epoch of the round
    last_sent: Seconds
    elected: Seconds
    wait: Seconds
    waiting: bool
    blocked: bool
    lease: Seconds | None
    owes_no_op: bool
    waiters: Waiters
    reads: tuple[Parked, ...]
    epoch: int  # how many GETs this leader has been asked in its term; 0 where nobody asks
    disk: Disk | None  # None: it holds what the node holds


_KV: dict[Entries, KeyValue] = {}
_ODD: dict[str, KeyValue] = {}


def kv_after(entries: Entries) -> KeyValue:
    """Return the state machine that has applied these entries as the reference rules do; not to be changed."""
    kv = _KV.get(entries)
    if kv is None:
        kv = KeyValue()
        for entry in entries:
            kv.apply(entry, RULES, is_leader=False)
        _KV[entries] = kv
    return kv


def fresh(profile: Profile) -> Snapshot:
    """Return a node that has never run. In an untimed world it has promised before: what it promises next changes nothing on its disk."""
    promised = 0.0 if profile.timed else profile.config().promise
    none = (0,) * profile.n
    return Snapshot(
        Role.FOLLOWER, 0, None, None, (), 0, 0, None, promised, 0.0, (), none, none, (None,) * profile.n, 0.0, 0.0, 0.0, False, True, None,
        False, (), (), 0, None,
    )  # fmt: skip


# ---- a State from a snapshot


def restore(s: State, old: Snapshot, now: Seconds, passed: Seconds = 0.0) -> None:
    """Make ``s`` the node of this snapshot, ``passed`` seconds after it was taken, at ``now``."""
    at = now - passed
    s.role, s.term, s.voted_for, s.leader = old.role, old.term, old.voted_for, old.leader
    s.log = Log(old.log)
    s.commit_index, s.last_applied = old.commit, old.applied
    s.kv = _kv(old)
    s.promised, s.promise_until = old.promised, at + old.promise
    s.ballots = [b._replace(received_at=at + b.received_at) for b in old.ballots]
    s.waiting, s.commit_blocked, s.owes_no_op = old.waiting, old.blocked, old.owes_no_op
    s.wait_until, s.elected_at = at + old.wait, at + old.elected
    s.lease_expiry = None if old.lease is None else at + old.lease
    s.waiters = {index: list(requests) for index, requests in old.waiters}
    _restore_progress(s, old, at)
    _restore_disk(s, old, at)
    s.changed_from, s.truncated, s.lease_told = 0, False, True
    s.generation = {ELECTION: 1, LEADER: 1}
    s.next_heartbeat_at, s.leader_due = float("inf"), None
    s.out, s.sends = [], []


def _kv(old: Snapshot) -> KeyValue:
    return kv_after(old.log[: old.applied]).copy() if old.kv is None else _ODD[old.kv].copy()


def _restore_progress(s: State, old: Snapshot, at: Seconds) -> None:
    s.next_index = {p: old.next[p - 1] for p in s.peers if old.next[p - 1]}
    s.match_index = {p: old.match[p - 1] for p in s.peers if old.next[p - 1]}
    s.in_flight, s.answered, s.rounds, s.appended = {}, {}, {}, {}
    s.round = s.full_round = _number(old.last_sent, old.epoch)
    s.reads = deque(ParkedRead(p.request, p.read_index, at + p.asked, ROUND + STRIDE * p.epoch) for p in old.reads)
    if old.role is Role.LEADER:
        for peer in s.peers:
            answer = old.answered[peer - 1]
            if answer is not None:
                s.answered[peer] = Round(at + answer[0], at + answer[1], "", _number(answer[0], answer[2]))
        ages = range(round(-old.elected / TICK), -1, -1)
        s.rounds = {_number(-age * TICK, epoch): at - age * TICK for epoch in range(old.epoch + 1) for age in ages}
        s.appended = {(e.client, e.request): i for i, e in enumerate(old.log, 1) if i > old.applied and e.client and e.op == SET}


def _number(sent: Seconds, epoch: int) -> int:
    return ROUND + STRIDE * epoch + round(sent / TICK)


def epoch_of(number: int) -> int:
    """Return the epoch of a round; a world that counts its rounds plainly, from 1, has an epoch for each."""
    return number if number <= ROUND - STRIDE else -((ROUND - number) // STRIDE)


def _restore_disk(s: State, old: Snapshot, at: Seconds) -> None:
    s.written = s.hard
    if old.disk is None:
        s.saved, s.saved_index, s.seq, s.unsynced = s.hard, s.log.last_index, 0, deque()
    else:
        s.saved, s.saved_index = old.disk.hard, len(old.disk.entries)
        s.unsynced = deque(unsynced._replace(since=at + unsynced.since) for _, unsynced in old.disk.pending)
        s.saved_index = min([len(old.disk.entries), *(unsynced.keeps for unsynced in s.unsynced)])
        s.seq = len(s.unsynced)
    s.campaign_seq = s.seq


# ---- a snapshot of a State


def take(s: State, now: Seconds, profile: Profile, disk: Disk | None, epoch: int = 0) -> Snapshot:
    """Return the snapshot of this node at ``now``; ``disk`` is what it holds if that is not all the node knows."""
    floor = -(profile.lease + 1) * TICK
    leads, timed = s.role is Role.LEADER, profile.timed

    def since(moment: Seconds) -> Seconds:
        return max(floor, round(moment - now, 6))

    def left(moment: Seconds) -> Seconds:
        return max(0.0, round(moment - now, 6))

    n = profile.n
    keeps = leads or profile.leftovers
    times = leads and timed
    entries = s.log.between(1, s.log.last_index)
    return Snapshot(
        s.role, s.term, s.voted_for, s.leader, entries, s.commit_index, s.last_applied, _odd_kv(s, entries), s.promised,
        left(s.promise_until) if timed else 0.0,
        tuple(b._replace(received_at=since(b.received_at), msg="") for b in s.ballots) if s.role is Role.CANDIDATE else (),
        _by_node(s.next_index, n) if keeps else (0,) * n,
        _by_node(s.match_index, n) if keeps else (0,) * n,
        tuple(_answer(s, node, since) for node in range(1, n + 1)) if times else (None,) * n,
        since(s.rounds.get(s.round, s.elected_at)) if times else 0.0,
        since(s.elected_at) if times else 0.0,
        (since if times else left)(s.wait_until) if leads else 0.0,
        s.waiting and leads,
        s.commit_blocked if leads else True,
        since(s.lease_expiry) if times and s.lease_expiry is not None else None,
        s.owes_no_op and leads,
        tuple((index, tuple(s.waiters[index])) for index in sorted(s.waiters)),
        tuple(Parked(since(r.asked_at), epoch_of(r.after_round), r.read_index, r.request) for r in s.reads),
        epoch,
        disk,
    )  # fmt: skip


def _by_node(table: Mapping[NodeId, Index], n: int) -> tuple[Index, ...]:
    return tuple([table.get(node, 0) for node in range(1, n + 1)])


def _answer(s: State, node: NodeId, since: Callable[[Seconds], Seconds]) -> tuple[Seconds, Seconds, int] | None:
    answer = s.answered.get(node)
    return None if answer is None else (since(answer.sent_at), since(answer.received_at), epoch_of(answer.number))


def _odd_kv(s: State, entries: Entries) -> str | None:
    state = s.kv.state
    if state == kv_after(entries[: s.last_applied]).state:
        return None
    _ODD.setdefault(state, s.kv.copy())
    return state


# ---- the same with other names


def rename(old: Snapshot, new_id: tuple[NodeId, ...]) -> Snapshot:
    """Return the snapshot in a world in which the nodes have other ids: ``new_id[i - 1]`` is that of node ``i``."""

    def name(node: NodeId | None) -> NodeId | None:
        return None if node is None else new_id[node - 1]

    def hard(h: HardState) -> HardState:
        return h._replace(voted_for=name(h.voted_for))

    disk = old.disk
    if disk is not None:
        pending = tuple((p._replace(hard=p.hard and hard(p.hard)), u._replace(hard=hard(u.hard))) for p, u in disk.pending)
        disk = Disk(hard(disk.hard), disk.entries, pending)
    place = sorted(range(len(new_id)), key=new_id.__getitem__)
    return old._replace(
        voted_for=name(old.voted_for), leader=name(old.leader), ballots=tuple(b._replace(voter=new_id[b.voter - 1]) for b in old.ballots),
        next=tuple([old.next[i] for i in place]), match=tuple([old.match[i] for i in place]),
        answered=tuple([old.answered[i] for i in place]), disk=disk,
    )  # fmt: skip
