"""The frozen facts that each rule may see. A view holds what the paper lets the rule know, and nothing else.

The order of the fields is the order of thought. Views are plain tuples with names: nothing in them can be changed.
All times are seconds on the node's own clock; indexes start at 1, and 0 is "before the log".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from raftedu.core.types import Entry, Index, NodeId, Role, Seconds, Term

__all__ = [
    "AckView", "Adopted", "AppendView", "ApplyView", "Ballot", "Campaign", "CampaignView", "CommitTimeView", "CommitView", "ConfirmView",
    "DedupView", "FollowView", "FollowerCommitView", "LeaseView", "LogView", "MergeView", "NewLeader", "NewLeaderView", "OutcomeView",
    "PersistView", "Progress", "PromiseView", "ReadView", "RemainingView", "ReplyTermView", "ReplyView", "ResetView", "RestartView",
    "Result", "Round", "SendView", "StepDownView", "TallyView", "TermView", "TimeoutView", "ValidView", "VoteView", "WaitView", "WriteView",
]  # fmt: skip


# ---- elections (§5.2, §5.4.1)


class TimeoutView(NamedTuple):
    """For `election_timeout_range`: the two bounds that all nodes share."""

    node: NodeId
    election_min: Seconds
    election_max: Seconds


class CampaignView(NamedTuple):
    """For `start_election`: who campaigns, and what it held before."""

    node: NodeId
    term: Term
    voted_for: NodeId | None
    role: Role


class Campaign(NamedTuple):
    """What `start_election` returns: the new term, and the node voted for in it."""

    term: Term
    voted_for: NodeId | None


class LogView(NamedTuple):
    """For `log_is_up_to_date`: the ends of two logs, the voter's and the candidate's."""

    last_log_term: Term
    last_log_index: Index
    candidate_last_term: Term
    candidate_last_index: Index


class VoteView(NamedTuple):
    """For `grant_vote`: a vote request, seen by a node that has already looked at its term (`on_higher_term`).

    ``voted_for`` is this node's vote in its ``term``, ``None`` if it has not voted in it.
    """

    node: NodeId
    term: Term
    voted_for: NodeId | None
    candidate: NodeId
    candidate_term: Term
    candidate_log_is_up_to_date: bool
    last_log_term: Term
    last_log_index: Index
    candidate_last_term: Term
    candidate_last_index: Index
    role: Role


class Ballot(NamedTuple):
    """One vote reply as the candidate received it; its own vote is one too. The same reply may arrive twice.

    ``remaining`` is what was left, in seconds, of the voter's promise to an older leader.
    """

    voter: NodeId
    term: Term
    granted: bool
    remaining: Seconds
    received_at: Seconds
    msg: str = ""


class TallyView(NamedTuple):
    """For `wins_election`: every vote reply that has arrived since the candidacy began, late ones of older terms too."""

    term: Term
    ballots: tuple[Ballot, ...]
    majority: int
    cluster_size: int


class TermView(NamedTuple):
    """For `on_higher_term`: this node, and the term in a message. ``is_reply``: it answers one of ours."""

    term: Term
    role: Role
    voted_for: NodeId | None
    message_term: Term
    is_reply: bool


class Adopted(NamedTuple):
    """What `on_higher_term` returns: term, role and vote after the message's term was looked at."""

    term: Term
    role: Role
    voted_for: NodeId | None


class ReplyTermView(NamedTuple):
    """For `reply_term`: this node's term, and that of the request it answers."""

    term: Term
    request_term: Term


class ResetView(NamedTuple):
    """For `resets_election_timer`: ``request`` is ``"RequestVote"`` or ``"AppendEntries"``.

    ``granted``: the vote was given. ``from_leader``: the sender is the leader of this node's term.
    """

    request: str
    granted: bool
    from_leader: bool


class NewLeaderView(NamedTuple):
    """For `become_leader`. ``next_index`` and ``match_index`` are what was left of an earlier leadership of this node."""

    node: NodeId
    term: Term
    peers: tuple[NodeId, ...]
    last_log_index: Index
    commit_index: Index
    next_index: Mapping[NodeId, Index]
    match_index: Mapping[NodeId, Index]
    no_op_on_election: bool


