"""How long nobody answers a SET after the leader was killed, beside what the protocol itself asks for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import NamedTuple

import raftedu
from bench.figure import Figure

__all__ = ["failovers"]

RUNS = 7
PACE = 0.1
GOAL = 0.010


class _Failover(NamedTuple):
    """Moments of one failover in protocol seconds: the kill, the first SET answered, and when one could have been at the earliest."""

    killed: float
    answered: float
    earliest: float


def failovers(folder: Path, tick: Callable[[int], None]) -> list[Figure]:
    """Return how long the failovers of some clusters took, and how much of that was ours and not the protocol's."""
    runs = []
    for run in range(RUNS):
        runs.append(_one(folder / str(run), run))
        tick(run)
    took = median(run.answered - run.killed for run in runs)
    asked = median(run.earliest - run.killed for run in runs)
    late = median((run.answered - run.earliest) * PACE for run in runs)
    measured = f"{took:.2f} s of the cluster, {asked:.2f} s is the most of election timeout and lease; {late * 1e3:.0f} wall ms are ours"
    return [Figure("leader killed to first SET answered", late, measured, f"aim: <= {GOAL * 1e3:.0f} ms", late <= GOAL)]


def _one(folder: Path, seed: int) -> _Failover:
    with raftedu.Cluster(5, pace=PACE, dir=folder, seed=seed) as cluster:
        cluster.set("x", "before")
        leader = cluster.wait_for_leader(lease=True)
        killed = cluster.now
        cluster.crash(leader)
        cluster.set("x", "after")
        answered = cluster.now
    return _Failover(killed, answered, _earliest(raftedu.read_dump(folder), killed))


def _earliest(trace: raftedu.Trace, killed: float) -> float:
    """Return when the new leader's election timer ran out, or the old lease, whichever is later; read from the dump."""
    frame = trace.frame
    elected = frame[(frame["event"] == "leader_elected") & (frame["time"] > killed)].iloc[-1]
    timers = frame[(frame["node"] == elected["node"]) & (frame["event"] == "timer_set") & (frame["time"] < elected["time"])]
    deadlines = [facts["deadline"] for facts in map(json.loads, timers["facts"]) if facts["timer"] == "election"]
    # The timer that ran out made it a candidate, which set another one; the last that lies before the election is the one.
    return max(max(d for d in deadlines if d <= elected["time"]), json.loads(elected["facts"])["wait_until"])
