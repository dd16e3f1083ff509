"""A story told by hand: five nodes, a lease, a crash, and the wait for what the dead leader was promised.

``write_story(folder)`` writes it as a run's folder. Nothing ran: every line is made here, so that tests know each value.

====== ==========================================================================================
 time  what happens (lease 8 s, heartbeat 1 s, no drift: a promise is 8 s long)
====== ==========================================================================================
  0.00 five nodes start
  5.00 node 2 campaigns in term 1, leads from 5.02, holds the lease from 5.04
  6.50 SET x 1 at node 2, done at 6.54; 7.50 GET x; five renewals, the last is for the round sent at 10.02
 10.50 node 2 crashes; its lease would have counted until 18.02
 12.00 the link from 1 to 5 is cut, healed at 14.00
 15.62 node 4 campaigns in term 2, leads from 15.65, must wait until 18.05 because of node 3's promise
 18.05 node 4 holds the lease; 19.00 SET x 2 at node 4, done at 19.04
 20.00 node 2 is back: it behaves as if it had promised a full lease
 21.00 the end
====== ==========================================================================================
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from raftedu.core.messages import AppendEntries, AppendReply, Message, RequestVote, VoteReply
from raftedu.core.outputs import Say
from raftedu.core.types import Entry, Role
from raftedu.events import DumpWriter, message_facts

__all__ = ["NODES", "Story", "tell_story", "write_story"]

NODES = (1, 2, 3, 4, 5)
LEASE = 8.0
CONFIG = {
    "nodes": list(NODES), "lease": LEASE, "heartbeat": 1.0, "election_min": 5.0, "election_max": 10.0, "rho": 0.0,
    "lease_policy": "wait-then-append", "read_mode": "lease",
}  # fmt: skip


def at(moment: float) -> float:
    """Return the moment without the noise of float arithmetic."""
    return round(moment, 6)


class Story:
    """What each node has said so far; the verbs of a run, each written down as real nodes say it."""

    def __init__(self) -> None:
        self.said: list[tuple[float, int, Say]] = []
        self.term, self.role = dict.fromkeys(NODES, 0), dict.fromkeys(NODES, Role.FOLLOWER)
        self.promised = dict.fromkeys(NODES, 0.0)
        self.expiry: float | None = None
        self.messages = self.round = 0

    def say(self, time: float, node: int, event: str, peer: int | None = None, index: int | None = None, **facts: Any) -> None:
        self.said.append((time, node, Say(event, self.term[node], self.role[node], peer, index, facts)))

    def start(self, time: float, node: int, incarnation: int = 1, **restored: Any) -> None:
        known = {"term": 0, "voted_for": None, "last_index": 0, "last_term": 0, "promise_until": 0.0} | restored
        self.promised[node] = known["promise_until"]
        run = {"incarnation": incarnation, "utc_zero": "2025-01-01T00:00:00Z", "pace": 1.0}
        self.say(time, node, "started", **run, config=CONFIG, restored=known, now=time)

    def become(self, time: float, node: int, role: Role, why: str) -> None:
        old, self.role[node] = self.role[node], role
        self.say(time, node, "role_changed", old=old, new=role, why=why)

    def enter(self, time: float, node: int, term: int, why: str) -> None:
        if self.term[node] != term:
            old, self.term[node] = self.term[node], term
            self.say(time, node, "term_changed", old=old, new=term, why=why)

    def send(self, left: float, arrived: float, to: int, message: Message) -> str:
        self.messages += 1
        msg = f"m{self.messages}"
        self.say(left, message.sender, "sent", to, **message_facts(message, msg))
        self.say(arrived, to, "received", message.sender, **message_facts(message, msg))
        return msg

    def campaign(self, time: float, node: int, term: int, last: tuple[int, int]) -> None:
        self.say(time, node, "timer_fired", timer="election")
        self.say(time, node, "election_started", why="no leader was heard of", for_term=term, now=time)
        self.become(time, node, Role.CANDIDATE, "its election timer ran out")
        self.enter(time, node, term, "it starts an election")
        self.last = last

    def vote(self, asked: float, time: float, back: float, voter: int, candidate: int) -> list[Any]:
        """A request, a granted vote, its reply; return what the candidate will know of it."""
        term, (last_term, last_index) = self.term[candidate], self.last
        msg = self.send(asked, time, voter, RequestVote(term, candidate, last_index, last_term, LEASE))
        self.enter(time, voter, term, f"node {candidate} is in term {term}")
        mine = [last_term, last_index]
        self.say(time, voter, "vote_granted", candidate, for_term=term, mine=mine, theirs=mine, why="its log is as good (§5.4.1)", msg=msg)
        remaining = at(max(0.0, self.promised[voter] - time))
        return [voter, self.send(time, back, candidate, VoteReply(term, voter, True, remaining)), remaining]

    def elect(self, time: float, node: int, votes: list[list[Any]], last_index: int) -> float:
        owed = [[node, at(max(0.0, self.promised[node] - time))], *([voter, remaining] for voter, _, remaining in votes)]
        wait_until = at(time + max(remaining for _, remaining in owed))
        self.become(time, node, Role.LEADER, "a majority voted for it")
        votes = [[node, "", owed[0][1]], *votes]
        self.say(time, node, "leader_elected", votes=votes, last_index=last_index, wait_until=wait_until, now=time)
        if wait_until > time:
            self.say(time, node, "lease_wait_started", wait_until=wait_until, because=owed, now=time)
        self.expiry, self.acquired = None, False
        return wait_until

    def heartbeat(
        self, time: float, leader: int, last: int, slow: int | None = None, away: tuple[int, ...] = (),
        entries: tuple[Entry, ...] = (), renews: bool = True,
    ) -> None:  # fmt: skip
        """A round sent at ``time``; it arrives 0.01 later (``slow``: 0.02), and 0.02 after the sending a majority has answered."""
        self.round += 1
        if not entries:
            self.say(time, leader, "heartbeat_round", round=self.round, sent_at=time)
        ackers = []
        for node in NODES:
            if node != leader and node not in away:
                ackers.append([node, self.append(time, at(time + (0.02 if node == slow else 0.01)), leader, node, last, entries), time])
        if renews:
            self.renew(at(time + 0.02), leader, time, ackers[:2])

    def append(self, left: float, time: float, leader: int, node: int, last: int, entries: tuple[Entry, ...]) -> str:
        term, prev = self.term[leader], last - len(entries)
        prev_term = 0 if not prev else 1 if prev <= 2 else 2
        msg = self.send(left, time, node, AppendEntries(term, leader, prev, prev_term, entries, prev, self.round, left, LEASE))
        self.enter(time, node, term, f"node {leader} is in term {term}")
        old, self.promised[node] = self.promised[node], max(self.promised[node], at(time + LEASE))
        self.say(time, node, "lease_promised", leader, old_until=old, until=self.promised[node], msg=msg, now=time)
        if entries:
            self.entries(time, node, last, entries)
        self.say(time, node, "append_accepted", leader, last, msg=msg, **{"from": prev + 1, "to": last})
        return self.send(time, at(time + 0.01), leader, AppendReply(term, node, True, last, self.round, prev))

    def entries(self, time: float, node: int, last: int, entries: tuple[Entry, ...]) -> None:
        first = last - len(entries) + 1
        rows = [[first + i, e.term, e.words, e.client, e.request] for i, e in enumerate(entries)]
        self.say(time, node, "entry_appended", index=last, **{"from": first}, entries=rows, chain=f"c{last}")

    def renew(self, time: float, leader: int, sent_at: float, ackers: list[Any]) -> None:
        old, self.expiry = self.expiry, at(sent_at + LEASE)
        event, self.acquired = "lease_renewed" if self.acquired else "lease_acquired", True
        self.say(time, leader, event, old_expiry=old, expiry=self.expiry, basis_sent_at=sent_at, ackers=ackers, now=time)

    def commit(self, time: float, node: int, index: int, entry: Entry, by: str) -> None:
        basis = {"matches": [[n, index] for n in NODES]} if by == "leader" else {"leader_commit": index, "last_new": index}
        self.say(time, node, "committed", index=index, old=index - 1, new=index, basis=basis, op=entry.words, by=by)
        self.say(time, node, "applied", index=index, **{"from": index, "to": index}, effects=[], state=f"s{index}")

    def request(self, time: float, node: int, op_id: str, op: str, key: str, value: str, request: int) -> None:
        self.say(time, node, "client_request", op_id=op_id, client="ann", request=request, op=op, key=key, value=value)

    def reply(self, time: float, node: int, op_id: str, op: str, key: str, value: str, request: int, index: int | None) -> None:
        self.say(
            time, node, "client_reply", index=index, op_id=op_id, client="ann", request=request, op=op, key=key, value=value,
            outcome="success", leader=node, reason="",
        )  # fmt: skip


def tell_story() -> list[tuple[float, int, Say]]:
    """Return the story as (time, node, event), in the order of each node's own lines."""
    s = Story()
    for node in NODES:
        s.start(0.0, node)
    _term_1(s)
    _between(s)
    _term_2(s)
    return sorted(s.said, key=lambda row: row[0])