class NewLeader(NamedTuple):
    """What `become_leader` returns. ``keep_log_to``: the last index of its own log that a new leader keeps."""

    next_index: Mapping[NodeId, Index]
    match_index: Mapping[NodeId, Index]
    append_no_op: bool
    heartbeat_at_once: bool
    keep_log_to: Index


# ---- replication (§5.3)


class FollowView(NamedTuple):
    """For `follows_leader`: an AppendEntries arrived; is its sender the leader of this node's term?"""

    term: Term
    role: Role
    leader: NodeId | None
    sender: NodeId
    message_term: Term


class AppendView(NamedTuple):
    """For `accepts_append`. ``term_at_prev``: the term of this node's entry at ``prev_log_index``, ``None`` if it has none.

    Index 0 always matches: ``term_at_prev`` is 0 there, and so is ``prev_log_term``.
    """

    prev_log_index: Index
    prev_log_term: Term
    term_at_prev: Term | None
    last_log_index: Index
    entry_count: int


class MergeView(NamedTuple):
    """For `merged_log`: this node's entries after ``prev_log_index``, and the leader's."""

    prev_log_index: Index
    mine: tuple[Entry, ...]
    entries: tuple[Entry, ...]


class AckView(NamedTuple):
    """For `acknowledged_index`. ``last_log_index`` is that of this node's log after the merge."""

    accepted: bool
    prev_log_index: Index
    entry_count: int
    last_log_index: Index


class SendView(NamedTuple):
    """For `entries_to_send`: what one follower still lacks."""

    next_index: Index
    last_log_index: Index
    batch_size: int


class ReplyView(NamedTuple):
    """For `after_append_reply`: what the leader knew of a follower, and the follower's reply.

    On a conflict: ``conflict_term`` and ``conflict_index`` as in AppendReply, and ``last_index_of_conflict_term``, the
    leader's own last entry of that term (0 if it has none).
    """

    next_index: Index
    match_index: Index
    last_log_index: Index
    success: bool
    acknowledged: Index
    prev_log_index: Index
    conflict_term: Term | None
    conflict_index: Index
    last_index_of_conflict_term: Index
    fast_backup: bool


class Progress(NamedTuple):
    """What `after_append_reply` returns. Always ``match_index < next_index``."""

    next_index: Index
    match_index: Index


class PersistView(NamedTuple):
    """For `must_persist_first`: a message is ready to leave; what of this node's state is not on disk yet?"""

    message: str
    term_unsaved: bool
    vote_unsaved: bool
    entries_unsaved: bool
    promise_unsaved: bool


# ---- commit and apply (§5.3, §5.4.2, §8)


class CommitTimeView(NamedTuple):
    """For `may_commit_now`: is the wait for the old leader's lease over?"""

    now: Seconds
    wait_until: Seconds


