"""What a node may ask its driver for. The driver's duties are listed in `raftedu.core.inputs`."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple, TypeAlias

from raftedu.core.messages import Message
from raftedu.core.types import Entry, HardState, Index, NodeId, Role, Seconds, Term

__all__ = ["Answer", "Outcome", "Output", "Persist", "Say", "Send", "SetTimer"]


class Outcome(StrEnum):
    """What a client may conclude: done, surely never done, or cannot be known (U14)."""

    SUCCESS = "success"
    FAIL = "fail"
    UNKNOWN = "unknown"


class Send(NamedTuple):
    """Send ``message`` to node ``to``, once `Persist` number ``after`` is on disk (0: at once)."""

    to: NodeId
    message: Message
    after: int = 0


class SetTimer(NamedTuple):
    """Wake this node after a duration drawn from ``low`` to ``high`` seconds. ``low < 0`` disarms the timer.

    There are two timers, ``"election"`` and ``"leader"``; a new one replaces the old one of its name.
    """

    timer: str
    low: Seconds
    high: Seconds
    generation: int


class Persist(NamedTuple):
    """Make this durable, as number ``seq``: ``hard`` if not ``None``; then, if ``first`` is not 0, cut the log so that
    ``first - 1`` entries are left (``truncates`` says that there is something to cut) and append ``entries``.
    """

    seq: int
    hard: HardState | None
    first: Index
    entries: tuple[Entry, ...]
    truncates: bool


class Answer(NamedTuple):
    """The answer to the client request ``op_id``. ``leader`` is a hint, ``None`` if this node knows none.

    ``retry_after`` (seconds) says when asking again makes sense, ``None`` if at once elsewhere; ``index`` is the log index
    of a SET that was appended, 0 otherwise. ``final``: asking again, here or elsewhere, can only bring the same answer.
    """

    op_id: str
    client: str
    request: int
    outcome: Outcome
    value: str
    leader: NodeId | None
    retry_after: Seconds | None
    index: Index  # type: ignore[assignment]  # (it hides tuple.index, which nobody needs here)
    reason: str
    final: bool = False


class Say(NamedTuple):
    """An event for the dump; ``term`` and ``role`` are those after it. The table of events is `raftedu.events.table`."""

    event: str
    term: Term
    role: Role
    peer: NodeId | None
    index: Index | None  # type: ignore[assignment]
    facts: Mapping[str, Any]


Output: TypeAlias = Send | SetTimer | Persist | Answer | Say
