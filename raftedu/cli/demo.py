"""``raftedu demo``: the story of a lease on real nodes, told as it happens, summed up from its dump.txt and drawn.

It plays with a `Cluster` as a notebook would. All heavy imports are made before the first node starts, or they would hold it up.
"""

from __future__ import annotations

import queue
import shutil
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from raftedu.cli.telling import ends_on_sigterm, one_line
from raftedu.core.config import ConfigError
from raftedu.core.outputs import Say
from raftedu.core.types import NodeId, Role, Seconds
from raftedu.events import DumpError
from raftedu.live.asking import RequestFailed
from raftedu.live.cluster import Cluster
from raftedu.live.service import LiveError
from raftedu.live.storage import StorageError
from raftedu.plot import plot_story
from raftedu.trace import Trace

__all__ = ["command"]

# The events of the story; of a client's requests and of commits, only what the leader does.
TOLD = {
    "election_started", "leader_elected", "lease_wait_started", "lease_wait_ended", "lease_acquired", "lease_expired", "lease_given_up",
    "stepped_down", "crashed", "stall", "fault",
}  # fmt: skip
TOLD_OF_LEADERS = {"client_request", "committed", "read_served"}
BRIGHT = {"leader_elected": "green", "lease_acquired": "green", "lease_wait_started": "yellow", "lease_wait_ended": "yellow"}
BRIGHT |= {"crashed": "red", "lease_expired": "red", "stall": "red", "fault": "red"}

STEPS = 7
PAIRS = [("x", "1"), ("y", "2"), ("x", "3")]
HEARTBEATS = 3
TRIES = 20


class Story:
    """Tells what happens, from whatever thread it is heard, and shows how far the story is."""

    def __init__(self, console: Console) -> None:
        self._console = console
        bar = (TextColumn("{task.description:<44}"), BarColumn(30), TimeElapsedColumn())
        self._progress = Progress(*bar, console=console, transient=True)
        self._task = self._progress.add_task("starting", total=STEPS)
        # The nodes' threads only queue: a slow terminal must not cost a leader its lease.
        self._heard: queue.SimpleQueue[tuple[Seconds, str, str] | None] = queue.SimpleQueue()
        self._teller = threading.Thread(target=self._tell, name="raftedu-story", daemon=True)

    def hear(self, node: NodeId, time: Seconds, sentence: str, say: Say) -> None:
        """Take an event of a node; see `raftedu.live.livenode.LiveNode`."""
        if say.event in TOLD or (say.event in TOLD_OF_LEADERS and say.role == Role.LEADER):
            self._heard.put((time, sentence, BRIGHT.get(say.event, "")))

    def step(self, what: str) -> None:
        """Go on to the next step."""
        self._progress.update(self._task, description=what, advance=1)

    def _tell(self) -> None:
        while (heard := self._heard.get()) is not None:
            time, sentence, style = heard
            self._console.print(f"{time:9.3f} s  {sentence}", style=style, markup=False, highlight=False, soft_wrap=True)

    def __enter__(self) -> Self:
        self._progress.start()
        self._teller.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._heard.put(None)
        self._teller.join()
        self._progress.stop()


@click.command(short_help="Play the story of a lease.")
@click.option("--pace", type=click.FloatRange(min=0, min_open=True), default=1.0, show_default=True,
              help="Your seconds in each second of the story; 0.05 plays it in a second or two.")  # fmt: skip
@click.option("--nodes", type=click.IntRange(min=3), default=5, show_default=True, help="How many nodes.")
@click.option("--lease", type=click.FloatRange(min=0, min_open=True), default=8.0, show_default=True, help="Its length in seconds.")
@click.option("--dir", "folder", type=click.Path(path_type=Path, file_okay=False),
              help="Where logs and picture go, an empty folder or a new one.  [default: the next raftedu-runs/NNN]")  # fmt: skip
@click.option("--seed", type=int, help="Fixes the timeouts that are drawn, and so who leads first.")
def command(pace: float, nodes: int, lease: float, folder: Path | None, seed: int | None) -> None:
    """Run real nodes, SET and GET, kill the leader, wait for its lease, GET again; then sum up and draw what happened.

    The leader of the moment answers a GET alone, for it holds a lease: as long as that runs, nobody else may lead. So the
    one who is elected after it was killed has to wait until the lease has run out, and meanwhile nothing can be SET or GET.
    """
    console = Console(highlight=False)
    with ends_on_sigterm(), one_line(ConfigError, LiveError, StorageError, DumpError, RequestFailed, OSError):
        _must_be_empty(folder)
        with Story(console) as story:
            with Cluster(nodes, lease=lease, pace=pace, dir=folder, seed=seed, listener=story.hear) as cluster:
                killed = _play(cluster, story)
                trace = cluster.trace
            story.step("drawing the picture")
            plot_story(trace).savefig(cluster.folder / "story.png")
        for line in _summary(trace, killed, cluster.folder, lease, cluster.config.election_min):
            console.print(line, markup=False, soft_wrap=True)


