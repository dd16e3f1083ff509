"""`Cluster`: real nodes in this process, to be run, broken, frozen and looked at from a notebook.

It owns the nodes and their shared clock, and puts faults between them. What happened is read from their dump.txt and from nowhere
else; what a node decides is decided in its own thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from raftedu.core.config import Config
from raftedu.core.inputs import ClientRequest
from raftedu.core.node import Status
from raftedu.core.outputs import Answer, Outcome, Say
from raftedu.core.rules import RULES, Rules
from raftedu.core.types import NodeId, Role, Seconds
from raftedu.live.asker_pool import AskerPool, or_raise
from raftedu.live.asking import Reply
from raftedu.live.clock import ClusterClock
from raftedu.live.display import cluster_html, cluster_text
from raftedu.live.livenode import Listener, LiveNode
from raftedu.live.registry import enroll, fresh_folder, withdraw
from raftedu.live.service import LiveError
from raftedu.live.stepping import first_timeouts, hold_still, next_to_act, settle
from raftedu.live.storage import Storage
from raftedu.trace import Trace, read_dump

__all__ = ["Cluster"]

_PATIENCE = 10.0  # wall seconds that every wait lasts at least, whatever the pace: a busy machine needs them
_ATTEMPT = 0.5  # and a single attempt of a SET or GET


class Cluster:
    """A cluster of real Raft nodes: a thread, a gRPC port on loopback and a folder each.

    All durations are protocol seconds, the same in every trace and picture, whatever the pace.

    Parameters
    ----------
    nodes
        How many nodes (ids from 1), or their ids.
    lease
        The length of a leader lease; any other setting of `raftedu.Config` may be given by name too.
    pace
        Wall seconds in a protocol second: 0.1 plays everything ten times faster.
    rules
        The table of rules, e.g. ``RULES.but(grant_vote=mine)``; a rule that fails stops its node and is shown.
    dir
        The folder of ``logs_node_X/``. ``None``: a new ``raftedu-runs/NNN``. A folder of an earlier run is recovered from.
    seed
        Fixes every election timeout that is drawn; ``first_candidate`` tells who campaigns first.
    first_timeout
        The first election timeout of some nodes, e.g. ``{2: 5.0}``; all others wait longer.
    storage
        Called with id and folder, returns where that node keeps its state; by default files in its folder.
    listener
        Called with node, time, sentence and event for every event, from the nodes' threads: it must return at once.

    Examples
    --------
    >>> with Cluster(3, pace=0.02) as cluster:  # doctest: +SKIP
    ...     cluster.set("x", "1")
    ...     cluster.get("x")
    '1'
    """

    def __init__(
        self, nodes: int | Iterable[NodeId] = 5, *, lease: Seconds = 8.0, pace: float = 1.0, rules: Rules | None = None,
        dir: str | Path | None = None, seed: int | None = None, first_timeout: Mapping[NodeId, Seconds] | None = None,
        storage: Callable[[NodeId, Path], Storage] | None = None, listener: Listener | None = None, **settings: Any,
    ) -> None:  # fmt: skip
        self.config = Config.of(nodes, lease=lease, **settings)
        self.folder = fresh_folder() if dir is None else Path(dir).absolute()
        self._rules, self._storage, self._seed = rules or RULES, storage, seed
        self._clock = ClusterClock(pace)
        self._flight: dict[str, NodeId] = {}
        self._listener = listener
        self._lives: dict[NodeId, LiveNode] = {}
        self._down: dict[NodeId, LiveNode] = {}
        self._lock = threading.RLock()
        self._groups: dict[NodeId, int] = {}
        for node in first_timeout or {}:
            self._check(node)
        self._timeouts = first_timeouts(self.config, seed, first_timeout or {})
        self._announced = min(self._timeouts, key=lambda node: self._timeouts[node], default=None)
        self._asker = AskerPool(self.config.nodes, self._call, now=self._clock.now, sleep=self._sleep)
        enroll(self)
        self._start()

    def _start(self) -> None:
        try:
            self._clock.freeze()  # time begins when all nodes are there
            for node in self.config.nodes:
                self._lives[node] = self._make(node, "127.0.0.1:0")
            self._clock.begin_at(max(live.last_time for live in self._lives.values()))
            self.addresses = {node: live.address for node, live in self._lives.items()}
            """Where the nodes listen: id to ``host:port``."""
            for live in self._lives.values():
                live.start(self.addresses)
            self._clock.thaw()
        except BaseException:
            self.stop()
            raise

    def _make(self, node: NodeId, address: str) -> LiveNode:
        folder = self.folder / f"logs_node_{node}"
        return LiveNode(
            node, self.config, folder=folder, address=address, clock=self._clock, rules=self._rules, seed=self._seed,
            first_timeout=self._timeouts.pop(node, None), listener=self._listener, flight=self._flight,
            storage=self._storage(node, folder) if self._storage else None,
        )  # fmt: skip

    # ---- what a notebook types

    @property
    def nodes(self) -> list[NodeId]:
        """The ids of all nodes, crashed ones too."""
        return list(self.config.nodes)

    @property
    def leader(self) -> NodeId | None:
        """The node that leads now, with or without a lease; ``None`` if there is none. Of two, the one of the later term."""
        leaders = [status for status in self.status() if status is not None and status.role == Role.LEADER]
        return max(leaders, key=lambda status: status.term).node if leaders else None

    def status(self) -> list[Status | None]:
        """Return how every node stands, ``None`` for one that is down."""
        lives = {node: self._lives.get(node) for node in self.nodes}  # another thread may crash one while we look
        return [live.status() if live is not None and live.running else None for live in lives.values()]

    def log(self, node: NodeId) -> tuple[tuple[int, int, str], ...]:
        """Return the log of a node as (index, term, operation) triples."""
        self._check(node)
        return (self._lives.get(node) or self._down[node]).log

    def is_up(self, node: NodeId) -> bool:
        """Return whether a node runs."""
        self._check(node)
        live = self._lives.get(node)
        return live is not None and live.running

    def set(self, key: str, value: str, *, deadline: Seconds = 60.0) -> Reply:
        """Set ``key`` to ``value``; follow leader hints and go on until SUCCESS.

        Raises
        ------
        RequestFailed
            When ``deadline`` seconds have passed (and at least 10 s of wall time); its ``reply`` says whether it may still happen.
        LiveError
            The cluster is frozen or stopped.
        """
        return or_raise("SET", key, value, self.request("SET", key, value, deadline=deadline))

    def get(self, key: str, *, deadline: Seconds = 60.0) -> str:
        """Return the latest committed value of ``key``, the empty string if there is none; errors as for `set`."""
        return or_raise("GET", key, "", self.request("GET", key, deadline=deadline)).value

    def request(self, op: str, key: str, value: str = "", *, deadline: Seconds = 60.0) -> Reply:
        """Do ``op`` (``"SET"`` or ``"GET"``) and return how it ended, whatever that is."""
        self._must_run()
        if self._clock.frozen:
            raise LiveError("the cluster is frozen and answers nobody: thaw() it first")
        return self._asker.ask(op, key, value, self._patient(deadline))

    def wait_for_leader(self, *, lease: bool = False, timeout: Seconds = 60.0) -> NodeId:
        """Wait until there is a leader (``lease=True``: one whose lease is valid) and return its id.

        Raises
        ------
        LiveError
            When there is none after ``timeout`` seconds (and at least 10 s of wall time).
        """
        if self._clock.frozen:
            raise LiveError("the cluster is frozen and elects nobody: thaw() it first")
        if lease and not self.config.has_lease:
            raise LiveError("under lease_policy='no-lease' nobody ever holds a lease: wait_for_leader() without lease=True")

        def found() -> bool:
            return any(s is not None and s.role == Role.LEADER and (s.lease_left > 0 or not lease) for s in self.status())

        self.wait_until(found, f"a leader{' with a lease' if lease else ''}", timeout=timeout)
        return self.leader if self.leader is not None else self.wait_for_leader(lease=lease, timeout=timeout)

    def wait_until(self, condition: Callable[[], bool], what: str = "the condition", *, timeout: Seconds = 60.0) -> None:
        """Wait until ``condition()`` is true; a `LiveError` says that ``what`` did not come within ``timeout`` seconds."""
        if not callable(condition):
            raise TypeError("wait_until() asks again and again, so it needs a function: wait_until(lambda: ...)")
        end = time.monotonic() + self._patient(timeout) * self.pace
        while not condition():
            self._must_run()
            if in_vain := self._why_in_vain():
                raise LiveError(in_vain)
            if time.monotonic() > end:
                raise LiveError(f"waited {timeout} s in vain for {what}: {cluster_text(self)}")
            time.sleep(min(0.01, 0.05 * self.pace))

    # ---- faults

    def crash(self, node: NodeId | None) -> None:
        """Crash a node as a loss of power would: what it had not fsynced is gone."""
        if node is None:
            raise LiveError("there is no leader to crash just now: wait_for_leader() first")
        with self._lock:
            self._must_be_up(node)
            self._lives[node].crash()
            self._down[node] = self._lives.pop(node)
            self._flight.clear()

    def restart(self, node: NodeId) -> None:
        """Start a crashed node again, from what is on its disk, at its old address."""
        with self._lock:
            self._must_run()
            self._check(node)
            if self.is_up(node):
                raise LiveError(f"node {node} is running: crash({node}) it first")
            failed = self._lives.pop(node, None)
            if failed is not None:
                failed.stop()
                self._down[node] = failed
            live = self._make(node, self.addresses[node])
            self._lives[node] = live
            self._down.pop(node, None)
            self._cut()
            live.start(self.addresses)

    def partition(self, *groups: Iterable[NodeId]) -> None:
        """Cut every link between two groups; nodes that are not named stay together in a group of their own."""
        if not all(isinstance(group, Iterable) for group in groups):
            raise TypeError("partition() takes groups of nodes, each in brackets: partition([1, 2], [3, 4, 5])")
        named = [set(group) for group in groups]
        for node in set().union(*named):
            self._check(node)
            if sum(node in group for group in named) > 1:
                raise LiveError(f"node {node} is in two groups of partition(): put it in one")
        with self._lock:
            self._groups = {node: i for i, group in enumerate(named) for node in group}
            self._cut()

    def heal(self) -> None:
        """Mend every link."""
        with self._lock:
            self._groups = {}
            self._cut()

    def _cut(self) -> None:
        for node, live in self._lives.items():
            cuts = {peer for peer in self.config.peers(node) if self._groups.get(peer) != self._groups.get(node)}
            for peer in sorted(cuts - live.cuts):
                live.note("link_cut", peer)
            for peer in sorted(live.cuts - cuts):
                live.note("link_healed", peer)
            live.cuts = cuts

    @property
    def first_candidate(self) -> NodeId | None:
        """The node announced by ``seed`` or ``first_timeout`` to campaign first, ``None`` if chance decides."""
        return self._announced

    def next_candidate(self, node: NodeId | None, *, after: Seconds = 6.0) -> None:
        """Let ``node`` be the next to campaign, ``after`` seconds after its leader was last heard of; all others wait longer.

        It holds from the next heartbeat on, until ``next_candidate(None)`` leaves elections to chance again.
        """
        if node is not None:
            self._must_be_up(node)
        later = after + self.config.election_max - self.config.election_min
        for live in self._lives.values():
            live.timeouts.fixed = None if node is None else after if live.node == node else later

    def fix_timeout(self, node: NodeId, seconds: Seconds | None) -> None:
        """Let a node wait exactly ``seconds`` for its leader from its next heartbeat on; ``None``: a random time again."""
        self._must_be_up(node)
        self._lives[node].timeouts.fixed = seconds

    # ---- time

    @property
    def pace(self) -> float:
        """Wall seconds in a protocol second; may be changed while the cluster runs."""
        return self._clock.pace

    @pace.setter
    def pace(self, pace: float) -> None:
        self._clock.pace = pace

    @property
    def now(self) -> Seconds:
        """The protocol seconds since the cluster began."""
        return self._clock.now()

    @property
    def frozen(self) -> bool:
        """Whether the clocks stand still."""
        return self._clock.frozen

    def freeze(self) -> None:
        """Stop every clock and hold every message: no lease runs out while the room looks at it."""
        self._must_run()
        self._clock.freeze()
        hold_still(list(self._lives.values()), self._clock)

    def thaw(self) -> None:
        """Let clocks and messages go on where they stood."""
        self._clock.thaw()

    def step(self) -> list[str]:
        """Let one thing happen in a frozen cluster, and return what was said about it.

        The oldest message that is held is taken by its receiver; if there is none, the clocks move to the next timer and it fires.
        """
        if not self._clock.frozen:
            raise LiveError("step() lets one thing happen in a frozen cluster: freeze() it first")
        with self._lock:
            settle(self._flight, self._lives.values())
            said: list[str] = []
            self._listen(partial(self._overhear, said))
            try:
                live = next_to_act(self._lives.values(), self._clock)
                live.step()
                settle(self._flight, self._lives.values())
            finally:
                self._listen(self._listener)
        return said

    def _overhear(self, said: list[str], node: NodeId, time: Seconds, sentence: str, say: Say) -> None:
        said.append(sentence)
        if self._listener is not None:
            self._listener(node, time, sentence, say)

    def _listen(self, listener: Listener | None) -> None:
        # Sentences are made when the dump is written, many at once; only who listens has them made at once.
        for live in self._lives.values():
            live.listen(listener)

    # ---- looking at it

    @property
    def trace(self) -> Trace:
        """The `Trace` of everything so far: `read_dump` of the cluster's folder, and nothing else."""
        for live in self._lives.values():
            live.flush()
        return read_dump(self.folder)

    @property
    def errors(self) -> dict[NodeId, BaseException]:
        """What ended nodes against their will: a rule that failed, a full disk."""
        return {live.node: live.error for live in (*self._lives.values(), *self._down.values()) if live.error is not None}

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopped

    _stopped = False

    def __repr__(self) -> str:
        return cluster_text(self)

    def _repr_html_(self) -> str:
        return cluster_html(self)

    # ---- its end

    def stop(self) -> None:
        """Stop every node; no thread, port or lock is left, the folder stays. Stopping twice is harmless."""
        with self._lock:
            self._stopped = True
            self._clock.thaw()
            for live in self._lives.values():
                live.begin_to_stop()
            for node in list(self._lives):
                live = self._lives.pop(node)
                live.stop()
                self._down[node] = live
        withdraw(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    # ---- helpers

    def _call(self, node: NodeId, request: ClientRequest, timeout: Seconds) -> Answer | None:
        self._must_run()
        live, in_vain = self._lives.get(node), self._why_in_vain()
        if live is None or not live.running or in_vain:
            reason = in_vain or f"node {node} is down"
            return Answer(request.op_id, request.client, request.request, Outcome.FAIL, "", None, None, 0, reason, final=bool(in_vain))
        done, box = threading.Event(), []

        def answered(answer: Answer | None) -> None:
            box.append(answer)
            done.set()

        live.ask(request, answered)
        done.wait(max(timeout * self.pace, _ATTEMPT))
        return box[0] if box else None

    def _sleep(self, seconds: Seconds) -> None:
        time.sleep(seconds * self.pace)

    def _patient(self, seconds: Seconds) -> Seconds:
        return max(seconds, _PATIENCE / self.pace)

    def _check(self, node: NodeId) -> None:
        if node not in self.config.nodes:
            raise LiveError(f"there is no node {node!r}; the nodes are {', '.join(map(str, self.config.nodes))}")

    def _must_be_up(self, node: NodeId) -> None:
        self._must_run()
        if not self.is_up(node):
            raise LiveError(f"node {node} is down: restart({node}) it first")

    def _why_in_vain(self) -> str:
        """Return why nothing will ever happen again, once faults have ended too many nodes; empty if something may."""
        errors = self.errors
        if len(self.nodes) - len(errors) >= self.config.majority:
            return ""
        node, error = min(errors.items())
        return f"{len(errors)} of {len(self.nodes)} nodes have failed, so no majority is left; node {node}: {error}"

    def _must_run(self) -> None:
        if self._stopped:
            raise LiveError("this cluster is stopped: make a new one (with dir= it recovers from its folder)")
