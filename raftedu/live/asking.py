"""Asking a cluster until it answers SUCCESS: whom to ask next, when, and what may be concluded in the end (§8).

`Client` asks over gRPC and `Cluster` inside its own process; both leave the persistence to an `Asker`. It knows nothing of
connections: time, sleep and the single attempt are given to it, so that tests play any story in no time.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeAlias

from raftedu.core.inputs import ClientRequest
from raftedu.core.outputs import Answer, Outcome
from raftedu.core.types import SET, Index, NodeId, Seconds

__all__ = ["Asker", "Call", "Reply", "RequestFailed"]

Call: TypeAlias = Callable[[NodeId, ClientRequest, Seconds], Answer | None]
"""One attempt at one node, in at most so many seconds; ``None`` if it left and nothing came back: it may have been done."""

ATTEMPT: Seconds = 2.0
"""An attempt is given up after this. Asking again is harmless, for a retry is applied once (§8)."""

MOST_IN_A_ROW = 3
"""A leader that wants to be asked again later gets its will so many times before the others are asked too."""

FIRST_PAUSE: Seconds = 0.05
LONGEST_PAUSE: Seconds = 0.8


class Reply(NamedTuple):
    """What came of one operation, however many attempts it took.

    ``outcome`` is ``success``, ``fail`` (surely not done) or ``unknown`` (a SET that may have been done, or may yet be);
    ``value`` what a GET read; ``node`` who answered last, or could not be reached, ``None`` if no attempt came back; ``index`` where
    a SET stands in the log, 0 if that is not known; ``reason`` is in words, empty on success; ``took`` is in seconds.
    """

    outcome: Outcome
    value: str
    node: NodeId | None
    index: Index  # type: ignore[assignment]  # (it hides tuple.index, which nobody needs here)
    attempts: int
    reason: str
    took: Seconds


class RequestFailed(RuntimeError):
    """A SET or GET ended without success; ``reply`` says whether a SET is surely not done, or cannot be known."""

    def __init__(self, request: ClientRequest, reply: Reply) -> None:
        doubt = " (it may have been done, or may yet be)" if reply.outcome == Outcome.UNKNOWN else ""
        super().__init__(f"{request.op} {request.key!r:.80}: {reply.outcome}{doubt}: {reply.reason}")
        self.request, self.reply = request, reply


class _Operation:
    """What is known of one operation while it goes on."""

    def __init__(self, request: ClientRequest, started: Seconds, deadline: Seconds) -> None:
        self.request, self.started, self.deadline = request, started, deadline
        self.attempts = 0
        self.doubt = False  # an attempt may have been appended somewhere; no later answer can undo that (U14)
        self.asked: set[NodeId] = set()  # in this sweep over the nodes
        self.wishes: list[Seconds] = []  # after how long those who answered in this sweep want to be asked again
        self.sweeps = 0  # that came to nothing
        self.patient: tuple[NodeId | None, int] = (None, 0)  # the leader that was given time, and how often in a row
        self.node: NodeId | None = None  # who answered last
        self.index: Index = 0
        self.reason = ""


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
        self.nodes = tuple(nodes)
        self.client = client
        self.leader: NodeId | None = first if first in self.nodes else None
        """The node that is believed to lead; it may be outdated."""
        self._call, self._now, self._sleep = call, now, sleep
        self._rng = rng or random.Random(client)
        self._turn = 0  # where to go on when nobody knows a leader
        self._request = 0
        self._lock = threading.Lock()

    def ask(self, request: ClientRequest, deadline_seconds: Seconds) -> Reply:
        """Return what came of ``request``, after SUCCESS, a final refusal or ``deadline_seconds``, whichever is first.

        The client, request and op ids of ``request`` are filled in here: one request id for the operation and all its retries, one
        op id for each. A second caller waits until the first has its reply.
        """
        with self._lock:
            self._request += 1
            started = self._now()
            named = request._replace(client=self.client, request=self._request)
            return self._pursue(_Operation(named, started, started + deadline_seconds))

    def _pursue(self, op: _Operation) -> Reply:
        while (left := op.deadline - self._now()) > 0:
            node = self._choose(op)
            if node is None:
                self._pause(op)
                continue
            answer = self._attempt(op, node, left)
            if answer is not None and answer.outcome == Outcome.SUCCESS:
                self.leader = node
                return self._reply(op, Outcome.SUCCESS, answer.value)
            if answer is not None and answer.final:
                return self._reply(op, Outcome.UNKNOWN if op.doubt else Outcome.FAIL)
            self._learn(op, node, answer)
        took = self._now() - op.started
        op.reason = f"no success in {took:.3f} s and {op.attempts} attempts; {op.reason or 'nobody was asked'}"
        return self._reply(op, Outcome.UNKNOWN if op.doubt else Outcome.FAIL)

    def _choose(self, op: _Operation) -> NodeId | None:
        """Return whom to ask next, ``None`` if everybody was asked in this sweep.

        No node is asked twice in a sweep, so two nodes that point at each other cost one attempt each.
        """
        if self.leader is not None and self.leader not in op.asked:
            return self.leader
        for step in range(len(self.nodes)):
            node = self.nodes[(self._turn + step) % len(self.nodes)]
            if node not in op.asked:
                self._turn += step + 1
                return node
        return None

    def _attempt(self, op: _Operation, node: NodeId, left: Seconds) -> Answer | None:
        op.attempts += 1
        op.asked.add(node)
        request = op.request._replace(op_id=f"{self.client}-{op.request.request}-{op.attempts}")
        answer = self._call(node, request, min(ATTEMPT, left))
        if answer is None:
            op.reason = f"node {node} did not answer"
        else:
            op.node, op.index, op.reason = node, answer.index or op.index, answer.reason
        if op.request.op == SET and (answer is None or answer.outcome == Outcome.UNKNOWN):
            op.doubt = True
        return answer

    def _learn(self, op: _Operation, node: NodeId, answer: Answer | None) -> None:
        """Take what an answer without success says about whom to ask, and when."""
        hint = answer.leader if answer is not None and answer.leader in self.nodes else None
        wish = answer.retry_after if answer is not None else None
        if wish is not None or hint is not None:
            op.wishes.append(wish or 0.0)
        if hint is not None and hint != node:
            # A hint back to a node that was just asked is news from before; the others may know better.
            self.leader = self.leader if hint in op.asked else hint
        elif hint == node and wish is not None and op.patient != (node, MOST_IN_A_ROW):
            # It leads and says when it can answer. A leader that was cut off says so too, hence not for ever.
            op.patient = (node, op.patient[1] + 1 if op.patient[0] == node else 1)
            op.sweeps = 0
            self.leader = node
            self._rest(op, wish)
            return
        if self.leader == node:
            self.leader = None

    def _pause(self, op: _Operation) -> None:
        """Rest before the next sweep: as long as the nodes wish, and longer from sweep to sweep, within bounds."""
        growing = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(op.sweeps, 10))
        op.sweeps += 1
        op.patient = (None, 0)
        self._rest(op, max(growing * self._rng.uniform(0.5, 1.0), min(op.wishes, default=0.0)))

    def _rest(self, op: _Operation, seconds: Seconds) -> None:
        op.asked.clear()
        op.wishes.clear()
        self._sleep(max(0.0, min(seconds, op.deadline - self._now())))

    def _reply(self, op: _Operation, outcome: Outcome, value: str = "") -> Reply:
        reason = "" if outcome == Outcome.SUCCESS else op.reason
        return Reply(outcome, value, op.node, op.index, op.attempts, reason, self._now() - op.started)
