"""`LiveNode`: the core in a thread of its own, with a disk, a clock and gRPC around it.

The thread alone touches the core. Each turn: take what has come, read the clock once, step, write and fsync the batch, only then
send what had to wait for the disk (the duties listed in `raftedu.core.inputs`). gRPC runs on the shared loop.
"""

from __future__ import annotations

import random
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import TypeAlias

from raftedu.core.config import Config
from raftedu.core.inputs import ClientRequest, Persisted, Receive, TimerFired
from raftedu.core.messages import Message, is_reply
from raftedu.core.node import Node, Status
from raftedu.core.outputs import Answer, Output, Persist, Say, Send, SetTimer
from raftedu.core.rules import RULES, Rules
from raftedu.core.state import ELECTION
from raftedu.core.types import Durable, NodeId, Seconds
from raftedu.events import DumpError, DumpWriter, message_facts
from raftedu.live.clock import ClusterClock, NodeClock
from raftedu.live.codec import status_to_proto
from raftedu.live.inbox import Arrival, Inbox, Note, Reply
from raftedu.live.links import Link
from raftedu.live.loop import acquire_loop, release_loop
from raftedu.live.proto import messages as pb
from raftedu.live.service import LiveError, Service
from raftedu.live.storage import FileStorage, Storage, StorageError

__all__ = ["Listener", "LiveNode"]

Listener: TypeAlias = Callable[[NodeId, Seconds, str, Say], None]

_MOST = 1_000  # arrivals in one turn
_NAP = 0.2  # the longest sleep in wall seconds: the dump is flushed at least that often