def _term_1(s: Story) -> None:
    no_op, set_1 = Entry(1), Entry(1, "SET", "x", "1", "ann", 1)
    s.campaign(5.0, 2, 1, (0, 0))
    s.elect(5.02, 2, [s.vote(5.0, 5.01, 5.02, voter, 2) for voter in (1, 3, 4, 5)][:2], 0)
    s.entries(5.02, 2, 1, (no_op,))
    s.heartbeat(5.02, 2, 1, entries=(no_op,))
    s.commit(5.04, 2, 1, no_op, "leader")
    s.heartbeat(6.02, 2, 1)
    for node in (1, 3, 4, 5):
        s.commit(6.03, node, 1, no_op, "follower")
    s.request(6.5, 2, "ann-1", "SET", "x", "1", 1)
    s.entries(6.5, 2, 2, (set_1,))
    s.heartbeat(6.5, 2, 2, entries=(set_1,), renews=False)
    s.commit(6.54, 2, 2, set_1, "leader")
    s.reply(6.54, 2, "ann-1", "SET", "x", "1", 1, 2)
    s.heartbeat(7.02, 2, 2)
    for node in (1, 3, 4, 5):
        s.commit(7.03, node, 2, set_1, "follower")
    s.request(7.5, 2, "ann-2", "GET", "x", "", 2)
    s.say(
        7.5, 2, "read_served", op_id="ann-2", key="x", value="1", mode="lease", checked_at=7.5, wait_until=5.02, expiry=s.expiry, commit=2,
        applied=2, commit_term=1, why="", now=7.5,
    )  # fmt: skip
    s.reply(7.5, 2, "ann-2", "GET", "x", "1", 2, None)
    s.heartbeat(8.02, 2, 2)
    s.heartbeat(9.02, 2, 2)
    s.heartbeat(10.02, 2, 2, slow=3)
    s.say(10.5, 2, "crashed", why="crash was asked for")