class CommitView(NamedTuple):
    """For `leader_commit_index`. ``match_index`` has the leader itself too: the last index that *its own* disk holds.

    ``log_terms[i - 1]`` is the term of entry i; `term_at` spares the arithmetic.
    """

    term: Term
    commit_index: Index
    match_index: Mapping[NodeId, Index]
    majority: int
    last_log_index: Index
    log_terms: Sequence[Term]

    def term_at(self, index: Index) -> Term:
        """Return the term of the entry at ``index``, 0 before the log."""
        return self.log_terms[index - 1] if index else 0

    @classmethod
    def example(cls, *, term: Term, log_terms: Sequence[Term], match: Mapping[NodeId, Index], commit_index: Index = 0) -> CommitView:
        """Return a view with the rest filled in from these four."""
        return cls(term, commit_index, match, len(match) // 2 + 1, len(log_terms), log_terms)


class FollowerCommitView(NamedTuple):
    """For `follower_commit_index`. ``last_new_index``: the last index that this AppendEntries covers."""

    commit_index: Index
    leader_commit: Index
    last_new_index: Index
    last_log_index: Index


class ApplyView(NamedTuple):
    """For `applicable`: how far this node's log, its commit and its state machine are."""

    last_applied: Index
    commit_index: Index
    last_log_index: Index


class DedupView(NamedTuple):
    """For `apply_once`. ``last_request``: the last request of this client in the state machine, ``None`` if there is none."""

    client: str
    request: int
    last_request: int | None
    is_leader: bool


class OutcomeView(NamedTuple):
    """For `client_outcome`: how far an operation came.

    ``stage`` is ``"refused"`` (nothing was appended), ``"appended"`` (this leader gave up before it knew the end),
    ``"applied"``, ``"outdated"`` (the client has had a later request applied) or ``"read"``. ``found``: the key exists.
    """

    op: str
    stage: str
    found: bool
    value: str


class Result(NamedTuple):
    """What `client_outcome` returns: ``"success"``, ``"fail"`` or ``"unknown"``, and the value that a GET answers."""

    outcome: str
    value: str = ""


# ---- clients


class WriteView(NamedTuple):
    """For `accepts_client_write`."""

    role: Role
    now: Seconds
    wait_until: Seconds
    lease_policy: str


class ConfirmView(NamedTuple):
    """For `read_is_confirmed`, in mode ``read-index``: a GET arrived at this leader at ``asked_at``; does it still lead?

    ``after_round`` is the number of the last round of AppendEntries that was sent before the GET arrived; rounds are numbered in
    the order of sending. ``answered`` has the latest round that each peer has answered in this term, whenever the answer came.
    """

    asked_at: Seconds
    after_round: int
    answered: Mapping[NodeId, Round]
    majority: int


class ReadView(NamedTuple):
    """For `may_serve_read`. ``commit_term``: the term of the entry at ``commit_index``, 0 if there is none.

    ``read_index`` was the commit index when the GET arrived; ``confirmed``: in mode ``read-index``, what `read_is_confirmed` said.
    """

    read_mode: str
    role: Role
    lease_is_valid: bool
    term: Term
    commit_term: Term
    commit_index: Index
    last_applied: Index
    now: Seconds
    wait_until: Seconds
    lease_expiry: Seconds | None
    read_index: Index = 0
    confirmed: bool = False


# ---- the lease


class PromiseView(NamedTuple):
    """For `lease_promise`. ``promise_length`` is ``lease * kappa``; ``leader_sent_at`` is a moment of the *leader's* clock."""

    promise_until: Seconds
    now: Seconds
    promise_length: Seconds
    lease: Seconds
    entries: tuple[Entry, ...]
    leader_sent_at: Seconds


class RestartView(NamedTuple):
    """For `promise_at_restart`. ``promised``: the longest promise that was ever on this node's disk, in seconds."""

    now: Seconds
    ran_before: bool
    promised: Seconds
    promise_length: Seconds
    lease: Seconds
    cluster_size: int


class RemainingView(NamedTuple):
    """For `remaining_promise`: this node votes now; what does it still owe to an older leader?"""

    promise_until: Seconds
    now: Seconds
    promise_length: Seconds


class WaitView(NamedTuple):
    """For `lease_wait`: a candidate has won. ``promise_until`` is its own promise, ``ballots`` what it received."""

    now: Seconds
    promise_until: Seconds
    term: Term
    ballots: tuple[Ballot, ...]


class Round(NamedTuple):
    """The latest round of AppendEntries that a follower has answered in this term: when it was sent, when the answer came.

    ``number`` counts the rounds of a node in the order of sending.
    """

    sent_at: Seconds
    received_at: Seconds
    msg: str = ""
    number: int = 0


class LeaseView(NamedTuple):
    """For `lease_expiry`. ``answered`` has the peers that answered in this term; the leader itself answers now.

    ``last_sent_at``: when the latest round was sent, answered or not.
    """

    lease: Seconds
    lease_expiry: Seconds | None
    answered: Mapping[NodeId, Round]
    majority: int
    now: Seconds
    last_sent_at: Seconds
    wait_until: Seconds
    kappa: float


class ValidView(NamedTuple):
    """For `lease_is_valid`. ``lease_expiry`` is ``None`` until a majority has answered."""

    role: Role
    now: Seconds
    wait_until: Seconds
    lease_expiry: Seconds | None


class StepDownView(NamedTuple):
    """For `must_step_down`, a leader. ``disk_busy_since``: when the oldest write that is not on disk began, or ``None``.

    ``heard_at`` is for plain Raft, policy ``no-lease``: when the latest rounds that a majority has answered were sent, the election if
    there is none yet; with a lease, ``lease_expiry`` says the same and more.
    """

    now: Seconds
    lease: Seconds
    lease_expiry: Seconds | None
    wait_until: Seconds
    elected_at: Seconds
    election_max: Seconds
    disk_busy_since: Seconds | None
    lease_policy: str = "wait-then-append"
    heard_at: Seconds = 0.0
