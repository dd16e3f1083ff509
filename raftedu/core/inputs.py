"""What may happen to a node. A driver (threads and gRPC, the simulator, the checker) turns its world into these.

A driver's duties, in this order, for every batch of inputs:

1. take the inputs that are there, then read the clock **once**, after the last one was taken (R6);
2. ``outputs = node.step(input, now)`` for each;
3. carry out every `Persist`: write, flush, fsync;
4. only then send each `Send` whose ``after`` is that ``seq``, and ``node.step(Persisted(seq), now)``; a `Send` with ``after == 0``
   may go at once;
5. arm each `SetTimer` by drawing a duration from its range; a new one of the same name replaces the old;
6. write each `Say` to the dump, and hand each `Answer` to its client.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from raftedu.core.messages import Message

__all__ = ["ClientRequest", "Input", "Persisted", "Receive", "TimerFired"]


class Receive(NamedTuple):
    """A message arrived. ``msg`` is its id in this run, for the dump only; the sender is in the message."""

    message: Message
    msg: str = ""


class TimerFired(NamedTuple):
    """A timer ran out. ``generation`` is that of the `SetTimer` that armed it; an outdated one is ignored."""

    timer: str
    generation: int


class ClientRequest(NamedTuple):
    """A client asks for ``op`` ``"SET"`` or ``"GET"``. ``op_id`` names this attempt, for the dump and the answer."""

    op: str
    key: str
    value: str = ""
    client: str = ""
    request: int = 0
    op_id: str = ""


class Persisted(NamedTuple):
    """Everything up to `Persist` number ``seq`` is on disk."""

    seq: int


Input: TypeAlias = Receive | TimerFired | ClientRequest | Persisted
