"""What an obligation needs to know about a turn, in the paper's words: which reply left, who had voted, what was known before."""

from __future__ import annotations

from raftedu.checker.machine import Left, Turn, Wake
from raftedu.core.messages import AppendEntries, AppendReply, Message, RequestVote, VoteReply
from raftedu.core.types import Entry, Index, NodeId, Role, Seconds, Term

__all__ = [
    "NEARLY", "append_received", "append_reply", "appends", "elected", "granted", "leads_on", "moment", "reply_received", "same_prefix",
    "term_at", "vote_reply", "voters", "woken",
]  # fmt: skip

NEARLY: Seconds = 1e-6


def term_at(log: tuple[Entry, ...], index: Index) -> Term | None:
    """Return the term of the entry at ``index``, 0 before the log, ``None`` beyond it."""
    if index == 0:
        return 0
    return log[index - 1].term if 0 < index <= len(log) else None


def moment(turn: Turn, seconds_from_then: Seconds) -> Seconds:
    """Return the moment of the node's clock that the snapshot before the turn meant."""
    return turn.now - turn.passed + seconds_from_then


def woken(turn: Turn, what: str) -> bool:
    """Return whether this is what happened, of the things that need no message."""
    return isinstance(turn.happens, Wake) and turn.happens.what == what


def _reply(turn: Turn, kind: type[Message]) -> Left | None:
    for left in turn.left:
        if type(left.message) is kind:
            return left
    return None


def vote_reply(turn: Turn) -> tuple[RequestVote, VoteReply, Left] | None:
    """Return the request, the reply and how it left, if the turn answered a vote request."""
    if type(turn.happens) is not RequestVote:
        return None
    left = _reply(turn, VoteReply)
    return (turn.happens, left.message, left) if left is not None and isinstance(left.message, VoteReply) else None


def granted(turn: Turn) -> tuple[RequestVote, VoteReply, Left] | None:
    """Return the same if the vote was given."""
    answered = vote_reply(turn)
    return answered if answered is not None and answered[1].granted else None


def append_received(turn: Turn) -> AppendEntries | None:
    """Return the AppendEntries that the turn began with."""
    return turn.happens if type(turn.happens) is AppendEntries else None


def append_reply(turn: Turn) -> tuple[AppendEntries, AppendReply, Left] | None:
    """Return the request, the reply and how it left, if the turn answered an AppendEntries."""
    request = append_received(turn)
    left = _reply(turn, AppendReply) if request is not None else None
    return (request, left.message, left) if request is not None and left is not None and isinstance(left.message, AppendReply) else None


def reply_received(turn: Turn) -> AppendReply | None:
    """Return the AppendReply that the turn began with, if it is one of the leader's own term to a leader."""
    m = turn.happens
    if type(m) is AppendReply and turn.old.role is Role.LEADER and m.term == turn.old.term:
        return m
    return None


def appends(turn: Turn) -> list[tuple[NodeId, AppendEntries]]:
    """Return the AppendEntries that left."""
    return [(left.to, left.message) for left in turn.left if isinstance(left.message, AppendEntries)]


def elected(turn: Turn) -> bool:
    """Return whether the node leads now, and did not lead this term before."""
    return turn.new.role is Role.LEADER and not (turn.old.role is Role.LEADER and turn.old.term == turn.new.term)


def leads_on(turn: Turn) -> bool:
    """Return whether the node led this term before and still does."""
    return turn.new.role is Role.LEADER and turn.old.role is Role.LEADER and turn.old.term == turn.new.term


def voters(turn: Turn) -> list[NodeId]:
    """Return the different nodes whose vote in this term the node has received, its own among them."""
    s = turn.new
    return sorted({ballot.voter for ballot in s.ballots if ballot.granted and ballot.term == s.term})


def same_prefix(a: tuple[Entry, ...], b: tuple[Entry, ...]) -> Index:
    """Return up to which index two logs hold the same entries."""
    same = 0
    while same < min(len(a), len(b)) and a[same] == b[same]:
        same += 1
    return same
