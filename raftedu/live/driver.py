"""`Driver`: carries out for one node, in the node's own thread, what the pure core asks for.

Each turn: take what has come, read the clock, step, write and fsync the whole batch, and only then send what had to wait for the disk
(the duties listed in `raftedu.core.inputs`). It knows the inbox, the disk, the dump and the clock; what lies beyond, gRPC and
clients, it knows only as `Outside`.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping
from time import monotonic
from typing import Any, Protocol

from raftedu.core.config import Config
from raftedu.core.inputs import Persisted, Receive, TimerFired
from raftedu.core.messages import Message
from raftedu.core.node import Node, Status
from raftedu.core.outputs import Answer, Output, Persist, Say, Send, SetTimer
from raftedu.core.state import ELECTION
from raftedu.core.types import NodeId, Seconds
from raftedu.events import DumpWriter, message_facts, persisted_facts
from raftedu.live.clock import NodeClock
from raftedu.live.inbox import Arrival, Inbox, Reply
from raftedu.live.storage import Storage

__all__ = ["Driver", "Outside", "Timeouts"]

_MOST = 1_000  # arrivals in one turn
_NAP = 0.2  # the longest sleep in wall seconds: the dump is flushed at least that often


class Outside(Protocol):
    """What a driver needs of the world; all of it is called from the node's thread."""

    cuts: set[NodeId]

    def send(self, to: NodeId, message: Message, msg: str, reply: Reply | None) -> None:
        """Take a message that may leave now; ``reply`` is the way back of the request it answers, if it answers one."""

    def flush_sends(self) -> None:
        """Let all that was taken go."""

    def answer(self, op_id: str, answer: Answer | None) -> None:
        """Hand an answer to the client that waits for it."""


class Timeouts:
    """Where random durations come from; elections can be directed for a lecture."""

    def __init__(self, node: NodeId, seed: int | None, first: Seconds | None) -> None:
        self._random = random.Random(None if seed is None else f"{seed}/{node}")
        self._first = first
        self.fixed: Seconds | None = None
        """How long the node waits for its leader from its next election timer on; ``None``: a random time, as it should."""

    def draw(self, wish: SetTimer) -> Seconds:
        """Return the duration for a timer: random in its range, unless somebody directs elections."""
        seconds = self._random.uniform(wish.low, wish.high)
        if wish.timer != ELECTION:
            return seconds
        first, self._first = self._first, None
        return next((s for s in (first, self.fixed) if s is not None), seconds)


