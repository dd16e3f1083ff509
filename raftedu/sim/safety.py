"""What must hold in every simulation, whatever was done to it: a short audit of what was said and of the logs as they stand.

Each check returns in words what is wrong, empty if nothing is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from typing import TypeAlias

from raftedu.core.outputs import Say
from raftedu.core.types import NodeId, Seconds
from raftedu.events import MemoryDump
from raftedu.sim.simulation import Simulation
from raftedu.trace import Trace, trace_of

__all__ = ["CHECKS", "broken"]

Check: TypeAlias = Callable[[Simulation], str]

_OF_LEASES = {
    "started", "crashed", "stopped", "fault", "clock_changed", "lease_acquired", "lease_renewed", "lease_expired", "lease_given_up",
    "stepped_down", "role_changed",
}  # fmt: skip
_SAME_TIME = 2e-6  # seconds: what rounding to microseconds may add


def _said(sim: Simulation, *events: str) -> Iterator[tuple[Seconds, NodeId, Say]]:
    for node in sim.nodes:
        for row in sim.world.dumps[node].rows:
            if row.say.event in events:
                yield row.time, node, row.say


def _one_leader_a_term(sim: Simulation) -> str:
    leaders: dict[int, NodeId] = {}
    for _, node, say in _said(sim, "leader_elected"):
        if leaders.setdefault(say.term, node) != node:
            return f"nodes {leaders[say.term]} and {node} both led term {say.term}"
    return ""


def _trace_of_leases(sim: Simulation) -> Trace:
    """Return the trace of what tells of leases only: the whole of a long run would take seconds."""
    dumps = []
    for node, dump in sim.world.dumps.items():
        part = MemoryDump(node)
        for row in dump.rows:
            if row.say.event in _OF_LEASES:
                part.write(row.time, row.say)
        dumps.append(part)
    return trace_of(dumps)


def _leases_are_disjoint(sim: Simulation) -> str:
    leases = _trace_of_leases(sim).leases()
    held = sorted(zip(leases["start"], leases["end"], leases["node"], strict=True))
    latest = (0.0, -1)
    for start, end, node in held:
        if start < latest[0] - _SAME_TIME and node != latest[1]:
            return f"node {node} holds a lease from {start:.2f} s on, and node {latest[1]} until {latest[0]:.2f} s"
        latest = max(latest, (end, node))
    return ""


def _committed_once(sim: Simulation) -> str:
    operations: dict[int, tuple[str, NodeId]] = {}
    for _, node, say in _said(sim, "committed"):
        assert say.index is not None
        op, first = operations.setdefault(say.index, (say.facts["op"], node))
        if op != say.facts["op"]:
            return f"index {say.index} is {op} on node {first} and {say.facts['op']} on node {node}"
    return ""


def _logs_match(sim: Simulation) -> str:
    for a, b in combinations(sim.nodes, 2):
        mine, theirs = sim.log(a), sim.log(b)
        same = [i for i, (x, y) in enumerate(zip(mine, theirs, strict=False)) if x[1] == y[1]]
        if same and mine[: same[-1] + 1] != theirs[: same[-1] + 1]:
            return f"nodes {a} and {b} agree on the term at index {same[-1] + 1} and not on what lies below"
    return ""


def _acknowledged_is_committed(sim: Simulation) -> str:
    acknowledged = {
        (say.facts["client"], say.facts["request"]): say.facts
        for _, _, say in _said(sim, "client_reply")
        if say.facts["op"] == "SET" and say.facts["outcome"] == "success"
    }
    # The node that has committed most; all others are to become like it.
    state = max((life.core.state for life in sim.world.lives.values()), key=lambda state: state.commit_index)
    kept = {(entry.client, entry.request) for entry in state.log.between(1, state.commit_index)}
    lost = [facts for name, facts in acknowledged.items() if name not in kept]
    return f"SET {lost[0]['key']} {lost[0]['value']} was acknowledged and is lost" if lost else ""


def _no_node_failed(sim: Simulation) -> str:
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


def broken(sim: Simulation) -> dict[str, str]:
    """Return what is broken, in words, by the name of the check."""
    found = {name: check(sim) for name, check in CHECKS.items()}
    return {name: words for name, words in found.items() if words}
