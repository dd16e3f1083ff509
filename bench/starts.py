"""How soon a cluster is up, and gone again; and what ``import raftedu`` costs a fresh process."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import raftedu
from bench.figure import Figure, timed

__all__ = ["clusters_up", "imports"]

RUNS = 10


def clusters_up(folder: Path, tick: Callable[[int], None]) -> list[Figure]:
    """Return how long five nodes take from `Cluster` to all of them answering over gRPC, and to be stopped."""
    up, down = [], []
    for run in range(RUNS + 1):
        start = time.perf_counter()
        cluster = raftedu.Cluster(5, dir=folder / str(run))
        with raftedu.Client(cluster) as client:
            if None in client.status().values():
                raise RuntimeError("a node did not answer although its cluster was up")
            up.append(time.perf_counter() - start)
        down.append(timed(cluster.stop))
        tick(run)
    up, down = up[1:], down[1:]  # the first one also loads what is loaded when it is first used
    ok = median(up) <= 0.2
    return [
        Figure("five nodes up and answering", median(up), f"{median(up) * 1e3:.0f} ms (at most {max(up) * 1e3:.0f})", "<= 200 ms", ok),
        Figure("five nodes stopped", median(down), f"{median(down) * 1e3:.0f} ms (at most {max(down) * 1e3:.0f})"),
    ]


def imports(tick: Callable[[int], None]) -> list[Figure]:
    """Return what ``import raftedu`` adds to the start of a fresh Python."""
    with_it, bare = [], []
    for run in range(RUNS + 1):
        bare.append(timed(lambda: _python("pass")))
        with_it.append(timed(lambda: _python("import raftedu")))
        tick(run)
    seconds = median(with_it[1:]) - median(bare[1:])
    measured = f"{seconds * 1e3:.0f} ms beside {median(bare[1:]) * 1e3:.0f} ms of bare Python"
    return [Figure("import raftedu", seconds, measured, "<= 150 ms", seconds <= 0.15)]


def _python(code: str) -> None:
    tree = str(Path(raftedu.__file__).parent.parent)
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tree)
