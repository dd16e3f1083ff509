"""`LiveNode`: one real node. Its thread turns a `Driver`; around it stand its folder, its port and the links to its peers.

The thread alone touches the core. Everybody else puts something into the inbox, or reads what the thread has published.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from time import monotonic
from typing import TypeAlias

from raftedu.core.config import Config
from raftedu.core.inputs import ClientRequest, Receive
from raftedu.core.messages import Message, is_reply
from raftedu.core.node import Node, Status
from raftedu.core.outputs import Answer, Say
from raftedu.core.rules import RULES, Rules
from raftedu.core.types import Index, NodeId, Seconds, Term
from raftedu.events import DumpError, DumpWriter
from raftedu.events.reader import parse_facts
from raftedu.live.clock import ClusterClock, NodeClock
from raftedu.live.codec import status_to_proto
from raftedu.live.driver import Driver, Timeouts
from raftedu.live.inbox import Arrival, Inbox, Note, Reply
from raftedu.live.links import Link
from raftedu.live.loop import acquire_loop, release_loop
from raftedu.live.proto import messages as pb
from raftedu.live.service import Service
from raftedu.live.storage import FileStorage, Storage, StorageError

__all__ = ["Answered", "Listener", "LiveNode"]

Listener: TypeAlias = Callable[[NodeId, Seconds, str, Say], None]
_WHY = {"stop": "its owner asked for it", "crash": "its power was cut"}
Answered: TypeAlias = Callable[[Answer | None], object]


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
        The messages on their way in this process, id to receiver, shared by the nodes of a cluster that can be frozen.

    Raises
    ------
    LiveError, StorageError, DumpError
        If its address, folder or dump cannot be used.
    """

    def __init__(
        self, node: NodeId, config: Config, *, folder: Path, address: str = "127.0.0.1:0", clock: ClusterClock | None = None,
        rules: Rules = RULES, seed: int | None = None, first_timeout: Seconds | None = None, listener: Listener | None = None,
        storage: Storage | None = None, flight: dict[str, NodeId] | None = None,
    ) -> None:  # fmt: skip
        self.node, self.config, self.folder = node, config, folder
        self.utc_zero: float | None = None
        """The zero of the time in its dump, if it ran before: UTC seconds."""
        self.clock = NodeClock(clock or ClusterClock())
        self.addresses: dict[NodeId, str] = {}
        self.cuts: set[NodeId] = set()
        """Peers that nothing sent by this node reaches."""
        self.error: BaseException | None = None
        """What ended this node against its will, ``None`` while it runs or after a proper end."""
        self.timeouts = Timeouts(node, seed, first_timeout)
        self._flight = flight
        self._inbox = Inbox()
        self._links: dict[NodeId, Link] = {}
        self._waiting: dict[str, tuple[ClientRequest, Answered, bool]] = {}
        self._posts: list[Callable[[], object]] = []
        self._ending = ""
        self._ended = self._closed = False
        self._asked = 0
        self._storage = storage or FileStorage(folder)
        try:
            core = Node(node, config, rules, self._storage.load())
            lives, self.utc_zero = _earlier_lives(folder / "dump.txt")
            self._dump = DumpWriter(folder / "dump.txt", node)
        except BaseException:
            self._storage.crash()
            raise
        self.listen(listener)
        self._driver = Driver(core, config, self._storage, self._dump, self.clock, self._inbox, self.timeouts, self, lives + 1)
        self._thread = threading.Thread(target=self._run, name=f"raftedu-node-{node}", daemon=True)
        self._bind(address)

    def _bind(self, address: str) -> None:
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

    def listen(self, listener: Listener | None) -> None:
        """Let ``listener`` hear every event from now on, and nobody else."""
        if listener is None:
            self._dump.listener = None
        else:
            self._dump.listener = lambda sentence, say: listener(self.node, self._dump.last_time, sentence, say)

    # ---- for its owner, from any thread

    def start(self, addresses: dict[NodeId, str]) -> None:
        """Connect to the peers at ``addresses`` and run."""
        self.addresses = dict(addresses)
        self._loop.call(self._connect())
        self.clock.subscribe(self._inbox.wake)
        self._thread.start()

    async def _connect(self) -> None:
        deadline = max(1.0, self.config.heartbeat * self.clock.cluster_clock.pace)
        for peer in self.config.peers(self.node):
            self._links[peer] = Link(peer, self.addresses[peer], self._take_reply, self._lost, deadline)

    @property
    def running(self) -> bool:
        """Whether the node serves."""
        return self._thread.is_alive() and not self._ending

    def status(self) -> Status:
        """Return how the node stands; what is left of lease, wait and promise is reckoned to this moment."""
        status, at = self._driver.published
        passed = self.clock.now() - at
        lease, wait, promise = (max(0.0, left - passed) for left in (status.lease_left, status.wait_left, status.promise_left))
        return status._replace(lease_left=lease, wait_left=wait, promise_left=promise)

    @property
    def log(self) -> tuple[tuple[Index, Term, str], ...]:
        """The log as (index, term, operation) triples."""
        return self._driver.core.log

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

    def stop(self) -> None:
        """End the node properly; its state is on disk, its port and thread are gone."""
        self._end("stop")

    def crash(self) -> None:
        """End the node as a loss of power would: what was not fsynced is gone."""
        self._end("crash")

    def begin_to_stop(self) -> None:
        """Tell the node to end and do not wait for it; `stop` waits."""
        self._ending = self._ending or "stop"
        self._inbox.wake()

    def join(self, timeout: float | None = None) -> bool:
        """Wait for the node's end, at most ``timeout`` wall seconds; return whether it has ended."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    # ---- stepping a frozen cluster

    @property
    def holds(self) -> bool:
        """Whether it stands still with the clock, and is in the middle of nothing."""
        return self._driver.holds

    @property
    def oldest_arrival(self) -> float | None:
        """When the oldest message came that is held back (wall time), ``None`` if there is none."""
        return self._inbox.oldest

    @property
    def next_timer(self) -> Seconds | None:
        """The earliest deadline of its timers, on its own clock."""
        return self._driver.next_timer

    def step(self) -> None:
        """Let a frozen node do one thing: take its oldest arrival, or else let a timer fire that is due."""
        done, end = self._driver.wish_step(), monotonic() + 10.0
        while not done.wait(0.02) and self._thread.is_alive() and monotonic() < end:  # what it does may be its end
            pass

    # ---- for the service and the links, from the loop's thread

    def arrive(self, message: Message, msg: str, reply: Reply | None) -> None:
        """Take a message of a peer, with the way back for the reply."""
        self._inbox.put(Arrival(Receive(message, msg), reply))
        self._land(msg)

    def _take_reply(self, message: Message, msg: str) -> None:
        self.arrive(message, msg, None)

    def _lost(self, peer: NodeId, msg: str, reason: str) -> None:
        self._land(msg)
        self._inbox.put(Note("rpc_failed", peer, {"reason": reason, "msg": msg}))

    def _land(self, msg: str) -> None:
        if self._flight is not None:
            self._flight.pop(msg, None)

    def ask(self, request: ClientRequest, answered: Answered, *, on_loop: bool = False) -> None:
        """Take a client's request; ``answered`` is called once, with ``None`` if the node ended first.

        It is called from the node's thread, or ``on_loop`` from the thread of the loop.
        """
        self._asked += 1
        op_id = f"{self.node}-{self._driver.incarnation}-{self._asked}-{request.op_id}"
        self._waiting[op_id] = (request, answered, on_loop)
        self._inbox.put(Arrival(request._replace(op_id=op_id)))
        if self._ended:
            self.answer(op_id, None)

    def status_message(self) -> pb.StatusReply:
        """Return how the node stands, for the wire."""
        return status_to_proto(self.status(), self.config.nodes, self.addresses)

    # ---- for the driver (class Outside), from the node's thread

    def send(self, to: NodeId, message: Message, msg: str, reply: Reply | None) -> None:
        """Send a message at the next `flush`: a reply the way its request came, a request over the link to the peer."""
        if reply is not None and is_reply(message):
            self._posts.append(lambda: reply(message, msg))
        elif to in self._links:
            link = self._links[to]
            self._posts.append(lambda: link.send(message, msg))
        else:
            return
        if self._flight is not None:
            self._flight[msg] = to

    def flush_sends(self) -> None:
        """Hand what is to be sent and to be answered to the loop, all at once."""
        posts, self._posts = self._posts, []
        if posts:
            self._loop.post(lambda: [post() for post in posts])

    def answer(self, op_id: str, answer: Answer | None) -> None:
        """Hand an answer to the client that waits for it."""
        waiting = self._waiting.pop(op_id, None)
        if waiting is None:
            return
        request, answered, on_loop = waiting
        say_it = partial(answered, answer and answer._replace(op_id=request.op_id))
        if not on_loop:
            say_it()
        elif self._ended:
            self._loop.post(say_it)
        else:
            self._posts.append(say_it)

    # ---- the thread and its end

    def _run(self) -> None:
        try:
            self._driver.begin()
            while not self._ending:
                self._driver.turn()
            self._driver.write("crashed" if self._ending == "crash" else "stopped", None, {"why": _WHY[self._ending]})
        except BaseException as error:  # noqa: BLE001 - a rule or handler failed: this node stops, the kernel goes on
            self._fail(error)
        finally:
            self._close_files()

    def _fail(self, error: BaseException) -> None:
        """Stop on a fault, never silently: into the dump, for the display, and no more answers."""
        self.error = error
        self._ending = "crash"
        text = "".join(traceback.format_exception(error))
        with suppress(DumpError):  # a full disk may be the very reason; the error itself is kept for the display
            self._driver.write("fault", None, {"why": f"{type(error).__name__}: {error}", "traceback": text})

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
            self.answer(op_id, None)
        if self.error is not None:
            # A node that failed refuses connections; it does not leave its clients hanging.
            self._loop.spawn(self._service.stop())

    def _end(self, how: str) -> None:
        self._ending = self._ending or how
        self._inbox.wake()
        if self._thread.ident is None:
            self._close_files()
        else:
            self._thread.join(30.0)
        if not self._closed:
            self._closed = True
            self._loop.call(self._disconnect())
            release_loop()

    async def _disconnect(self) -> None:
        await self._service.stop()
        for link in self._links.values():
            await link.close()
        self._links.clear()


def _earlier_lives(path: Path) -> tuple[int, float | None]:
    """Return how often this node was started before, and the zero of its time then (UTC seconds), ``None`` if never."""
    try:
        *whole, _ = path.read_bytes().split(b"\n")  # a torn last line will be cut off, and tells nothing
    except OSError:
        return 0, None
    starts = [line for line in whole if b"\tstarted\t" in line]
    if not starts:
        return 0, None
    facts = parse_facts(starts[-1].rpartition(b"\t")[2].decode(errors="replace"), path, None)
    zero = facts.get("utc_zero")
    return len(starts), float(zero) if isinstance(zero, int | float) else None
