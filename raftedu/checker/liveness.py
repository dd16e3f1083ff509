"""The liveness epilogue: after a storm everything is mended, and then something must happen again, within a bound.

What neither elects nor commits nor answers breaks no promise; it is found here. `raftedu.checker.probes` adds a few directed stories, for
mistakes that a storm meets rarely. Knows clusters and what a judge has seen, nothing of faults.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from raftedu.checker.invariants import Broken
from raftedu.checker.judge import Incident, Judge
from raftedu.checker.storm import Cluster
from raftedu.core.asking import ATTEMPT
from raftedu.core.config import Config
from raftedu.core.types import NodeId, Role, Seconds
from raftedu.sim.world import Operation

__all__ = ["PROGRESS", "RunTo", "answered", "epilogue", "patience"]

PROGRESS = "Progress After Healing"

ROUNDS = 8
"""So many elections may fail one after the other. Two of five nodes campaign within a message's time of each other in less than a tenth of
all rounds, so that eight in a row happen once in 10**8 runs."""

RunTo = Callable[[Seconds, Callable[[], bool]], None]
"""Lets time pass until a moment, or until the condition is true if that is earlier."""


def patience(config: Config) -> Seconds:
    """Return how many seconds after everything was mended a right cluster may need to answer a client.

    What was sent on a slow link before still comes, up to 1.5 leases late, and all behind it; an old leader may be a lease more in office;
    then come the elections, each at most ``election_max`` after the one before; then the winner waits for what was promised. All that on
    clocks that may be slow. At last a client has to find the leader: it may ask every other node in vain, twice.
    """
    on_a_clock = 2.5 * config.lease + ROUNDS * config.election_max + config.promise
    return on_a_clock / (1 - config.rho) + 2 * len(config.nodes) * ATTEMPT


def epilogue(cluster: Cluster, judge: Judge, seed: int, run_to: RunTo) -> Incident | None:
    """Mend everything, in 60 % of the runs but one node that stays down, and return what does not happen then."""
    down = _mend(cluster, Random(f"{seed}/epilogue"))
    return answered(cluster, judge, run_to, down)


def _mend(cluster: Cluster, r: Random) -> NodeId | None:
    nodes = cluster.nodes
    down = r.choice(nodes) if r.random() < 0.6 else None
    cluster.calm()
    for node in nodes:
        if node == down and cluster.is_up(node):
            cluster.crash(node)
        elif node != down and not cluster.is_up(node):
            cluster.restart(node)
    return down


def answered(cluster: Cluster, judge: Judge, run_to: RunTo, down: NodeId | None) -> Incident | None:
    """Demand a leader, an answered GET and SET, and that all nodes learn of it; return what is missing after the time that is allowed."""
    config, began = cluster.config, cluster.now
    limit = began + patience(config)
    # Without a NO-OP a leader cannot answer a GET before somebody has written, and whoever writes may speak to an earlier one (§8).
    for op in ("GET", "SET") if config.no_op_on_election else ("SET",):
        operation = cluster.world.operate(op, "x", f"end {op}" if op == "SET" else "", limit - cluster.now)
        run_to(limit, lambda operation=operation: operation.reply is not None)  # type: ignore[misc]
        if operation.reply is None or operation.reply.outcome != "success":
            return _missing(cluster, judge, op, began, down, operation)
    judge.happened.add("everything went on after a storm")
    return _learned(cluster, run_to)


def _missing(cluster: Cluster, judge: Judge, op: str, began: Seconds, down: NodeId | None, operation: Operation) -> Incident:
    waited = f"{cluster.now - began:.0f} s after everything was mended{'' if down is None else f' (node {down} stays down)'}"
    states = [life.core.state for life in cluster.world.lives.values() if not life.ended]
    leaders = [s for s in states if s.role is Role.LEADER]
    if not leaders:
        terms = sorted({s.term for s in states})
        what = f"nobody leads; {len(states)} nodes are up, in term{'s' if len(terms) > 1 else ''} {', '.join(map(str, terms))}"
    else:
        s = max(leaders, key=lambda leader: leader.term)
        if s.commit_index < s.log.last_index:
            what = f"node {s.node} leads term {s.term} and has committed {s.commit_index} of its {s.log.last_index} entries"
        else:
            what = f"node {s.node} leads term {s.term}"
        what += f", and no {op} is answered"
    return Incident(cluster.now, Broken(PROGRESS, f"{waited} {what}"))


def _learned(cluster: Cluster, run_to: RunTo) -> Incident | None:
    """Demand that every node that is up comes to know what was committed. That may take another election: of a node that was cut off."""

    def behind() -> list[NodeId]:
        states = [life.core.state for life in cluster.world.lives.values() if not life.ended]
        most = max(s.commit_index for s in states)
        return [s.node for s in states if s.last_applied < most]

    if not cluster.config.no_op_on_election:
        return None  # whoever is elected then knows of no commit before somebody writes (§5.4.2)
    run_to(cluster.now + patience(cluster.config), lambda: not behind())
    if not behind():
        return None
    who = behind()[0]
    return Incident(cluster.now, Broken(PROGRESS, f"all was mended, and node {who} does not come to know what is committed"))
