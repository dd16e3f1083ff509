"""The messages between nodes: Figure 2's two RPCs and their replies, with what the lease adds.

Only durations travel, never moments of somebody's clock: a promise is told as what is left of it. The one
exception is ``AppendEntries.sent_at``, the sender's own note to itself; no rule of the reference reads it.

Messages are plain tuples: they are compared, hashed and stored millions of times by the checker.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from raftedu.core.types import Entry, Index, NodeId, Seconds, Term

__all__ = ["AppendEntries", "AppendReply", "Message", "RequestVote", "VoteReply", "is_reply"]


class RequestVote(NamedTuple):
    """A candidate asks for a vote (§5.2, §5.4.1). ``lease`` is the candidate's L: all nodes must share one (R11)."""

    term: Term
    sender: NodeId
    last_log_index: Index
    last_log_term: Term
    lease: Seconds


class VoteReply(NamedTuple):
    """The answer to RequestVote. ``remaining``: seconds left of the voter's promise to an older leader (R3).

    ``refused`` is empty, or says why the request was not even looked at (another lease, R11); such a reply
    carries term 0: it claims nothing.
    """

    term: Term
    sender: NodeId
    granted: bool
    remaining: Seconds
    refused: str = ""


class AppendEntries(NamedTuple):
    """A leader replicates entries; without entries it is a heartbeat (§5.3). ``round`` names the sending (R2)."""

    term: Term
    sender: NodeId
    prev_log_index: Index
    prev_log_term: Term
    entries: tuple[Entry, ...]
    leader_commit: Index
    round: int
    sent_at: Seconds
    lease: Seconds


class AppendReply(NamedTuple):
    """The answer to AppendEntries, naming the ``round`` and ``prev_log_index`` that it answers.

    ``round`` is 0 if the sender was not followed, for then it was promised nothing (R1, R2).

    ``match_index`` counts only on success. On a conflict ``conflict_term`` is the term of the follower's entry at
    ``prev_log_index`` (``None`` if its log is too short) and ``conflict_index`` the first index of that term
    (or one past its log), so that the leader can skip a whole term at a time (end of §5.3).
    """

    term: Term
    sender: NodeId
    success: bool
    match_index: Index
    round: int
    prev_log_index: Index
    conflict_term: Term | None = None
    conflict_index: Index = 0
    refused: str = ""


_REPLIES = (VoteReply, AppendReply)

Message: TypeAlias = RequestVote | VoteReply | AppendEntries | AppendReply


def is_reply(message: Message) -> bool:
    """Return whether the message answers another one."""
    return isinstance(message, _REPLIES)
