"""`Simulation`: a cluster in virtual time, with the methods of `raftedu.Cluster` and more faults than a real one can be given.

It says what a person may ask of a cluster; what can be done to it stands in `raftedu.sim.faults`, how it all comes about in
`raftedu.sim.world`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from raftedu.core.asking import ATTEMPT, Reply, or_raise
from raftedu.core.config import Config
from raftedu.core.inputs import ClientRequest
from raftedu.core.node import Status
from raftedu.core.outputs import Answer, Say
from raftedu.core.rules import RULES, Rules
from raftedu.core.types import NodeId, Role, Seconds
from raftedu.sim.faults import Faults
from raftedu.sim.world import Listener, Operation, SimulationError, World

if TYPE_CHECKING:
    from raftedu.trace import Trace

__all__ = ["Simulation"]


class Simulation(Faults):
    """A cluster of the same nodes as `raftedu.Cluster`, in virtual time. The same arguments and calls give the same bytes, anywhere.

    Time stands still between two calls; `run`, `step`, and whatever waits let it go on. All durations are protocol seconds.

    Parameters
    ----------
    nodes
        How many nodes (ids from 1), or their ids.
    seed
        What all chance comes from: timeouts, delays, faults.
    lease
        The length of a leader lease; any other setting of `raftedu.Config` may be given by name too.
    rules
        The table of rules, e.g. ``RULES.but(grant_vote=mine)``; a rule that fails stops its node, see `errors`.
    first_timeout
        The first election timeout of some nodes, e.g. ``{2: 5.0}``; all others wait longer.
    listening
        Whether events are kept. Without them it runs faster, and `trace` is empty.
    listener
        Called with node, time, sentence and event for every event.

    Examples
    --------
    >>> sim = Simulation(3, seed=7)
    >>> sim.set("x", "1").outcome.value
    'success'
    >>> sim.get("x")
    '1'
    >>> sim.crash(sim.leader)
    >>> sim.run(60).leader is None
    False
    """

    def __init__(
        self, nodes: int | Iterable[NodeId] = 5, *, seed: int = 0, lease: Seconds = 8.0, rules: Rules | None = None,
        first_timeout: Mapping[NodeId, Seconds] | None = None, listening: bool = True, listener: Listener | None = None, **settings: Any,
    ) -> None:  # fmt: skip
        self.config = Config.of(nodes, lease=lease, **settings)
        for node in first_timeout or {}:
            self._check(node)
        self.world = World(
            self.config, seed=seed, rules=rules or RULES, first_timeout=first_timeout, listening=listening, listener=listener,
        )  # fmt: skip

    # ---- what a notebook types

    @property
    def seed(self) -> int:
        """What all chance comes from."""
        return self.world.seed

    @property
    def leader(self) -> NodeId | None:
        """The node that leads now, with or without a lease; ``None`` if there is none. Of two, the one of the later term."""
        states = [life.core.state for life in self.world.lives.values() if not life.ended]
        leaders = [state for state in states if state.role == Role.LEADER]
        return max(leaders, key=lambda state: state.term).node if leaders else None

    def status(self) -> list[Status | None]:
        """Return how every node stands, ``None`` for one that is down."""
        return [life.core.status(life.now) if not life.ended else None for life in map(self._life, self.nodes)]

    def log(self, node: NodeId) -> tuple[tuple[int, int, str], ...]:
        """Return the log of a node as (index, term, operation) triples."""
        return self._life(node).core.log

    def set(self, key: str, value: str, *, deadline: Seconds = 60.0) -> Reply:
        """Set ``key`` to ``value``; follow leader hints and go on until SUCCESS. Time passes meanwhile.

        Raises
        ------
        RequestFailed
            When ``deadline`` seconds have passed; its ``reply`` says whether it may still happen.
        """
        return or_raise("SET", key, value, self.request("SET", key, value, deadline=deadline))

    def get(self, key: str, *, deadline: Seconds = 60.0) -> str:
        """Return the latest committed value of ``key``, the empty string if there is none; errors as for `set`."""
        return or_raise("GET", key, "", self.request("GET", key, deadline=deadline)).value

    def request(self, op: str, key: str, value: str = "", *, deadline: Seconds = 60.0) -> Reply:
        """Do ``op`` (``"SET"`` or ``"GET"``) and return how it ended, whatever that is."""
        operation = self.begin(op, key, value, deadline=deadline)
        while operation.reply is None:
            self.world.take()
        return operation.reply

    def begin(self, op: str, key: str, value: str = "", *, deadline: Seconds = 60.0) -> Operation:
        """Begin an operation of a client of its own and return at once; its ``reply`` is ``None`` until it has ended."""
        self._must_run()
        return self.world.operate(op, key, value, deadline)

    def ask(self, node: NodeId, op: str, key: str, value: str = "", *, timeout: Seconds = ATTEMPT) -> Answer | None:
        """Ask this one node once, follow no hint, and return its answer; ``None`` if none came within ``timeout`` seconds."""
        self._must_run()
        self._check(node)
        client = self.world.new_client_name()
        box: list[Answer | None] = []
        self.world.call(node, ClientRequest(op, key, value, client, 1, f"{client}-1-1"), timeout, box.append)
        while not box:
            self.world.take()
        return box[0]

    # ---- time

    def run(self, seconds: Seconds) -> Self:
        """Let so many seconds pass, and return the simulation."""
        self._must_run()
        if not 0 <= seconds < math.inf:
            raise SimulationError(f"run({seconds}): give a number of seconds from 0")
        self.world.run_to(self.world.now + seconds)
        return self

    def run_until(self, condition: Callable[[], bool], timeout: Seconds = 60.0, *, what: str = "the condition") -> Self:
        """Let time pass until ``condition()`` is true, to the very event that makes it so.

        Raises
        ------
        SimulationError
            When ``timeout`` seconds have passed before.
        """
        self._must_run()
        end = self.world.now + timeout
        while not condition():
            following = self.world.next_time
            if following is None or following > end:
                self.world.run_to(end)
                raise SimulationError(f"there was not {what} within {timeout:g} s: {self!r}")
            self.world.take()
        return self

    def wait_until(self, condition: Callable[[], bool], what: str = "the condition", *, timeout: Seconds = 60.0) -> None:
        """Let time pass until ``condition()`` is true, as `run_until` does."""
        self.run_until(condition, timeout, what=what)

    def wait_for_leader(self, *, lease: bool = False, timeout: Seconds = 60.0) -> NodeId:
        """Let time pass until there is a leader (``lease=True``: one whose lease is valid) and return its id."""
        if lease and not self.config.has_lease:
            raise SimulationError("under lease_policy='no-lease' nobody ever holds a lease: wait_for_leader() without lease=True")

        def found() -> NodeId | None:
            leaders = [s for s in self.status() if s is not None and s.role == Role.LEADER and (s.lease_left > 0 or not lease)]
            return max(leaders, key=lambda s: s.term).node if leaders else None

        self.run_until(lambda: found() is not None, timeout, what=f"a leader{' with a lease' if lease else ''}")
        leader = found()
        assert leader is not None
        return leader

    def step(self) -> list[str]:
        """Take events of the queue until one is worth a word, and return what was said about it; empty if nothing is left to happen."""
        self._must_run()
        world, listener = self.world, self.world.listener
        said: list[str] = []

        def overhear(node: NodeId, time: Seconds, words: str, say: Say) -> None:
            said.append(words)
            if listener is not None:
                listener(node, time, words, say)

        world.listen(overhear)
        try:
            while not said and world.take():
                pass
        finally:
            world.listen(listener)
        return said

    # ---- looking at it

    @property
    def trace(self) -> Trace:
        """The `Trace` of everything so far, from the very lines that `save` writes; loads pandas."""
        trace: Trace = import_module("raftedu.trace").trace_of(self.world.dumps.values())
        return trace

    def save(self, folder: str | Path) -> Path:
        """Write ``logs_node_X/dump.txt`` for every node below ``folder``, for `raftedu.read_dump`, and return the folder."""
        for node, dump in self.world.dumps.items():
            dump.save(Path(folder) / f"logs_node_{node}" / "dump.txt")
        return Path(folder)

    @property
    def errors(self) -> dict[NodeId, BaseException]:
        """What ended nodes against their will: a rule that failed."""
        return {node: life.error for node, life in self.world.lives.items() if life.error is not None}

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopped

    def stop(self) -> None:
        """End every node, so that the trace says how it ended. Stopping twice is harmless."""
        for node in self.nodes if not self._stopped else ():
            if self.is_up(node):
                self.world.end(node, "stopped", "stop")
        self._stopped = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def __repr__(self) -> str:
        status = [s for s in self.status() if s is not None]
        leads = [f"node {s.node} leads term {s.term}" for s in status if s.role == Role.LEADER]
        down = [str(node) for node in self.nodes if not self.is_up(node)]
        faults = [f"node {node} stopped: {type(error).__name__}: {error}" for node, error in sorted(self.errors.items())]
        parts = [f"{len(self.nodes)} nodes, seed {self.seed}, at {self.now:.2f} s", *(leads or ["no leader"])]
        parts += [f"down: {', '.join(down)}"] if down else []
        return f"<Simulation: {'; '.join([*parts, *faults])}>"
