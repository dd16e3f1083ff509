"""What the tests of live nodes share: waiting without believing in the machine's speed, and asking one node over gRPC."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import orjson
import pandas as pd

from raftedu.live.cluster import Cluster
from raftedu.live.log_lines import entry_of
from raftedu.live.proto import RaftStub
from raftedu.live.proto import messages as pb

ROOT = Path(__file__).parents[2]
ROUNDING = 2e-6  # dump.txt has microseconds
PACES = (0.05, 0.2, 0.8)
"""Where a story needs the machine to be quick for once: try it again in slower and slower time."""


def eventually(condition: Callable[[], Any], what: str, seconds: float = 60.0) -> Any:
    """Return the first true result of ``condition``; fail after so many wall seconds."""
    end = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.005)
    return result


@contextmanager
def stub_of(address: str) -> Any:
    with grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        yield RaftStub(channel)


def ask(address: str, op: str, key: str, value: str = "", timeout: float = 30.0) -> Any:
    """One attempt at one node, over gRPC; its ClientReply."""
    with stub_of(address) as stub:
        if op == "SET":
            return stub.Set(pb.SetRequest(key=key, value=value, op_id="t"), timeout=timeout)
        return stub.Get(pb.GetRequest(key=key, op_id="t"), timeout=timeout)


def up(cluster: Cluster) -> list[int]:
    return [node for node in cluster.nodes if cluster.is_up(node)]


def agree(cluster: Cluster) -> bool:
    """Whether all nodes that are up have the same log, committed and applied to its end."""
    status = [s for s in cluster.status() if s is not None]
    ends = {(s.last_log_index, s.commit_index, s.last_applied) for s in status}
    return len(ends) == 1 and len(set(ends.pop())) == 1 and len({cluster.log(node) for node in up(cluster)}) == 1


def wait_until_they_agree(cluster: Cluster) -> None:
    eventually(lambda: agree(cluster), f"all nodes with the same log\n{cluster}")


def followers(cluster: Cluster) -> list[int]:
    leader = cluster.wait_for_leader(lease=True)
    return [node for node in up(cluster) if node != leader]


def events(cluster: Cluster, *names: str, node: int | None = None) -> pd.DataFrame:
    """The events of these names, with their facts as dicts in place of the text."""
    frame = cluster.trace.only(event=names or None, node=node).frame
    return frame.assign(facts=[orjson.loads(text) for text in frame["facts"]])


def logs_txt(cluster: Cluster, node: int) -> list[Any]:
    """The entries in a node's logs.txt."""
    return [entry_of(line) for line in (cluster.folder / f"logs_node_{node}" / "logs.txt").read_text().split("\n")[:-1]]


def assert_no_two_leases(trace: Any) -> None:
    """No lease begins before every older one has run out, or was given up by a holder who said so."""
    rows = list(trace.leases().itertuples())
    for old, new in zip(rows, rows[1:], strict=False):
        over = old.expiry if old.why in ("crashed", "open", "stopped", "expired") else old.end
        assert new.start >= over - ROUNDING, f"two leases: {old} and {new}"


def assert_one_leader_a_term(trace: Any) -> None:
    leaders = trace.leaders()
    assert leaders["term"].is_unique, leaders


def resources() -> tuple[int, int, int]:
    """How many Python threads, threads of the system and open files this process has."""
    tasks, files = Path("/proc/self/task"), Path("/proc/self/fd")
    return threading.active_count(), len(os.listdir(tasks)) if tasks.exists() else 0, len(os.listdir(files)) if files.exists() else 0