def _must_be_empty(folder: Path | None) -> None:
    if folder is not None and folder.exists() and any(folder.iterdir()):
        raise LiveError(f"{folder} is not empty, and the story begins with nodes that know nothing: choose another --dir, or leave it out")


def _play(cluster: Cluster, story: Story) -> NodeId:
    """Play the story, and return who was killed."""
    story.step("electing a leader")
    cluster.wait_for_leader(lease=True)
    story.step("SETs and GETs")
    for key, value in PAIRS:
        cluster.set(key, value)
        cluster.get(key)
    story.step("the leader renews its lease")
    leader = _prepare(cluster)
    _let_it_lead(cluster)
    story.step(f"node {leader} is killed")
    cluster.crash(leader)
    story.step("a GET, as soon as somebody may answer it")
    cluster.get("x")
    story.step("a SET by the new leader")
    cluster.set("x", "5")
    cluster.get("x")
    _let_it_lead(cluster)
    return leader


def _let_it_lead(cluster: Cluster) -> None:
    """Let some heartbeats pass, so that the picture shows how each renews the lease."""
    end = cluster.now + HEARTBEATS * cluster.config.heartbeat
    cluster.wait_until(lambda: cluster.now >= end, "a quiet time")


def _prepare(cluster: Cluster) -> NodeId:
    """Let one follower campaign as early as it may and the others as late, and return the leader.

    Follower and lease both count from the last heartbeat, so with a lease longer than the shortest election timeout the next leader
    finds a part of it left, however slow this machine is.
    """
    c = cluster.config
    for _ in range(TRIES):
        leader = cluster.wait_for_leader(lease=True)
        followers = [node for node in cluster.nodes if node != leader and cluster.is_up(node)]
        cluster.next_candidate(followers[0], after=c.election_min)
        if _all_have(cluster, cluster.set("y", "4").index) and cluster.leader == leader:
            return leader
    raise LiveError("no leader stays in office on this machine at this pace: try a larger --pace")


def _all_have(cluster: Cluster, index: int) -> bool:
    """Wait until every node holds the entry: then each has set its election timer after that."""
    cluster.wait_until(lambda: all(s is not None and s.last_log_index >= index for s in cluster.status()), "an entry on every node")
    return True


def _summary(trace: Trace, killed: NodeId, folder: Path, lease: Seconds, election_min: Seconds) -> list[str]:
    """Return what happened, read from the dumps alone."""
    led = [f"Node {row.node} led term {row.term} from {row.start:.3f} s {_until(row)}." for row in _rows(trace.leaders())]
    return [
        "", *led, *_handover(trace, killed, lease, election_min), "", f"picture  {folder / 'story.png'}",
        f"logs     {folder / 'logs_node_*'}", f"again    {_program()} dump {folder}", f"python   raftedu.read_dump({str(folder)!r})",
    ]  # fmt: skip


def _program() -> str:
    """Return what a shell knows this program by: `make demo` runs it from a .venv that is not active."""
    return "raftedu" if shutil.which("raftedu") else f"{sys.executable} -m raftedu"


def _until(row: Any) -> str:
    return "and still led at the end" if row.why == "open" else f"to {row.end:.3f} s ({row.why})"


def _handover(trace: Trace, killed: NodeId, lease: Seconds, election_min: Seconds) -> list[str]:
    crash = next(row for row in _rows(trace.faults()) if row.kind == "crashed" and row.node == killed)
    lines = [f"Node {killed} was killed at {crash.start:.3f} s."]
    after = [row for row in _rows(trace.waits()) if row.start >= crash.start]
    lines += [
        f"Node {row.node} won the election and had to wait {row.length:.3f} s, until {row.wait_until:.3f} s, "
        f"for the lease of node {killed} to run out."
        for row in after
    ]
    if not after:
        lines += [
            "Nobody had to wait: the old lease was over before the next leader was elected.",
            f"(Followers campaign {election_min} s after the last heartbeat at the earliest; the lease is {lease} s: try a longer one.)",
        ]
    next_lease = min(row.start for row in _rows(trace.leases()) if row.start > crash.start)
    return [*lines, f"From the kill on there was no lease, and nothing could be SET or GET, for {next_lease - crash.start:.3f} s."]


def _rows(frame: Any) -> list[Any]:
    return list(frame.itertuples())
