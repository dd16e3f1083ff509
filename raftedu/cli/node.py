"""``raftedu node``: one node in this process. Its own thread runs it; this one prints what it says."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from raftedu.cli.telling import ends_on_sigterm, one_line
from raftedu.core.config import ConfigError
from raftedu.core.outputs import Say
from raftedu.core.types import NodeId, Seconds
from raftedu.events import DumpError, is_course
from raftedu.live.clock import ClusterClock
from raftedu.live.livenode import LiveNode
from raftedu.live.peers import Peers, example_toml, read_peers
from raftedu.live.service import LiveError
from raftedu.live.storage import StorageError

__all__ = ["command"]

LOOK = 0.1  # wall seconds between two looks at whether the node still runs


@click.command(short_help="Run one node of a cluster.")
@click.option("--id", "node", type=click.IntRange(min=0), help="Which node of the file this one is.")
@click.option("--peers", "path", default="cluster.toml", show_default=True, help="The file that says where all nodes are.")
@click.option("--dir", "folder", type=click.Path(path_type=Path, file_okay=False), default=".", show_default=True,
              help="Where logs_node_X/ stands, or is made. A node that ran there before goes on from it.")  # fmt: skip
@click.option("--all", "everything", is_flag=True, help="Print every event, with its time, and not the course's sentences only.")
@click.option("--example", is_flag=True, help="Print a cluster.toml for five nodes on this machine, and end.")
def command(node: NodeId | None, path: str, folder: Path, everything: bool, example: bool) -> None:
    """Run one node until Ctrl-C, and print the course's sentences as they happen.

    \b
        raftedu node --example > cluster.toml
        raftedu node --id 1                       each in a terminal of its own:
        raftedu node --id 2                       1 to 5
        raftedu client SET x 1

    Everything is in logs_node_X/: the log (logs.txt), what must survive a crash (metadata.txt), all events (dump.txt).
    """  # noqa: D301 (click reads the backspace)
    if example:
        click.echo(example_toml(), nl=False)
        return
    if node is None:
        raise click.UsageError("say which node this is: --id 1")
    with ends_on_sigterm(), one_line(ConfigError, LiveError, StorageError, DumpError):
        _run(node, _peers_with(node, path), folder / f"logs_node_{node}", everything)


def _peers_with(node: NodeId, path: str) -> Peers:
    peers = read_peers(path)
    if node not in peers.addresses:
        raise ConfigError(f"{path}: there is no node {node}; [nodes] names {', '.join(map(str, peers.addresses))}")
    return peers


def _run(node: NodeId, peers: Peers, folder: Path, everything: bool) -> None:
    heard: queue.SimpleQueue[str] = queue.SimpleQueue()

    # The node's thread only queues: a slow terminal must not hold up a node, nor a closed one end it.
    def listener(who: NodeId, at: Seconds, sentence: str, say: Say) -> None:
        if everything:
            heard.put(f"{at:10.3f}  {sentence}")
        elif is_course(say):
            heard.put(sentence)

    clock = ClusterClock(peers.pace)
    live = LiveNode(node, peers.config, folder=folder, address=peers.addresses[node], clock=clock, listener=listener)
    if live.utc_zero is not None:
        # Its time goes on from where it began, through the time when it was down, as it does on the other nodes.
        clock.begin_at(max(live.last_time, (time.time() - live.utc_zero) / peers.pace))
    click.echo(f"Node {node} listens at {live.address} and writes to {folder}; Ctrl-C stops it.", err=True)
    with _stopped_at_the_end(live):
        live.start(peers.addresses)
        try:
            _print_while_it_runs(live, heard)
        except KeyboardInterrupt:
            live.stop()
    _print(heard)
    if live.error is not None:
        raise LiveError(f"node {node} stopped: {type(live.error).__name__}: {live.error}; the details are in {folder / 'dump.txt'}")
    click.echo(f"Node {node} has stopped; {folder} is complete.", err=True)


@contextmanager
def _stopped_at_the_end(live: LiveNode) -> Iterator[None]:
    try:
        yield
    finally:
        live.stop()


def _print_while_it_runs(live: LiveNode, heard: queue.SimpleQueue[str]) -> None:
    while not live.join(0):
        try:
            click.echo(heard.get(timeout=LOOK))
        except queue.Empty:
            continue
        _print(heard)


def _print(heard: queue.SimpleQueue[str]) -> None:
    while not heard.empty():
        click.echo(heard.get())