def _between(s: Story) -> None:
    s.say(12.0, 1, "link_cut", 5)
    s.say(14.0, 1, "link_healed", 5)


def _term_2(s: Story) -> None:
    no_op, set_2 = Entry(2), Entry(2, "SET", "x", "2", "ann", 3)
    s.campaign(15.62, 4, 2, (1, 2))
    s.elect(15.65, 4, [s.vote(15.62, 15.64, 15.65, voter, 4) for voter in (3, 5, 1)][:2], 2)
    for sent_at in (15.65, 16.65, 17.65):
        s.heartbeat(sent_at, 4, 2, away=(2,), renews=False)
    s.say(18.05, 4, "lease_wait_ended", wait_until=18.05, now=18.05)
    s.entries(18.05, 4, 3, (no_op,))
    s.renew(18.05, 4, 17.65, [[1, "m0", 17.65], [3, "m0", 17.65]])
    s.heartbeat(18.05, 4, 3, away=(2,), entries=(no_op,), renews=False)
    s.commit(18.07, 4, 3, no_op, "leader")
    s.heartbeat(18.65, 4, 3, away=(2,))
    for node in (1, 3, 5):
        s.commit(18.66, node, 3, no_op, "follower")
    s.request(19.0, 4, "ann-3", "SET", "x", "2", 3)
    s.entries(19.0, 4, 4, (set_2,))
    s.heartbeat(19.0, 4, 4, away=(2,), entries=(set_2,), renews=False)
    s.commit(19.04, 4, 4, set_2, "leader")
    s.reply(19.04, 4, "ann-3", "SET", "x", "2", 3, 4)
    s.heartbeat(19.65, 4, 4, away=(2,))
    for node in (1, 3, 5):
        s.commit(19.66, node, 4, set_2, "follower")
    s.role[2] = Role.FOLLOWER
    s.start(20.0, 2, 2, term=1, voted_for=2, last_index=2, last_term=1, promise_until=28.0)
    s.heartbeat(20.65, 4, 4)
    s.entries(20.66, 2, 4, (no_op, set_2))
    s.commit(20.66, 2, 3, no_op, "follower")
    s.commit(20.66, 2, 4, set_2, "follower")
    s.say(21.0, 3, "timer_set", timer="election", deadline=28.0)


def write_story(folder: str | Path) -> Path:
    """Write the story into ``folder``, as ``logs_node_1`` to ``logs_node_5``, and return the folder."""
    writers = {node: DumpWriter(Path(folder) / f"logs_node_{node}" / "dump.txt", node) for node in NODES}
    for time, node, say in tell_story():
        writers[node].write(time, say)
    for writer in writers.values():
        writer.close()
    return Path(folder)
