"""`AskerPool`: as many askers as there are callers at once, each with a client id of its own, so that callers never wait in line."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from threading import Lock

from raftedu.core.asking import Reply, or_raise
from raftedu.core.inputs import ClientRequest
from raftedu.core.types import NodeId, Seconds
from raftedu.live.asking import Asker, Call

__all__ = ["AskerPool", "or_raise"]


class AskerPool:
    """Askers that are handed out to callers; their ids are unique for ever, for a node remembers them over restarts (§8)."""

    def __init__(
        self, nodes: Iterable[NodeId], call: Call, *, now: Callable[[], Seconds], sleep: Callable[[Seconds], None], name: str | None = None,
    ) -> None:  # fmt: skip
        self._nodes, self._call, self._now, self._sleep = tuple(nodes), call, now, sleep
        self._name = name or uuid.uuid4().hex[:8]
        self._idle: list[Asker] = []
        self._made = 0
        self._lock = Lock()

    def ask(self, op: str, key: str, value: str, deadline: Seconds) -> Reply:
        """Return what came of one operation; see `Asker.ask`."""
        asker = self._hand_out()
        try:
            return asker.ask(ClientRequest(op, key, value), deadline)
        finally:
            with self._lock:
                self._idle.append(asker)

    def _hand_out(self) -> Asker:
        with self._lock:
            if self._idle:
                return self._idle.pop()
            self._made += 1
            return Asker(self._nodes, self._call, now=self._now, sleep=self._sleep, client=f"{self._name}-{self._made}")
