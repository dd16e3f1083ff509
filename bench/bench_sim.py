"""How many simulated events a second: ``python -m bench.bench_sim [seconds]``, with one process and with two.

An event is one line of a dump, kept in memory; a queue event is one thing that happens: a message arrives, a timer fires, an fsync ends.
Two stories, the same for every process but for the seed: five nodes with a leader whom nothing disturbs (most of any schedule is
that), and five nodes with writes and reads all the time, crashes and cuts.
"""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import NamedTuple

from raftedu.sim import Simulation

__all__ = ["Speed", "measure"]


class Speed(NamedTuple):
    """What one process did: events, queue events, simulated seconds, and how long it took."""

    events: int
    steps: int
    simulated: float
    wall: float
    cpu: float


def steady(sim: Simulation, seed: int) -> None:
    """Let a minute pass with one write and one read."""
    sim.begin("SET", "x", str(seed))
    sim.begin("GET", "x")
    sim.run(60)


def busy(sim: Simulation, seed: int) -> None:
    """Let half a minute pass, as busy as a class makes it, with a crash or a cut."""
    for i in range(20):
        sim.begin("SET" if i % 2 else "GET", f"k{i % 7}", str(seed) if i % 2 else "", deadline=20.0)
        sim.run(0.5)
    if sim.leader is not None and seed % 3 == 0:
        sim.crash(sim.leader)
    elif seed % 3 == 1:
        sim.isolate(1 + seed % 5)
    sim.run(20)
    for node in sim.nodes:
        if not sim.is_up(node):
            sim.restart(node)
    sim.heal()


STORIES = {"steady": steady, "busy": busy}


def measure(story: str, seed: int, seconds: float, listening: bool = True) -> Speed:
    """Play a story for so many wall seconds, three minutes in each simulation, so that memory stays as that of a schedule."""
    events = steps = 0
    simulated = 0.0
    wall, cpu = time.perf_counter(), time.process_time()
    while time.perf_counter() - wall < seconds:
        sim = Simulation(5, seed=seed, listening=listening)
        for part in range(6):
            STORIES[story](sim, seed + part)
        events += sum(dump.seq for dump in sim.world.dumps.values())
        steps += sim.world.steps
        simulated += sim.now
        seed += 1000
    return Speed(events, steps, simulated, time.perf_counter() - wall, time.process_time() - cpu)


def told(name: str, speeds: list[Speed]) -> str:
    """Return one line about some processes that ran at the same time."""
    events, steps, hours = (sum(values) / max(s.wall for s in speeds) for values in list(zip(*speeds, strict=True))[:3])
    cpu = sum(s.events or s.steps for s in speeds) / sum(s.cpu for s in speeds)
    return f"{name:34s} {events:9,.0f} events/s  {steps:8,.0f} queue events/s  {hours:7,.0f} simulated s/s  {cpu:9,.0f} a CPU second"


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 4.0
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        for story in STORIES:
            print(told(f"{story}, one process", [measure(story, 1, seconds)]), flush=True)
            list(pool.map(measure, [story] * 2, [1, 2], [0.1, 0.1]))  # both have loaded everything
            speeds = list(pool.map(measure, [story] * 2, [1, 2], [seconds] * 2))
            print(told(f"{story}, two processes on {os.cpu_count()} cores", speeds), flush=True)
    print(told("steady, no events kept", [measure("steady", 1, seconds, listening=False)]), flush=True)


if __name__ == "__main__":
    main()