class LiveNode:
    """One real node: a thread, a port, a folder.

    Parameters
    ----------
    node, config, rules
        As for `raftedu.core.node.Node`.
    folder
        Its folder ``…/logs_node_X``.
    address
        Where it listens, ``"host:port"``; port 0 lets the system choose.
    clock
        The clock of the cluster.
    seed, first_timeout
        ``seed`` fixes the election timeouts that it draws; ``first_timeout`` (seconds) is the very first of them.
    listener
        Called from the node's thread with node, time, sentence and event, for every event.
    storage
        Where it keeps its state, by default files in ``folder``.
    flight
        The ids of messages on their way in this process, shared by the nodes of a cluster that can be frozen.

    Raises
    ------
    LiveError, StorageError, DumpError
        If its address, folder or dump cannot be used.
    """

    def __init__(
        self, node: NodeId, config: Config, *, folder: Path, address: str = "127.0.0.1:0", clock: ClusterClock | None = None,
        rules: Rules = RULES, seed: int | None = None, first_timeout: Seconds | None = None, listener: Listener | None = None,
        storage: Storage | None = None, flight: set[str] | None = None,
    ) -> None:  # fmt: skip
        self.node, self.config, self.folder = node, config, folder
        self.cluster_clock = clock or ClusterClock()
        self.clock = NodeClock(self.cluster_clock)
        self.addresses: dict[NodeId, str] = {}
        self.cuts: set[NodeId] = set()
        """Peers that nothing sent by this node reaches."""
        self.error: BaseException | None = None
        """What ended this node against its will, ``None`` while it runs or after a proper end."""
        self._random = random.Random(None if seed is None else f"{seed}/{node}")
        self._first_timeout = first_timeout
        self.fixed_timeout: Seconds | None = None
        """How long this node waits for its leader from its next election timer on; ``None``: a random time, as it should."""
        self._flight = flight
        self._inbox = Inbox()
        self._timers: dict[str, tuple[Seconds, int]] = {}
        self._links: dict[NodeId, Link] = {}
        self._waiting: dict[str, tuple[ClientRequest, Callable[[Answer | None], object]]] = {}
        self._steps: list[threading.Event] = []
        self._posts: list[Callable[[], None]] = []
        self._ending = ""
        self._ended = self._closed = False
        self._sent = self._asked = 0
        self._storage = storage or FileStorage(folder)
        try:
            durable = self._storage.load()
            self.incarnation = _count_starts(folder / "dump.txt") + 1
            self._dump = DumpWriter(folder / "dump.txt", node, listener=self._tell(listener))
        except BaseException:
            self._storage.crash()
            raise
        self._open(address, rules, durable)

    def _open(self, address: str, rules: Rules, durable: Durable) -> None:
        self._core = Node(self.node, self.config, rules, durable)
        self._loop = acquire_loop()
        self._service = Service(self)
        try:
            port = self._loop.call(self._service.bind(address))
        except BaseException:
            release_loop()
            self._storage.close()
            self._dump.close()
            raise
        self.address = f"{address.rpartition(':')[0]}:{port}"
        self._published = (self._core.status(self.clock.now()), self.clock.now())
        self._thread = threading.Thread(target=self._run, name=f"raftedu-node-{self.node}", daemon=True)

    def _tell(self, listener: Listener | None) -> Callable[[str, Say], None] | None:
        if listener is None:
            return None
        return lambda sentence, say: listener(self.node, self._dump.last_time, sentence, say)

    # ---- for its owner, from any thread

    def start(self, addresses: dict[NodeId, str]) -> None:
        """Connect to the peers at ``addresses`` and run."""
        self.addresses = dict(addresses)
        self._loop.call(self._connect())
        self.clock.subscribe(self._inbox.wake)
        self._thread.start()

    async def _connect(self) -> None:
        deadline = max(1.0, self.config.heartbeat * self.cluster_clock.pace)
        for peer in self.config.peers(self.node):
            self._links[peer] = Link(peer, self.addresses[peer], self._take_reply, self._lost, deadline)

    @property
    def running(self) -> bool:
        """Whether the node serves."""
        return self._thread.is_alive() and not self._ending

    def stop(self) -> None:
        """End the node properly; its state is on disk, its port and thread are gone."""
        self._end("stop")

    def crash(self) -> None:
        """End the node as a loss of power would: what was not fsynced is gone."""
        self._end("crash")

    def join(self, timeout: float | None = None) -> bool:
        """Wait for the node's end, at most ``timeout`` wall seconds; return whether it has ended."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _end(self, how: str) -> None:
        self._ending = self._ending or how
        self._inbox.wake()
        if self._thread.ident is None:
            self._close_files()
        else:
            self._thread.join(30.0)
        self._close_network()

    def _close_network(self) -> None:
        if not self._closed:
            self._closed = True
            self._loop.call(self._disconnect())
            release_loop()

    async def _disconnect(self) -> None:
        await self._service.stop()
        for link in self._links.values():
            await link.close()
        self._links.clear()

    def status(self) -> Status:
        """Return how the node stands; what is left of lease, wait and promise is reckoned to this moment."""
        status, at = self._published
        passed = self.clock.now() - at
        lease, wait, promise = (max(0.0, left - passed) for left in (status.lease_left, status.wait_left, status.promise_left))
        return status._replace(lease_left=lease, wait_left=wait, promise_left=promise)

    @property
    def log(self) -> tuple[tuple[int, int, str], ...]:
        """The log as (index, term, operation) triples."""
        return self._core.log

    @property
    def last_time(self) -> Seconds:
        """The time of the last event in its dump, 0 if there is none; a later life goes on from there."""
        return self._dump.last_time

    def flush(self) -> None:
        """Hand all events so far to the dump.txt."""
        self._dump.flush()

    def note(self, event: str, peer: NodeId | None = None, **facts: object) -> None:
        """Write an event into the node's dump that is no input to it: a fault injected from outside."""
        self._inbox.put(Note(event, peer, facts))

    # ---- stepping a frozen cluster

    @property
    def oldest_arrival(self) -> float | None:
        """When the oldest message came that is held back (wall time), ``None`` if there is none."""
        return self._inbox.oldest

    @property
    def next_timer(self) -> Seconds | None:
        """The earliest deadline of its timers, on its own clock."""
        return min((deadline for deadline, _ in self._timers.values()), default=None)

    def step(self) -> None:
        """Let a frozen node do one thing: take its oldest arrival, or else let a timer fire that is due."""
        done = threading.Event()
        self._steps.append(done)
        self._inbox.wake()
        done.wait(10.0)

    # ---- for the service and the links (class Host), from the loop's thread

    def arrive(self, message: Message, msg: str, reply: Reply | None) -> None:
        """Take a message of a peer, with the way back for the reply."""
        self._inbox.put(Arrival(Receive(message, msg), reply))
        self._land(msg)

    def _take_reply(self, message: Message, msg: str) -> None:
        self.arrive(message, msg, None)

    def _land(self, msg: str) -> None:
        if self._flight is not None:
            self._flight.discard(msg)

    def _lost(self, peer: NodeId, msg: str, reason: str) -> None:
        self._land(msg)
        self._inbox.put(Note("rpc_failed", peer, {"reason": reason, "msg": msg}))

    def ask(self, request: ClientRequest, answered: Callable[[Answer | None], object]) -> None:
        """Take a client's request; ``answered`` is called once, from the node's thread, with ``None`` if the node ended first."""
        self._asked += 1
        op_id = f"{self.node}-{self.incarnation}-{self._asked}-{request.op_id}"
        self._waiting[op_id] = (request, answered)
        self._inbox.put(Arrival(request._replace(op_id=op_id)))
        if self._ended:
            self._answer(op_id, None)

    def status_message(self) -> pb.StatusReply:
        """Return how the node stands, for the wire."""
        return status_to_proto(self.status(), self.config.nodes, self.addresses)

    # ---- the thread

    def _run(self) -> None:
        try:
            self._begin()
            while not self._ending:
                self._turn()
            self._say_end()
        except BaseException as error:  # noqa: BLE001 - a rule or handler failed: this node stops, the kernel goes on
            self._fail(error)
        finally:
            self._close_files()

    def _begin(self) -> None:
        now = self.clock.now()
        run = {"incarnation": self.incarnation, "utc_zero": self.cluster_clock.utc_zero, "pace": self.cluster_clock.pace}
        outputs = self._core.start(now)
        begun = [o._replace(facts={**run, **o.facts}) if isinstance(o, Say) and o.event == "started" else o for o in outputs]
        self._carry_out([(o, None) for o in begun])

    def _turn(self) -> None:
        """Take what has come, let the core decide, carry it out."""
        due = self.next_timer
        notes = self._inbox.wait(self._sleep(due))
        frozen = self.cluster_clock.frozen
        steps, self._steps = self._steps, []
        may_act = not frozen or bool(steps)
        arrivals = self._inbox.take(_MOST if not frozen else min(1, len(steps)))
        for note in notes:
            self._write_note(note)
        self._look_for_stall(due, arrivals, frozen)
        if arrivals:
            self._carry_out([output for arrival in arrivals for output in self._take(arrival)])
        elif may_act:
            self._fire_timers()
        if arrivals and not frozen:
            self._fire_timers()
        self._dump.maybe_flush()
        self._publish()
        for done in steps:
            done.set()

    def _sleep(self, due: Seconds | None) -> float:
        if self.cluster_clock.frozen:
            return _NAP if not self._steps else 0.0
        if self._inbox.oldest is not None:
            return 0.0
        return _NAP if due is None else min(_NAP, self.clock.wall_until(due))

    def _take(self, arrival: Arrival) -> list[tuple[Output, Reply | None]]:
        if isinstance(arrival.input, Receive):
            message, msg = arrival.input
            self._write("received", message.sender, message_facts(message, msg))
        # All arrivals of this turn were taken before the clock is read, so none is judged by a moment before it came [R6].
        return [(output, arrival.reply) for output in self._core.step(arrival.input, self.clock.now())]

    def _fire_timers(self) -> None:
        now = self.clock.now()
        for timer, (deadline, generation) in list(self._timers.items()):
            if deadline <= now:
                del self._timers[timer]
                self._write("timer_fired", None, {"timer": timer})
                self._carry_out([(output, None) for output in self._core.step(TimerFired(timer, generation), now)])

    def _carry_out(self, outputs: list[tuple[Output, Reply | None]]) -> None:
        """Do what the core asks for, in the order that safety needs: nothing that waits for the disk leaves before it."""
        while outputs:
            late: list[tuple[Send, Reply | None]] = []
            writes: list[Persist] = []
            for output, reply in outputs:
                match output:
                    case Persist():
                        self._storage.write(output)
                        writes.append(output)
                    case Send(_, _, after) if after:
                        late.append((output, reply))
                    case Send():
                        self._send(output, reply)
                    case SetTimer():
                        self._set_timer(output)
                    case Say():
                        self._dump.write(self.cluster_clock.now(), output)
                    case Answer():
                        self._answer(output.op_id, output)
            self._flush_posts()
            outputs = self._sync(writes) if writes else []
            for send, reply in late:
                self._send(send, reply)
            self._flush_posts()

    def _sync(self, writes: list[Persist]) -> list[tuple[Output, Reply | None]]:
        """Make the batch durable with one fsync, and tell the core."""
        self._storage.sync()
        for persist in writes:
            self._write("persisted", None, _saved(persist))
        return [(output, None) for output in self._core.step(Persisted(writes[-1].seq), self.clock.now())]

    def _send(self, send: Send, reply: Reply | None) -> None:
        self._sent += 1
        msg = f"{self.node}.{self.incarnation}.{self._sent}"
        to, message, _ = send
        facts = message_facts(message, msg)
        self._write("sent", to, facts)
        if to in self.cuts:
            self._write("dropped", to, facts)
        elif reply is not None and is_reply(message):
            self._post(msg, lambda: reply(message, msg))
        elif to in self._links:
            link = self._links[to]
            self._post(msg, lambda: link.send(message, msg))

    def _post(self, msg: str, work: Callable[[], None]) -> None:
        if self._flight is not None:
            self._flight.add(msg)
        self._posts.append(work)

    def _flush_posts(self) -> None:
        if self._posts:
            posts, self._posts = self._posts, []
            self._loop.post(lambda: [post() for post in posts])

    def _set_timer(self, wish: SetTimer) -> None:
        self._timers.pop(wish.timer, None)
        if wish.low < 0:
            return
        seconds = self._random.uniform(wish.low, wish.high)
        if wish.timer == ELECTION:
            fixed, self._first_timeout = self._first_timeout, None
            seconds = next((s for s in (fixed, self.fixed_timeout) if s is not None), seconds)
        deadline = self.clock.now() + seconds
        self._timers[wish.timer] = (deadline, wish.generation)
        self._write("timer_set", None, {"timer": wish.timer, "deadline": deadline})

    def _answer(self, op_id: str, answer: Answer | None) -> None:
        request, answered = self._waiting.pop(op_id, (None, None))
        if request is not None and answered is not None:
            answered(answer and answer._replace(op_id=request.op_id))

    def _write(self, event: str, peer: NodeId | None, facts: dict[str, object]) -> None:
        state = self._core.state
        self._dump.write(self.cluster_clock.now(), Say(event, state.term, state.role, peer, None, facts))

    def _write_note(self, note: Note) -> None:
        self._write(note.event, note.peer, dict(note.facts))

    def _look_for_stall(self, due: Seconds | None, arrivals: list[Arrival], frozen: bool) -> None:
        """Say so when this thread did not get to run for longer than a heartbeat: the picture must show why a lease was lost."""
        if frozen:
            return
        late = max(0.0, self.clock.now() - due) if due is not None else 0.0
        waited = (monotonic() - arrivals[0].at) / self.cluster_clock.pace if arrivals else 0.0
        if max(late, waited) > self.config.heartbeat:
            self._write("stall", None, {"late": max(late, waited)})

    def _publish(self) -> None:
        now = self.clock.now()
        self._storage.note(self._core.state.commit_index, self._core.state.last_applied)
        self._published = (self._core.status(now), now)

    # ---- its end

    def _say_end(self) -> None:
        self._write("crashed" if self._ending == "crash" else "stopped", None, {"why": self._ending})

    def _fail(self, error: BaseException) -> None:
        """Stop on a fault, never silently: into the dump, for the display, and no more answers."""
        self.error = error
        text = "".join(traceback.format_exception(error))
        with suppress(DumpError):  # a full disk may be the very reason; the error itself is kept for the display
            self._write("fault", None, {"why": f"{type(error).__name__}: {error}", "traceback": text})
        self._ending = "crash"

    def _close_files(self) -> None:
        self._ended = True
        with suppress(DumpError):
            self._dump.close()
        try:
            self._storage.crash() if self._ending == "crash" else self._storage.close()
        except StorageError as error:
            self.error = self.error or error
        self.clock.unsubscribe(self._inbox.wake)
        for op_id in list(self._waiting):
            self._answer(op_id, None)
        if self.error is not None:
            # A node that failed refuses connections; it does not leave its clients hanging.
            self._loop.spawn(self._service.stop())


def _saved(persist: Persist) -> dict[str, object]:
    """Return the facts of ``persisted``: in words, and the values themselves."""
    what, facts = [], dict[str, object]()
    if persist.hard is not None:
        what.append(f"term {persist.hard.term} and vote {persist.hard.voted_for}")
        facts |= persist.hard._asdict()
    if persist.first:
        last = persist.first + len(persist.entries) - 1
        what.append(f"log {persist.first} to {last}")
        facts |= {"from": persist.first, "to": last}
    return {"seq": persist.seq, "what": ", ".join(what), **facts}


def _count_starts(path: Path) -> int:
    try:
        return path.read_bytes().count(b"\tstarted\t")
    except OSError:
        return 0
