"""What must hold in every simulation, whatever was done to it: a short audit of what was said and of the logs as they stand.

Each check returns in words what is wrong, empty if nothing is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import combinations
from typing import NamedTuple, Protocol, TypeAlias

from raftedu.core.log import Log
from raftedu.core.outputs import Say
from raftedu.core.types import Index, NodeId, Role, Seconds, Term
from raftedu.events import MemoryDump
from raftedu.sim.world import World

__all__ = ["CHECKS", "Audited", "broken"]


class Audited(Protocol):
    """What is audited: a `raftedu.Simulation`, or whatever else has a world and says of it the same."""

    @property
    def world(self) -> World:
        """The world in which it happened."""

    @property
    def nodes(self) -> list[NodeId]:
        """The ids of all nodes."""

    @property
    def errors(self) -> Mapping[NodeId, BaseException]:
        """What ended nodes against their will."""

    def log(self, node: NodeId) -> tuple[tuple[Index, Term, str], ...]:
        """Return the log of a node."""


class Span(NamedTuple):
    """A lease as its holder told of it, in seconds of the simulation."""

    start: Seconds
    end: Seconds
    node: NodeId


Check: TypeAlias = Callable[[Audited], str]

_HELD = {"lease_acquired", "lease_renewed"}
_GONE = {"crashed", "stopped", "fault", "lease_expired", "lease_given_up"}
_SAME_TIME = 2e-6  # seconds: what rounding to microseconds may add


def _said(sim: Audited, *events: str) -> Iterator[tuple[Seconds, NodeId, Say]]:
    for node in sim.nodes:
        for row in sim.world.dumps[node].rows:
            if row.say.event in events:
                yield row.time, node, row.say


def _one_leader_a_term(sim: Audited) -> str:
    leaders: dict[int, NodeId] = {}
    for _, node, say in _said(sim, "leader_elected"):
        if leaders.setdefault(say.term, node) != node:
            return f"nodes {leaders[say.term]} and {node} both led term {say.term}"
    return ""


def _leases(dump: MemoryDump) -> Iterator[Span]:
    """Yield the leases of one node, renewals merged; as `raftedu.trace.Trace.leases` has them, without a frame."""
    start, expiry, rate = 0.0, 0.0, None  # type: Seconds, Seconds, float | None
    holds = False
    for time, _, _, say in dump.rows:
        if say.event == "clock_changed":
            rate = None if say.facts["rate"] == 1.0 and not say.facts["offset"] else say.facts["rate"] or 1.0
        elif say.event in _HELD:
            if not holds:
                start, holds = time, True
            told, now = say.facts["expiry"], say.facts["now"]
            if told is None:  # only a wrong rule holds a lease without an end
                told = now
            expiry = told if rate is None else time + (told - now) / rate
        elif holds and (say.event in _GONE or (say.event == "role_changed" and say.facts["old"] == Role.LEADER)):
            yield Span(start, min(time, max(start, expiry)), dump.node)
            holds = False
    if holds:
        yield Span(start, max(start, expiry), dump.node)


def _leases_are_disjoint(sim: Audited) -> str:
    latest = Span(0.0, 0.0, -1)
    for lease in sorted(lease for dump in sim.world.dumps.values() for lease in _leases(dump)):
        if lease.start < latest.end - _SAME_TIME and lease.node != latest.node:
            return f"node {lease.node} holds a lease from {lease.start:.2f} s on, and node {latest.node} until {latest.end:.2f} s"
        latest = max(latest, lease, key=lambda span: span.end)
    return ""


def _committed_once(sim: Audited) -> str:
    operations: dict[int, tuple[str, NodeId]] = {}
    for _, node, say in _said(sim, "committed"):
        assert say.index is not None
        op, first = operations.setdefault(say.index, (say.facts["op"], node))
        if op != say.facts["op"]:
            return f"index {say.index} is {op} on node {first} and {say.facts['op']} on node {node}"
    return ""


def _logs_match(sim: Audited) -> str:
    for a, b in combinations(sim.nodes, 2):
        mine, theirs = sim.log(a), sim.log(b)
        same = [i for i, (x, y) in enumerate(zip(mine, theirs, strict=False)) if x[1] == y[1]]
        if same and mine[: same[-1] + 1] != theirs[: same[-1] + 1]:
            return f"nodes {a} and {b} agree on the term at index {same[-1] + 1} and not on what lies below"
    return ""


def _requests_in(log: Log) -> set[tuple[str, int]]:
    return {(entry.client, entry.request) for entry in log.between(1, log.last_index)}


def _acknowledged_is_committed(sim: Audited) -> str:
    acknowledged = {
        (say.facts["client"], say.facts["request"]): say.facts
        for _, _, say in _said(sim, "client_reply")
        if say.facts["op"] == "SET" and say.facts["outcome"] == "success"
    }
    # Once committed, an entry stays in the logs of a majority, whoever crashed meanwhile and forgot how far it had committed.
    copies = Counter(name for life in sim.world.lives.values() for name in _requests_in(life.core.state.log))
    kept = {name for name, count in copies.items() if count >= sim.world.config.majority}
    lost = [facts for name, facts in acknowledged.items() if name not in kept]
    return f"SET {lost[0]['key']} {lost[0]['value']} was acknowledged and is lost" if lost else ""


def _no_node_failed(sim: Audited) -> str:
    return "; ".join(f"node {node} failed: {error}" for node, error in sorted(sim.errors.items()))


CHECKS: dict[str, Check] = {
    "elections": _one_leader_a_term,
    "leases": _leases_are_disjoint,
    "commits": _committed_once,
    "logs": _logs_match,
    "writes": _acknowledged_is_committed,
    "nodes": _no_node_failed,
}
"""What is looked at, by the word that a script uses for it."""


def broken(sim: Audited) -> dict[str, str]:
    """Return what is broken, in words, by the name of the check."""
    found = {name: check(sim) for name, check in CHECKS.items()}
    return {name: words for name, words in found.items() if words}
