"""What one client waits for a SET and a GET, ours beside etcd's: both clusters run at once, and are asked in turns by the same client."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import raftedu
from bench.etcd import etcd_cluster, etcd_version, free_ports
from bench.figure import Figure, Times, ratio_text
from bench.wire import Asked, Prober

__all__ = ["sets_and_gets"]

TURNS, IN_A_TURN, WARM = 10, 100, 200
OURS, PROCESSES, ETCD = "raftedu", "processes", "etcd"
OPS = ("set", "get", "nothing")
PATIENCE = 60.0


def sets_and_gets(folder: Path) -> list[Figure]:
    """Return the figures of single operations; what is measured of etcd is left out where it is not installed."""
    version = etcd_version()
    with ExitStack() as stack:
        cluster = stack.enter_context(raftedu.Cluster(3, dir=folder / "cluster", first_timeout={1: 0.1}))
        addresses = {OURS: cluster.addresses[cluster.wait_for_leader(lease=True)]}
        addresses[PROCESSES] = stack.enter_context(_processes(folder / "processes"))
        if version:
            addresses[ETCD] = stack.enter_context(etcd_cluster(folder / "etcd"))
        prober = stack.enter_context(Prober())
        took = _in_turns(prober, addresses)
        quiet = _messages_of_gets(prober, cluster)
    return [*_rows(took, version), quiet]


def _in_turns(prober: Prober, addresses: dict[str, str]) -> dict[tuple[str, str], Times]:
    for kind, address in addresses.items():
        prober.connect(kind, ETCD if kind == ETCD else OURS, address)
        prober.run(kind, "set", WARM)
    took = {(kind, op): Times() for kind in addresses for op in OPS}
    for _ in range(TURNS):
        for (kind, op), times in took.items():
            times.add(prober.run(kind, op, IN_A_TURN))
    return took


def _rows(took: dict[tuple[str, str], Times], version: str) -> list[Figure]:
    rows = [
        Figure("SET, 1 client, 3 nodes, fsync", took[OURS, "set"].p50, str(took[OURS, "set"])),
        Figure("the same, each node its own process", took[PROCESSES, "set"].p50, str(took[PROCESSES, "set"])),
        Figure("GET under lease", took[OURS, "get"].p50, str(took[OURS, "get"])),
        Figure("an empty call (Status)", took[OURS, "nothing"].p50, str(took[OURS, "nothing"])),
    ]
    if not version:
        return [*rows, Figure("etcd", 0.0, "left out: it is not installed (apt-get install etcd-server)")]
    ratio = took[OURS, "set"].p50 / took[ETCD, "set"].p50
    text = ratio_text(took[OURS, "set"].p50, took[ETCD, "set"].p50)
    return [
        *rows,
        Figure(f"etcd {version}: SET", took[ETCD, "set"].p50, str(took[ETCD, "set"])),
        Figure(f"etcd {version}: GET, linearizable", took[ETCD, "get"].p50, str(took[ETCD, "get"])),
        Figure(f"etcd {version}: an empty call (Status)", took[ETCD, "nothing"].p50, str(took[ETCD, "nothing"])),
        Figure("SET p50, ours to etcd's", ratio, text, "<= 3 x", ratio <= 3.0),
    ]


def _messages_of_gets(prober: Prober, cluster: raftedu.Cluster) -> Figure:
    """Count, in the dump of the leader, what it sent while it served GETs and that was no heartbeat."""
    start = cluster.now
    prober.run(OURS, "get", 1_000)
    end = cluster.now
    frame = cluster.trace.frame
    frame = frame[(frame["time"] >= start) & (frame["time"] <= end)]
    served = int((frame["event"] == "read_served").sum())
    heartbeats = {json.loads(facts)["round"] for facts in frame.loc[frame["event"] == "heartbeat_round", "facts"]}
    sent = [json.loads(facts) for facts in frame.loc[(frame["event"] == "sent") & (frame["role"] == "leader"), "facts"]]
    others = sum(message.get("round") not in heartbeats for message in sent)
    if served < 1_000:
        raise Asked(f"only {served} of 1000 GETs are in the dump")
    return Figure("messages to followers for 1,000 GETs", others, f"{others}", "0", others == 0)


@contextmanager
def _processes(folder: Path) -> Iterator[str]:
    """Yield the leader's address of three ``raftedu node`` processes."""
    folder.mkdir(parents=True)
    addresses = {node: f"127.0.0.1:{port}" for node, port in enumerate(free_ports(3), 1)}
    lines = ["[nodes]", *(f'{node} = "{address}"' for node, address in addresses.items())]
    (folder / "cluster.toml").write_text("\n".join(lines) + "\n")
    nodes = [
        subprocess.Popen(
            [sys.executable, "-m", "raftedu", "node", "--id", str(node), "--peers", "cluster.toml"],
            cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=_with_this_tree(),
        )
        for node in addresses
    ]  # fmt: skip
    try:
        yield addresses[_leader(addresses)]
    finally:
        for process in nodes:
            process.terminate()
        for process in nodes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(10.0)
            process.kill()
            process.wait()


def _with_this_tree() -> dict[str, str]:
    tree = str(Path(raftedu.__file__).parent.parent)
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [tree, os.environ.get("PYTHONPATH")]))}


def _leader(addresses: dict[int, str]) -> int:
    end = time.monotonic() + PATIENCE
    with raftedu.Client(addresses) as client:
        while time.monotonic() < end:
            for node, status in client.status().items():
                if status is not None and status.lease_left > 0:
                    return node
            time.sleep(0.1)
    raise TimeoutError(f"no node process led within {PATIENCE} s")
