"""Whether a commit costs the same in a long log as in a short one: the core alone, and a real cluster under a stream of SETs."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import raftedu
from bench.figure import Figure, Times
from bench.trio import Trio
from bench.wire import Prober

__all__ = ["core_growth", "live_growth"]

SHORT, LONG = 1_000, 100_000
PIECE = 250
PIECES = 12
SINGLES = 300


def core_growth() -> list[Figure]:
    """Return what a commit costs at both lengths of the log, on all three nodes together, without disk and network."""
    trio = Trio()
    short = _at_length(trio, SHORT)
    long = _at_length(trio, LONG)
    ratio = long / short
    measured = f"{short * 1e6:.0f} us at {SHORT:,}, {long * 1e6:.0f} us at {LONG:,} entries: {ratio:.2f} x"
    return [Figure("cost of a commit, the core alone", ratio, measured, "<= 1.5 x", ratio <= 1.5)]


def _at_length(trio: Trio, entries: int) -> float:
    """Let the log grow to ``entries``; return the CPU seconds of a commit there, the median of many short pieces."""
    while trio.done < entries:
        trio.set(f"key{trio.done % 100}", "x" * 16)
    gc.collect()
    return median(_cpu_seconds(lambda: [trio.set(f"key{i % 100}", "x" * 16) for i in range(PIECE)]) / PIECE for _ in range(PIECES))


def live_growth(folder: Path, tick: Callable[[int], None]) -> list[Figure]:
    """Return what a SET costs three real nodes at both lengths; ``tick`` is told how long the log is."""
    with raftedu.Cluster(3, dir=folder, first_timeout={1: 0.1}) as cluster, Prober() as prober:
        prober.connect("raftedu", "raftedu", cluster.addresses[cluster.wait_for_leader(lease=True)])
        _fill(prober, SHORT, tick)
        waited, cost = _singles(prober), _stream_cost(prober)
        start, grown = time.perf_counter(), cluster.status()[0].last_log_index
        _fill(prober, LONG - grown, lambda done: tick(grown + done))
        rate = (LONG - grown) / (time.perf_counter() - start)
        waited_long, cost_long = _singles(prober), _stream_cost(prober)
    ratio = cost_long / cost
    measured = f"{cost * 1e6:.0f} us of CPU at {SHORT:,}, {cost_long * 1e6:.0f} us at {LONG:,} entries: {ratio:.2f} x"
    return [
        Figure("cost of a commit, 3 real nodes", ratio, measured, "<= 1.5 x", ratio <= 1.5),
        Figure("SET p50 at both lengths", waited_long.p50 / waited.p50, f"{waited.p50 * 1e3:.2f} ms, then {waited_long.p50 * 1e3:.2f} ms"),
        Figure("SETs on one client stream", rate, f"{rate:,.0f} a second"),
    ]


def _fill(prober: Prober, count: int, tick: Callable[[int], None]) -> None:
    for done in range(0, count, 2_000):
        prober.stream("raftedu", min(2_000, count - done))
        tick(done)


def _singles(prober: Prober) -> Times:
    prober.run("raftedu", "set", SINGLES // 3)
    return Times(prober.run("raftedu", "set", SINGLES))


def _stream_cost(prober: Prober) -> float:
    """Return the CPU seconds that all our threads spend on one SET of a stream, the client not counted: it is another process."""
    pieces = [_cpu_seconds(lambda: prober.stream("raftedu", PIECE * 2)) / (PIECE * 2) for _ in range(PIECES)]
    return median(pieces)


def _cpu_seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start
