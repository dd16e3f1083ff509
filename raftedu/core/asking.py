"""Asking a cluster until it answers SUCCESS: whom to ask next, when, and what may be concluded in the end (§8).

A client's side of the protocol, pure as the node's: it sends nothing and never waits, it yields what it wants done. `raftedu.live`
does that over gRPC and in real time, `raftedu.sim` in virtual time; so a story told in one of them holds in the other.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import NamedTuple, TypeAlias

from raftedu.core.inputs import ClientRequest
from raftedu.core.outputs import Answer, Outcome
from raftedu.core.types import SET, Index, NodeId, Seconds

__all__ = ["ATTEMPT", "Attempt", "Pursuit", "Reply", "RequestFailed", "Rest", "Seeker", "or_raise"]

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


class Attempt(NamedTuple):
    """Ask ``node`` once and send back its answer; ``None`` if none came within ``timeout`` seconds: it may have been done."""

    node: NodeId
    request: ClientRequest
    timeout: Seconds


class Rest(NamedTuple):
    """Let ``seconds`` pass, then send back ``None``."""

    seconds: Seconds


Pursuit: TypeAlias = Generator[Attempt | Rest, Answer | None, Reply]
"""One operation on its way: yields what to do next, is sent what came of it, returns the reply."""


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


class Seeker:
    """Pursues one operation after another under one client id, and remembers who led.

    Parameters
    ----------
    nodes
        The ids of all nodes.
    now
        The caller's time, in the same seconds as everything here.
    draw
        Returns a random number between two bounds, for the pauses, so that clients do not all come back at once.
    client
        The client id of all its operations. No other, now or later, may use it: a node takes the request ids of
        one client for one row of operations, and ignores what it has already seen.
    first
        Whom to ask first.
    """

    def __init__(
        self, nodes: Iterable[NodeId], *, now: Callable[[], Seconds], draw: Callable[[float, float], float], client: str,
        first: NodeId | None = None,
    ) -> None:  # fmt: skip
        self.nodes = tuple(nodes)
        self.client = client
        self.leader: NodeId | None = first if first in self.nodes else None
        """The node that is believed to lead; it may be outdated."""
        self._now, self._draw = now, draw
        self._turn = 0  # where to go on when nobody knows a leader
        self._request = 0

    def pursue(self, request: ClientRequest, deadline_seconds: Seconds) -> Pursuit:
        """Return the pursuit of ``request``; it ends after SUCCESS, a final refusal or ``deadline_seconds``, whichever is first.

        The client, request and op ids of ``request`` are filled in here: one request id for the operation and all its retries, one
        op id for each. A key or value that is not text is a `TypeError`, before anybody is asked.
        """
        for name, text in (("key", request.key), ("value", request.value)):
            if not isinstance(text, str):
                raise TypeError(f"{name}={text!r:.80} is {type(text).__name__}, and keys and values are text: write {str(text)!r:.80}")
        self._request += 1
        started = self._now()
        named = request._replace(client=self.client, request=self._request)
        return self._pursue(_Operation(named, started, started + deadline_seconds))

    def _pursue(self, op: _Operation) -> Pursuit:
        while (left := op.deadline - self._now()) > 0:
            node = self._choose(op)
            if node is None:
                yield Rest(self._pause(op))
                continue
            answer = self._note(op, node, (yield self._attempt(op, node, left)))
            if answer is not None and answer.outcome == Outcome.SUCCESS:
                self.leader = node
                return self._reply(op, Outcome.SUCCESS, answer.value)
            if answer is not None and answer.final:
                return self._reply(op, Outcome.UNKNOWN if op.doubt else Outcome.FAIL)
            wish = self._learn(op, node, answer)
            if wish is not None:
                yield Rest(wish)
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

    def _attempt(self, op: _Operation, node: NodeId, left: Seconds) -> Attempt:
        op.attempts += 1
        op.asked.add(node)
        request = op.request._replace(op_id=f"{self.client}-{op.request.request}-{op.attempts}")
        return Attempt(node, request, min(ATTEMPT, left))

    def _note(self, op: _Operation, node: NodeId, answer: Answer | None) -> Answer | None:
        if answer is None:
            op.reason = f"node {node} did not answer"
        else:
            op.node, op.index, op.reason = node, answer.index or op.index, answer.reason
        if op.request.op == SET and (answer is None or answer.outcome == Outcome.UNKNOWN):
            op.doubt = True
        return answer

    def _learn(self, op: _Operation, node: NodeId, answer: Answer | None) -> Seconds | None:
        """Take what an answer without success says about whom to ask, and when; return how long to rest first, if at all."""
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
            return self._rest(op, wish)
        if self.leader == node:
            self.leader = None
        return None

    def _pause(self, op: _Operation) -> Seconds:
        """Return how long to rest before the next sweep: as long as the nodes wish, and longer from sweep to sweep, within bounds."""
        growing = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(op.sweeps, 10))
        op.sweeps += 1
        op.patient = (None, 0)
        return self._rest(op, max(growing * self._draw(0.5, 1.0), min(op.wishes, default=0.0)))

    def _rest(self, op: _Operation, seconds: Seconds) -> Seconds:
        op.asked.clear()
        op.wishes.clear()
        return max(0.0, min(seconds, op.deadline - self._now()))

    def _reply(self, op: _Operation, outcome: Outcome, value: str = "") -> Reply:
        reason = "" if outcome == Outcome.SUCCESS else op.reason
        return Reply(outcome, value, op.node, op.index, op.attempts, reason, self._now() - op.started)


def or_raise(op: str, key: str, value: str, reply: Reply) -> Reply:
    """Return the reply of a success; raise `RequestFailed` with any other."""
    if reply.outcome != Outcome.SUCCESS:
        raise RequestFailed(ClientRequest(op, key, value), reply)
    return reply
