"""The words of the paper as types: what a node is, what it remembers, what stands in its log.

This module knows nothing of messages, rules or time. Indexes start at 1; index 0 means "before the log".
Node ids are plain ints; 0 is a legal id, so an absent node is always ``None``, never a falsy id.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple, TypeAlias

__all__ = ["GET", "NO_OP", "SET", "Durable", "Entry", "HardState", "Index", "NodeId", "Role", "Seconds", "Term", "make"]

NodeId: TypeAlias = int
Term: TypeAlias = int
Index: TypeAlias = int
Seconds: TypeAlias = float
"""Protocol seconds: the only seconds a person meets, whatever the pace of the run."""

make = tuple.__new__
"""``make(View, (all, its, fields))``: a named tuple in a third of the time that ``View(...)`` takes, for what every message needs."""

NO_OP = "NO-OP"
SET = "SET"
GET = "GET"


class Role(StrEnum):
    """What a node is at the moment (Figure 4 of the paper shows the moves between them)."""

    FOLLOWER = "follower"
    CANDIDATE = "candidate"
    LEADER = "leader"


class Entry(NamedTuple):
    """One entry of the log: the term of the leader that appended it, and what it does.

    ``op`` is ``"SET"`` or ``"NO-OP"``, or ``"GET"`` where reads go through the log; ``client`` and ``request`` name the operation
    of a client, so that a retry is applied only once (§8). An empty ``client`` means that the operation cannot be told from its retries.
    """

    term: Term
    op: str = NO_OP
    key: str = ""
    value: str = ""
    client: str = ""
    request: int = 0

    @property
    def words(self) -> str:
        """The operation in the course's words: ``SET x 1``, ``GET x`` or ``NO-OP``."""
        if self.op == SET:
            return f"{SET} {self.key} {self.value}"
        return f"{GET} {self.key}" if self.op == GET else self.op


class HardState(NamedTuple):
    """What must survive a crash besides the log (Figure 2, and rule R10 for ``promised``).

    ``promised`` is the longest promise, in seconds, that this node ever gave; after a restart it waits that
    long, because it no longer knows when the promise began.
    """

    term: Term = 0
    voted_for: NodeId | None = None
    promised: Seconds = 0.0


class Durable(NamedTuple):
    """All that a node finds on its disk when it starts. ``ran_before`` is false on its very first start."""

    hard: HardState = HardState()
    entries: tuple[Entry, ...] = ()
    ran_before: bool = False
