"""`Node`: one Raft node as a pure machine. Same inputs at the same times, same outputs, on any driver.

It knows no clock (``now`` is an argument), draws no random number (a timer is a range), opens no file and starts no thread; what
it wants done it returns. `raftedu.core.inputs` lists the duties of a driver.
"""

from __future__ import annotations

from typing import NamedTuple

from raftedu.core.clients import on_client_request
from raftedu.core.config import Config, ConfigError
from raftedu.core.elections import campaign, count_own_vote, on_request_vote, on_vote_reply
from raftedu.core.guard import guarded
from raftedu.core.inputs import ClientRequest, Input, Persisted, Receive, TimerFired
from raftedu.core.leadership import check_deadlines, plan_wake_up
from raftedu.core.leases import lease_is_valid, promise_at_restart
from raftedu.core.messages import AppendEntries, AppendReply, Message, RequestVote, VoteReply, is_reply
from raftedu.core.outputs import Output
from raftedu.core.reads import serve_reads
from raftedu.core.replication import on_append_entries, on_append_reply, try_commit
from raftedu.core.rules import RULES, Rules
from raftedu.core.state import ELECTION, LEADER, State, arm_election_timer, finish_step, persisted, say, send
from raftedu.core.terms import look_at_term
from raftedu.core.types import Durable, Index, NodeId, Role, Seconds, Term

__all__ = ["Node", "Status"]

_LEADER = Role.LEADER  # looking a member up in its enum takes longer than the comparison


class Status(NamedTuple):
    """What a node shows of itself. The three ``..._left`` are seconds from now, 0 if there is nothing left."""

    node: NodeId
    role: Role
    term: Term
    voted_for: NodeId | None
    leader: NodeId | None
    last_log_index: Index
    commit_index: Index
    last_applied: Index
    lease_left: Seconds
    wait_left: Seconds
    promise_left: Seconds