class Driver:
    """The turns of one node. Only its own thread calls it, but for the properties, `wish_step` and `wake`."""

    def __init__(
        self, core: Node, config: Config, storage: Storage, dump: DumpWriter, clock: NodeClock, inbox: Inbox,
        timeouts: Timeouts, outside: Outside, incarnation: int,
    ) -> None:  # fmt: skip
        self.core, self.config, self.incarnation = core, config, incarnation
        self._storage, self._dump, self._inbox, self._timeouts, self._outside = storage, dump, inbox, timeouts, outside
        self._cluster_clock, self._clock = clock.cluster_clock, clock
        self._timers: dict[str, tuple[Seconds, int]] = {}
        self._steps: list[threading.Event] = []
        self._was_frozen = False
        self.holds = False
        """Whether the node has seen that its clock stands still, and is in the middle of nothing."""
        self._sent = 0
        self._at = 0.0
        """When what is being told happened; read once for all that happens at once, and always before it can be seen outside."""
        self.published: tuple[Status, Seconds] = (core.status(self._clock.now()), self._clock.now())
        """How the node stood after its last turn, and when that was on its clock."""

    @property
    def next_timer(self) -> Seconds | None:
        """The earliest deadline of the node's timers, on its own clock."""
        return min((deadline for deadline, _ in list(self._timers.values())), default=None)

    def wish_step(self) -> threading.Event:
        """Let a frozen node do one thing; the event is set when it is done."""
        done = threading.Event()
        self._steps.append(done)
        self._inbox.wake()
        return done

    def begin(self) -> None:
        """Start the core."""
        clock = self._cluster_clock
        run = {"incarnation": self.incarnation, "utc_zero": clock.utc_zero, "pace": clock.pace}
        outputs = self.core.start(self._clock.now())
        begun = [o._replace(facts={**run, **o.facts}) if isinstance(o, Say) and o.event == "started" else o for o in outputs]
        self._carry_out([(o, None) for o in begun])
        self._publish()

    def turn(self) -> None:
        """Take what has come, let the core decide, carry it out; while frozen, only as many things as were wished for."""
        due = self.next_timer
        notes = self._inbox.wait(self._sleep(due))
        self.holds = False
        frozen = self._cluster_clock.frozen
        steps, self._steps = self._steps, []
        arrivals = self._inbox.take(min(1, len(steps)) if frozen else _MOST)
        self._at = self._cluster_clock.now()
        for note in notes:
            self._tell(note.event, note.peer, note.facts)
        if not frozen and not self._was_frozen:  # what was held for the room to look at is not late
            self._look_for_stall(due, arrivals)
        self._was_frozen = frozen
        # All arrivals were taken before the clock is read, so none is judged by a moment before it came [R6].
        self._carry_out([output for arrival in arrivals for output in self._take(arrival)])
        if not frozen or (steps and not arrivals):
            self._fire_timers()
        self._dump.maybe_flush()
        self._publish()
        self.holds = frozen
        for done in steps:
            done.set()

    def _sleep(self, due: Seconds | None) -> float:
        if self._cluster_clock.frozen:
            return 0.0 if self._steps else _NAP
        if self._inbox.oldest is not None:
            return 0.0
        return _NAP if due is None else min(_NAP, self._clock.wall_until(due))

    def _take(self, arrival: Arrival) -> list[tuple[Output, Reply | None]]:
        if isinstance(arrival.input, Receive):
            message, msg = arrival.input
            self._tell("received", message.sender, message_facts(message, msg))
        return [(output, arrival.reply) for output in self.core.step(arrival.input, self._clock.now())]

    def _fire_timers(self) -> None:
        now = self._clock.now()
        for timer, (deadline, generation) in list(self._timers.items()):
            if deadline <= now and self._timers.get(timer) == (deadline, generation):  # one firing may replace the other timer
                del self._timers[timer]
                self.write("timer_fired", None, {"timer": timer})
                self._carry_out([(output, None) for output in self.core.step(TimerFired(timer, generation), now)])

    def _carry_out(self, outputs: list[tuple[Output, Reply | None]]) -> None:
        """Do what the core asks for, in the order that safety needs: what waits for the disk leaves after the fsync."""
        while outputs:
            late: list[tuple[Send, Reply | None]] = []
            writes: list[Persist] = []
            self._at = self._cluster_clock.now()
            for output, reply in outputs:
                match output:
                    case Say():
                        self._dump.write(self._at, output)
                    case Persist():
                        writes.append(output)
                    case Send() if output.after:
                        late.append((output, reply))
                    case Send():
                        self._send(output, reply)
                    case SetTimer():
                        self._set_timer(output)
                    case Answer():
                        self._outside.answer(output.op_id, output)
            self._outside.flush_sends()
            if writes:
                self._sync(writes)
            for send, reply in late:
                self._send(send, reply)
            self._outside.flush_sends()
            done = self.core.step(Persisted(writes[-1].seq), self._clock.now()) if writes else []
            outputs = [(output, None) for output in done]

    def _sync(self, writes: list[Persist]) -> None:
        """Make the batch durable with one fsync."""
        for persist in writes:
            self._storage.write(persist)
        self._storage.sync()
        self._at = self._cluster_clock.now()
        for persist in writes:
            self._tell("persisted", None, persisted_facts(persist))

    def _send(self, send: Send, reply: Reply | None) -> None:
        self._sent += 1
        msg = f"{self.core.state.node}.{self.incarnation}.{self._sent}"
        facts = message_facts(send.message, msg)
        self._tell("sent", send.to, facts)
        if send.to in self._outside.cuts:
            self._tell("dropped", send.to, facts)
        else:
            self._outside.send(send.to, send.message, msg, reply)

    def _set_timer(self, wish: SetTimer) -> None:
        self._timers.pop(wish.timer, None)
        if wish.low >= 0:
            deadline = self._clock.now() + self._timeouts.draw(wish)
            self._timers[wish.timer] = (deadline, wish.generation)
            self._tell("timer_set", None, {"timer": wish.timer, "deadline": deadline})

    def write(self, event: str, peer: NodeId | None, facts: Mapping[str, Any]) -> None:
        """Write an event of the driver's own into the dump."""
        self._at = self._cluster_clock.now()
        self._tell(event, peer, facts)

    def _tell(self, event: str, peer: NodeId | None, facts: Mapping[str, Any]) -> None:
        state = self.core.state
        self._dump.write(self._at, Say(event, state.term, state.role, peer, None, facts))

    def _look_for_stall(self, due: Seconds | None, arrivals: list[Arrival]) -> None:
        """Say so when this thread did not get to run for longer than a heartbeat: the picture must show why a lease was lost."""
        late = 0.0 if due is None else self._clock.now() - due
        waited = (monotonic() - arrivals[0].at) / self._cluster_clock.pace if arrivals else 0.0
        if max(late, waited) > self.config.heartbeat:
            self._tell("stall", None, {"late": max(late, waited)})

    def _publish(self) -> None:
        now = self._clock.now()
        self._storage.note(self.core.state.commit_index, self.core.state.last_applied)
        self.published = (self.core.status(now), now)
