"""The inbox of a node thread: the one way in. Anybody may put something; only the node's own thread waits and takes."""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any, NamedTuple, TypeAlias

from raftedu.core.inputs import Input
from raftedu.core.messages import Message
from raftedu.core.types import NodeId

__all__ = ["Arrival", "Inbox", "Note", "Reply"]

Reply: TypeAlias = Callable[[Message, str], None]


class Arrival(NamedTuple):
    """An input, and for a request of a peer the way back for the reply to it. ``at``: the wall time when it came."""

    input: Input
    reply: Reply | None = None
    at: float = 0.0


class Note(NamedTuple):
    """Something for the node's dump that is no input to the protocol: an injected fault, a message that was lost."""

    event: str
    peer: NodeId | None
    facts: Mapping[str, Any]


class Inbox:
    """A queue of arrivals. What has come but was not taken is held, in order: that is how a frozen cluster keeps its messages."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Note | None] = queue.SimpleQueue()
        self._held: deque[Arrival] = deque()

    def put(self, item: Arrival | Note) -> None:
        """Add something and wake the node."""
        if isinstance(item, Arrival):
            # Held at once, not when the node wakes: whoever steps a frozen cluster must see what has come.
            self._held.append(Arrival(item.input, item.reply, monotonic()))
            self._queue.put(None)
        else:
            self._queue.put(item)

    def wake(self) -> None:
        """Wake the node without giving it anything: what it had planned no longer holds."""
        self._queue.put(None)

    def wait(self, timeout: float) -> list[Note]:
        """Sleep until something comes, at most ``timeout`` wall seconds; return the notes that are there."""
        notes: list[Note] = []
        try:
            item = self._queue.get(timeout=timeout) if timeout > 0 else self._queue.get_nowait()
            while True:
                if item is not None:
                    notes.append(item)
                item = self._queue.get_nowait()
        except queue.Empty:
            return notes

    def take(self, most: int) -> list[Arrival]:
        """Return up to ``most`` of the arrivals, oldest first."""
        return [self._held.popleft() for _ in range(min(most, len(self._held)))]

    @property
    def oldest(self) -> float | None:
        """When the oldest arrival came that was not taken yet (wall time), ``None`` if there is none."""
        try:
            return self._held[0].at
        except IndexError:  # the node took it while we looked
            return None