class Node:
    """One node of a Raft cluster with leader leases.

    Parameters
    ----------
    node
        Its id, one of ``config.nodes``.
    config
        What all nodes of the cluster agree on.
    rules
        The table of rules; replaced ones are guarded, so that their mistakes are raised as `RuleError`.
    durable
        What was found on disk; the default is a first start.

    Examples
    --------
    >>> node = Node(1, Config.of(1))
    >>> _ = node.start(now=0.0)
    >>> _ = node.step(TimerFired("election", 1), now=7.0)
    >>> _ = node.step(Persisted(1), now=7.0)
    >>> node.status(now=7.0).role
    <Role.LEADER: 'leader'>
    """

    __slots__ = ("state",)

    def __init__(self, node: NodeId, config: Config, rules: Rules = RULES, durable: Durable = Durable()) -> None:  # noqa: B008 (immutable)
        if node not in config.nodes:
            raise ConfigError(f"node {node} is not one of nodes={config.nodes}")
        self.state = State(node, config, guarded(rules), durable)

    def start(self, now: Seconds) -> list[Output]:
        """Return what a node asks for when it starts, as a follower that waits for a leader."""
        s = self.state
        promise_at_restart(s, now)
        c = s.config
        config = {
            "nodes": list(c.nodes), "lease": c.lease, "heartbeat": c.heartbeat, "election_min": c.election_min,
            "election_max": c.election_max, "rho": c.rho, "lease_policy": c.lease_policy, "read_mode": c.read_mode,
        }  # fmt: skip
        restored = {
            "term": s.term, "voted_for": s.voted_for, "last_index": s.log.last_index, "last_term": s.log.last_term,
            "promise_until": s.promise_until,
        }  # fmt: skip
        say(s, "started", config=config, restored=restored, now=now)
        arm_election_timer(s)
        return finish_step(s, now)

    def step(self, input: Input, now: Seconds) -> list[Output]:
        """Return what this node asks for when ``input`` happens at ``now`` (seconds on its own clock).

        Raises
        ------
        RuleError
            A replaced rule raised or returned nonsense; the node is of no further use.
        """
        s = self.state
        if s.role is _LEADER:
            check_deadlines(s, now)
        match input:
            case Receive():
                self._receive(input.message, now, input.msg)
            case TimerFired():
                self._timer_fired(input.timer, input.generation, now)
            case ClientRequest():
                on_client_request(s, input, now)
            case Persisted():
                self._persisted(input.seq, now)
        if s.reads:
            serve_reads(s, now)
        if s.role is _LEADER:
            plan_wake_up(s, now)
        return finish_step(s, now)

    def _receive(self, message: Message, now: Seconds, msg: str) -> None:
        s = self.state
        reply = is_reply(message)
        if reply and message.refused:  # type: ignore[union-attr]
            say(s, "rpc_failed", peer=message.sender, reason=message.refused, msg=msg)  # type: ignore[union-attr]
            return
        if message.sender not in s.peers or not (reply or message.lease == s.told_lease):  # type: ignore[union-attr]
            self._refuse(message, self._why_foreign(message), msg)
            return
        look_at_term(s, message.term, message.sender, now, is_reply=reply)
        match message:
            case RequestVote():
                on_request_vote(s, message, now, msg)
            case VoteReply():
                on_vote_reply(s, message, now, msg)
            case AppendEntries():
                on_append_entries(s, message, now, msg)
            case AppendReply():
                on_append_reply(s, message, now, msg)

    def _why_foreign(self, message: Message) -> str:
        """Return why a message must not be looked at at all, not even at its term."""
        c = self.state.config
        if message.sender not in self.state.peers:
            return f"node {message.sender} is not a peer of node {self.state.node} in a cluster of {', '.join(map(str, c.nodes))}"
        leases = (getattr(message, "lease", 0.0), self.state.told_lease)
        theirs, mine = (f"with lease={lease}" if lease else "without leases" for lease in leases)
        return f"node {message.sender} runs {theirs}, node {self.state.node} {mine}: give all nodes the same (R11)"

    def _refuse(self, message: Message, reason: str, msg: str) -> None:
        s = self.state
        if isinstance(message, RequestVote):
            mine, theirs = [s.log.last_term, s.log.last_index], [message.last_log_term, message.last_log_index]
            say(s, "vote_denied", peer=message.sender, for_term=message.term, mine=mine, theirs=theirs, why=reason, msg=msg)
            send(s, message.sender, VoteReply(0, s.node, False, 0.0, reason))
        elif isinstance(message, AppendEntries):
            prev = [message.prev_log_term, message.prev_log_index]
            say(s, "append_rejected", peer=message.sender, index=s.log.last_index, msg=msg, prev=prev, reason=reason)
            send(s, message.sender, AppendReply(0, s.node, False, 0, message.round, message.prev_log_index, refused=reason))

    def _timer_fired(self, timer: str, generation: int, now: Seconds) -> None:
        s = self.state
        if s.generation.get(timer) != generation:
            return  # it was armed in another life of this role
        if timer == LEADER:
            s.leader_due = None
        elif timer == ELECTION and s.role != Role.LEADER:
            campaign(s, now)
            count_own_vote(s, now)

    def _persisted(self, seq: int, now: Seconds) -> None:
        s = self.state
        persisted(s, seq)
        count_own_vote(s, now)
        if s.role == Role.LEADER:
            try_commit(s, now)

    def status(self, now: Seconds) -> Status:
        """Return what this node shows of itself at ``now``."""
        s = self.state
        lease_left = s.lease_expiry - now if s.lease_expiry is not None and lease_is_valid(s, now) else 0.0
        wait_left = max(0.0, s.wait_until - now) if s.waiting else 0.0
        return Status(
            s.node, s.role, s.term, s.voted_for, s.leader, s.log.last_index, s.commit_index, s.last_applied, lease_left, wait_left,
            max(0.0, s.promise_until - now),
        )  # fmt: skip

    @property
    def log(self) -> tuple[tuple[Index, Term, str], ...]:
        """The log as (index, term, operation) triples."""
        log = self.state.log
        return tuple((i, e.term, e.words) for i, e in enumerate(log.between(1, log.last_index), 1))
