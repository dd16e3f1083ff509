"""The vocabulary of schedules: macro steps as small tuples, and each of them in words.

Nodes are named by their place, from 0; words use the ids, from 1. A step knows nothing of what it leads to.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from raftedu.core.messages import AppendEntries, AppendReply, Message, RequestVote, VoteReply
from raftedu.core.types import Index

__all__ = ["READER", "Append", "Crash", "Elect", "Late", "Place", "Read", "Step", "Tick", "Write", "in_words"]

Place: TypeAlias = int

READER = "reader"
"""The client that asks for every GET; its request id says up to which entry SETs had been acknowledged when it asked."""


class Elect(NamedTuple):
    """Node ``i`` campaigns until it is in ``term``, and its last request reaches ``voters``; ``delayed``: their replies come later."""

    i: Place
    voters: tuple[Place, ...]
    term: int
    delayed: bool


class Append(NamedTuple):
    """Leader ``i`` sends a round, and what it sends to ``j`` arrives; ``how``: ``""``, ``"request late"``, ``"reply late"``,
    ``"reply lost"``, or ``"disk stuck"`` for an exchange during which the leader's own disk does not get on.
    """

    i: Place
    j: Place
    how: str


class Late(NamedTuple):
    """A message that was held arrives, and what answers it too. ``again``: it stays, to arrive once more."""

    packet: int
    again: bool


class Write(NamedTuple):
    """A client asks node ``i`` for its SET number ``number``; ``retry``: once more."""

    i: Place
    number: int
    retry: bool


class Read(NamedTuple):
    """A client asks node ``i`` for x, after entry ``since`` was acknowledged: it must not see less."""

    i: Place
    since: Index


class Crash(NamedTuple):
    """Node ``i`` loses all that is not on its disk, and starts again at once."""

    i: Place


class Tick(NamedTuple):
    """Time passes, for all nodes but ``slow`` (-1: for all), and every message that leaders send meanwhile is lost.

    ``stuck``: whose disk does not get on meanwhile (-1: nobody's).
    """

    slow: Place
    stuck: Place = -1


Step: TypeAlias = Elect | Append | Late | Write | Read | Crash | Tick


def in_words(step: Step, packets: list[tuple[Place, Message]], *, timed: bool) -> str:
    """Return the step as a line of a schedule."""
    match step:
        case Elect(i, voters, term, delayed):
            via = f"via {', '.join(str(v + 1) for v in voters)}" if voters else "alone"
            first = "" if timed else "after a long silence, "
            return f"{first}elect {i + 1} {via} at term {term}{' (votes delayed)' if delayed else ''}"
        case Append(i, j, how):
            return f"append {i + 1}→{j + 1}{f' ({how})' if how else ''}"
        case Late(packet, again):
            return f"late {_message(*packets[packet])}{', and it will come again' if again else ''}"
        case Write(i, number, retry):
            return f"{'retry' if retry else 'write'} x=w{number} at {i + 1}"
        case Read(i, since):
            return f"read x at {i + 1}{f', after entry {since} was acknowledged' if since else ''}"
        case Crash(i):
            return f"crash and restart {i + 1}"
        case Tick(slow, stuck):
            late = f", and the clock of {slow + 1} is slow" if slow >= 0 else ""
            return f"time passes{late}{f', and the disk of {stuck + 1} is stuck' if stuck >= 0 else ''}"


_WORDS = {RequestVote: "vote request", VoteReply: "vote", AppendEntries: "append", AppendReply: "reply"}


def _message(to: Place, message: Message) -> str:
    return f"{_WORDS[type(message)]} of term {message.term} {message.sender}→{to + 1}"
