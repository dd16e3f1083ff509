"""Asking a cluster over gRPC or inside this process, in real time; whom to ask, and when, decides `raftedu.core.asking`.

It knows nothing of connections: time, sleep and the single attempt are given to it, so that tests play any story in no time.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable
from typing import TypeAlias

from raftedu.core.asking import ATTEMPT, Attempt, Reply, RequestFailed, Rest, Seeker
from raftedu.core.inputs import ClientRequest
from raftedu.core.outputs import Answer
from raftedu.core.types import NodeId, Seconds

__all__ = ["ATTEMPT", "Asker", "Call", "Reply", "RequestFailed"]

Call: TypeAlias = Callable[[NodeId, ClientRequest, Seconds], Answer | None]
"""One attempt at one node, in at most so many seconds; ``None`` if it left and nothing came back: it may have been done."""


class Asker:
    """Asks for one operation after another under one client id, and remembers who led.

    Parameters
    ----------
    nodes
        The ids of all nodes.
    call
        One attempt at one node.
    now, sleep
        The caller's time, in the same seconds as everything here.
    client
        The client id of all its operations. No other asker, now or later, may use it: a node takes the request ids of
        one client for one row of operations, and ignores what it has already seen.
    first
        Whom to ask first.
    rng
        Draws the jitter of the pauses, so that clients do not all come back at once.
    """

    def __init__(
        self, nodes: Iterable[NodeId], call: Call, *, now: Callable[[], Seconds], sleep: Callable[[Seconds], None], client: str,
        first: NodeId | None = None, rng: random.Random | None = None,
    ) -> None:  # fmt: skip
        self._call, self._sleep = call, sleep
        self._seeker = Seeker(nodes, now=now, draw=(rng or random.Random(client)).uniform, client=client, first=first)
        self._lock = threading.Lock()

    @property
    def leader(self) -> NodeId | None:
        """The node that is believed to lead; it may be outdated."""
        return self._seeker.leader

    def ask(self, request: ClientRequest, deadline_seconds: Seconds) -> Reply:
        """Return what came of ``request``, after SUCCESS, a final refusal or ``deadline_seconds``, whichever is first.

        The client, request and op ids of ``request`` are filled in here. A second caller waits until the first has its reply.
        """
        with self._lock:
            pursuit = self._seeker.pursue(request, deadline_seconds)
            answer: Answer | None = None
            try:
                while True:
                    answer = self._do(pursuit.send(answer))
            except StopIteration as end:
                reply: Reply = end.value
                return reply

    def _do(self, wish: Attempt | Rest) -> Answer | None:
        if isinstance(wish, Attempt):
            return self._call(*wish)
        self._sleep(wish.seconds)
        return None
