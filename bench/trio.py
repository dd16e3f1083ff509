"""Three cores of raftedu wired together by hand, without disk, network, clock or dump: what the protocol alone costs."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from raftedu.core.config import Config
from raftedu.core.inputs import ClientRequest, Input, Persisted, Receive, TimerFired
from raftedu.core.node import Node
from raftedu.core.outputs import Answer, Outcome, Output, Persist, Send, SetTimer
from raftedu.core.types import NodeId

__all__ = ["Trio"]


class Trio:
    """Nodes 1 to 3; node 1 leads. Every message arrives at once, in order, and every write is durable at once."""

    def __init__(self) -> None:
        config = Config.of(3)
        self._nodes = {node: Node(node, config) for node in config.nodes}
        self._mail: deque[tuple[NodeId, Input]] = deque()
        self._timers: dict[NodeId, int] = {}
        self._now = 0.0
        self.done = 0
        """How many SETs were answered with success."""
        for node, core in self._nodes.items():
            self._carry_out(node, core.start(self._now))
        self._now = config.election_max
        self._step(1, TimerFired("election", self._timers[1]))

    def set(self, key: str, value: str) -> None:
        """Commit one SET and apply it on all three nodes."""
        self._now += 0.001
        self._step(1, ClientRequest("SET", key, value, "bench", self.done + 1, "op"))

    def _step(self, node: NodeId, input: Input) -> None:
        self._mail.append((node, input))
        while self._mail:
            node, input = self._mail.popleft()
            self._carry_out(node, self._nodes[node].step(input, self._now))

    def _carry_out(self, node: NodeId, outputs: Iterable[Output]) -> None:
        for output in outputs:
            match output:
                case Persist():
                    self._mail.append((node, Persisted(output.seq)))
                case Send():
                    self._mail.append((output.to, Receive(output.message, "")))
                case SetTimer() if output.timer == "election":
                    self._timers[node] = output.generation
                case Answer():
                    self.done += output.outcome == Outcome.SUCCESS
