"""Record the runs in traces/ anew, on real nodes, and the picture of the README from one of them: ``python tools/record_traces.py``.

A recorded run keeps what its nodes wrote, and nothing else. Each is checked before it replaces the old one.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import raftedu as raft

ROOT = Path(__file__).parent.parent
README = """# {title}

{story}

Load it with `raftedu.load_trace("{name}")`. Recorded on real nodes by `python tools/record_traces.py`; the times are protocol seconds.
"""


def lease_handover(folder: Path) -> None:
    """Five nodes at the default timings; the leader is killed, and its successor waits for its lease."""
    with raft.Cluster(5, lease=8.0, pace=0.5, first_timeout={2: 5.0}, dir=folder) as cluster:
        cluster.wait_for_leader(lease=True)
        for i in range(3):
            cluster.set("x", str(i))
        cluster.get("x")
        cluster.next_candidate(4, after=6.0)
        pause(cluster, 4.5)
        cluster.crash(2)
        cluster.get("x")
        for i in range(3, 6):
            cluster.set("x", str(i))
            pause(cluster, 1.0)
        cluster.get("x")
        pause(cluster, 3.0)
        shutil.copytree(folder, folder.parent / "kept")


def pause(cluster: raft.Cluster, seconds: float) -> None:
    """Let the cluster run for ``seconds``."""
    end = cluster.now + seconds
    cluster.wait_until(lambda: cluster.now >= end)


def record() -> None:
    """Record the lease handover and draw it for the README."""
    with tempfile.TemporaryDirectory() as work:
        lease_handover(Path(work) / "run")
        trace = raft.read_dump(Path(work) / "kept")
        wait = trace.waits().iloc[-1]
        if list(trace.leases()["node"]) != [2, 4] or not wait["length"] > 1.0:
            raise SystemExit(f"the machine was too busy, the run shows something else; try again: {trace.leases()}")
        target = ROOT / "traces" / "lease_handover"
        shutil.rmtree(target, ignore_errors=True)
        for dump in sorted((Path(work) / "kept").glob("logs_node_*")):
            shutil.copytree(dump, target / dump.name, ignore=shutil.ignore_patterns(".lock"))
    story = (
        "Five nodes with the default timings (election 5–10 s, heartbeat 1 s, lease 8 s). Node 2 is elected in term 1 and serves SETs "
        f"and GETs. It is killed; node 4 wins term 2 at {wait['start']:.1f} s and waits {wait['length']:.1f} s, until the promises given "
        "to node 2 have run out, before it holds a lease, commits and answers."
    )
    (target / "README.md").write_text(README.format(title="Lease handover", story=story, name="lease_handover"))
    pictures = ROOT / "docs" / "pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    raft.plot_story(raft.load_trace("lease_handover")).savefig(pictures / "lease_handover.png", dpi=110)


if __name__ == "__main__":
    record()
