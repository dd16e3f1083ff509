"""`Life`: the driver of one node from a start to its crash, in virtual time. Its duties are those of `raftedu.core.inputs`.

It turns what the core asks for into events of the `World`'s queue. One queue event is one input, so "read the clock after the
last input was taken" (R6) holds by itself; a node that was paused takes all that has come meanwhile first, and reads its clock then.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import PurePath
from traceback import extract_tb
from typing import Any, Protocol, TypeAlias

from raftedu.core.inputs import ClientRequest, Input, Persisted, Receive, TimerFired
from raftedu.core.messages import Message
from raftedu.core.node import Node
from raftedu.core.outputs import Answer, Output, Persist, Say, Send, SetTimer
from raftedu.core.state import ELECTION
from raftedu.core.types import NodeId, Seconds, make
from raftedu.events import message_facts, persisted_facts
from raftedu.sim.clock import NodeClock
from raftedu.sim.disk import Disk
from raftedu.sim.network import Link
from raftedu.sim.timeouts import Timeouts

__all__ = ["Answered", "Around", "Life", "Onlooker", "Packet"]

Answered: TypeAlias = Callable[[Answer | None], None]
Onlooker: TypeAlias = Callable[["Life", Input | None, list[Output]], None]
"""Called after each step of a node with what happened to it (``None``: it started) and what it asks for, before that is carried out."""

_NONE: Mapping[str, Any] = {}

Packet: TypeAlias = tuple[Message, str, Mapping[str, Any], "Life"]
"""A message on its way: itself, its id, its facts, and who sent it."""


class Around(Protocol):
    """What a life needs of the world around it."""

    now: Seconds
    onlooker: Onlooker | None

    def at(self, time: Seconds, action: Callable[..., None], *args: Any) -> None:
        """Let ``action(*args)`` happen at ``time``."""

    def transmit(self, to: NodeId, packet: Packet) -> None:
        """Take a message for which the link is not a plain one."""

    def arrive(self, to: NodeId, packet: Packet) -> None:
        """Hand a message over."""

    def failed(self, life: Life) -> None:
        """Take note that a life ended by itself."""


class Life:
    """One node from a start to its end."""

    def __init__(
        self, core: Node, incarnation: int, clock: NodeClock, disk: Disk, links: dict[NodeId, Link], timeouts: Timeouts, world: Around,
        write: Callable[[Seconds, Say], None],
    ) -> None:  # fmt: skip
        self.core, self.node, self.incarnation = core, core.state.node, incarnation
        self.clock, self.disk, self.timeouts, self.listening = clock, disk, timeouts, core.state.listening
        self.ended = self.paused = False
        self.error: Exception | None = None
        """What ended this life against its will."""
        self.clients: dict[str, Answered] = {}
        """Who waits for the answer to which attempt."""
        self.unreachable: set[NodeId] = set()
        """Peers of which ``rpc_failed`` was said since they last answered."""
        self._world, self._links, self._write = world, links, write
        self._at, self._arrive, self._onlooker = world.at, world.arrive, world.onlooker
        self._sender, self._sent = f"{self.node}.{incarnation}.", 0
        self._late: deque[Send] = deque()
        self._timers: dict[str, tuple[Seconds, int]] = {}
        self._wakes: dict[str, Seconds] = {}  # when the queue will wake it for a timer, at the latest
        self._inbox: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()

    @property
    def now(self) -> Seconds:
        """The time on its own clock."""
        return self.clock.at(self._world.now)

    def begin(self, run: dict[str, Any]) -> None:
        """Start the core; ``run`` are the facts of the run for ``started``."""
        outputs = self.core.start(self.now)
        if self._onlooker is not None:
            self._onlooker(self, None, outputs)
        self._carry_out([o._replace(facts={**run, **o.facts}) if type(o) is Say and o.event == "started" else o for o in outputs])

    # ---- what may happen to it, called from the queue

    def receive(self, packet: Packet) -> None:
        """Take a message."""
        if self.paused:
            self._inbox.append((self.receive, (packet,)))
            return
        message, msg, facts, _ = packet
        if self.unreachable:
            self.unreachable.discard(message.sender)
        if self.listening:
            state = self.core.state
            self._write(self._world.now, make(Say, ("received", state.term, state.role, message.sender, None, facts)))
        self._take(make(Receive, (message, msg)))

    def request(self, request: ClientRequest) -> None:
        """Take the request of a client."""
        if self.paused:
            self._inbox.append((self.request, (request,)))
        else:
            self._take(request)

    def wake(self, timer: str, at: Seconds) -> None:
        """Look whether a timer is due."""
        if self.ended or self.paused or self._wakes.get(timer) != at:
            return
        del self._wakes[timer]
        armed = self._timers.get(timer)
        if armed is None:
            return
        due = self.clock.when(armed[0])
        if due > self._world.now:
            self._wake_at(timer, due)
        else:
            self.fire(timer)

    def fire(self, timer: str) -> None:
        """Let a timer run out now; nothing if it is not armed."""
        armed = self._timers.pop(timer, None)
        if armed is not None:
            self.say("timer_fired", None, {"timer": timer})
            self._take(TimerFired(timer, armed[1]))

    def synced(self, sync: int) -> None:
        """Take note that an fsync has ended."""
        if self.ended or self.disk.syncs != sync:
            return
        if self.paused:
            self._inbox.append((self.synced, (sync,)))
            return
        done = self.disk.finish()
        for persist in done:
            self.say("persisted", None, persisted_facts(persist))
        last = done[-1].seq
        self._take(Persisted(last), release=last)
        self._sync()

    # ---- faults

    def look_at_clock(self) -> None:
        """Wake for every timer by what the clock shows now."""
        self._wakes.clear()
        for timer, (deadline, _) in self._timers.items():
            self._wake_at(timer, max(self._world.now, self.clock.when(deadline)))

    def resume(self) -> None:
        """Go on after a pause: first all that has come, in its order, then the timers."""
        self.paused = False
        inbox, self._inbox = self._inbox, deque()
        for action, args in inbox:
            if not self.ended:
                action(*args)
        self.look_at_clock()

    def look_at_disk(self) -> None:
        """Begin again the fsync that is on its way: the disk's speed has changed."""
        self.disk.interrupt()
        self._sync()

    def end(self) -> None:
        """End this life; who waits for an answer gets none."""
        self.ended = True
        self.disk.crash()
        clients, self.clients = self.clients, {}
        for answered in clients.values():
            answered(None)

    # ---- carrying out

    def say(self, event: str, peer: NodeId | None, facts: Mapping[str, Any]) -> None:
        """Keep an event of the driver's own."""
        if self.listening:
            state = self.core.state
            self._write(self._world.now, make(Say, (event, state.term, state.role, peer, None, facts)))

    def _take(self, input: Input, release: int = 0) -> None:
        now = self._world.now
        try:
            outputs = self.core.step(input, now if self.clock.is_true else self.clock.at(now))
        except Exception as error:  # noqa: BLE001 - a replaced rule may raise anything: this node stops, the others go on
            self._fail(error)
            return
        while release and self._late and self._late[0].after <= release:
            self._send(self._late.popleft())
        if self._onlooker is not None:
            self._onlooker(self, input, outputs)
        self._carry_out(outputs)

    def _carry_out(self, outputs: list[Output]) -> None:
        wrote, now, write = False, self._world.now, self._write
        for output in outputs:
            kind = type(output)
            if kind is Say:
                write(now, output)  # type: ignore[arg-type]
            elif kind is Send:
                if output.after:  # type: ignore[union-attr]
                    self._late.append(output)  # type: ignore[arg-type]
                else:
                    self._send(output)  # type: ignore[arg-type]
            elif kind is SetTimer:
                self._set_timer(output)  # type: ignore[arg-type]
            elif kind is Persist:
                self.disk.write(output)  # type: ignore[arg-type]
                wrote = True
            else:
                self._answer(output)  # type: ignore[arg-type]
        if wrote:
            self._sync()

    def _sync(self) -> None:
        if self.disk.begin():
            self._at(self._world.now + self.disk.delay, self.synced, self.disk.syncs)

    def _send(self, send: Send) -> None:
        to, message, _ = send
        self._sent += 1
        msg = f"{self._sender}{self._sent}"
        now, facts = self._world.now, _NONE
        if self.listening:
            facts, state = message_facts(message, msg), self.core.state
            self._write(now, make(Say, ("sent", state.term, state.role, to, None, facts)))
        link = self._links[to]
        if link.is_plain:
            self._at(link.arrival(now), self._arrive, to, (message, msg, facts, self))
        else:
            self._world.transmit(to, (message, msg, facts, self))

    def _set_timer(self, wish: SetTimer) -> None:
        if wish.low < 0:
            self._timers.pop(wish.timer, None)
            return
        timer, clock = wish.timer, self.clock
        deadline = self.now + self.timeouts.draw(wish)
        self._timers[timer] = (deadline, wish.generation)
        if self.listening:
            self.say("timer_set", None, {"timer": timer, "deadline": deadline})
        due = deadline if clock.is_true else clock.when(deadline)
        # A wake that comes too early looks again: that is cheaper than one for every heartbeat.
        if due < self._wakes.get(timer, math.inf):
            self._wake_at(timer, due)

    def _wake_at(self, timer: str, due: Seconds) -> None:
        if due < math.inf:
            self._wakes[timer] = due
            self._at(due, self.wake, timer, due)

    def _answer(self, answer: Answer) -> None:
        answered = self.clients.pop(answer.op_id, None)
        if answered is not None:
            answered(answer)

    def can_campaign(self) -> bool:
        """Return whether its election timer is armed."""
        return ELECTION in self._timers

    def _fail(self, error: Exception) -> None:
        self.error = error
        # The names of files, not their places, which differ from machine to machine.
        where = [f"{PurePath(frame.filename).name}:{frame.lineno} in {frame.name}" for frame in extract_tb(error.__traceback__)]
        self.say("fault", None, {"why": f"{type(error).__name__}: {error}", "traceback": "\n".join(where)})
        self._world.failed(self)
