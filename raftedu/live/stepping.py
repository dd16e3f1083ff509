"""Letting one thing happen in a frozen cluster, and saying which node campaigns first. Knows live nodes, no cluster."""

from __future__ import annotations

import random
import time
from collections.abc import Collection, Mapping, MutableMapping

from raftedu.core.config import Config
from raftedu.core.types import NodeId, Seconds
from raftedu.live.clock import ClusterClock
from raftedu.live.livenode import LiveNode
from raftedu.live.service import LiveError

__all__ = ["first_timeouts", "hold_still", "next_to_act", "settle"]


def next_to_act(lives: Collection[LiveNode], clock: ClusterClock) -> LiveNode:
    """Return the node that takes its message next, the oldest one held; without messages, move the frozen clock to the next timer."""
    running = [live for live in lives if live.running]
    waiting = [(live.oldest_arrival, live.node, live) for live in running if live.oldest_arrival is not None]
    if waiting:
        return min(waiting)[2]
    timers = [(live.next_timer - live.clock.now(), live.node, live) for live in running if live.next_timer is not None]
    if not timers:
        raise LiveError("nothing can happen: no node is up")
    left, _, live = min(timers)
    clock.advance(max(0.0, left) + 1e-9)  # a rounding must not leave the timer undue
    return live


def settle(flight: MutableMapping[str, NodeId], lives: Collection[LiveNode], patience: float = 2.0) -> None:
    """Wait for the messages on their way between the nodes, at most ``patience`` wall seconds: only what has arrived can be next."""
    end = time.monotonic() + patience
    running = {live.node for live in lives if live.running}
    while any(to in running for _, to in list(flight.items())):
        if time.monotonic() > end:
            flight.clear()  # lost with a connection that broke: nobody waits for it a second time
            return
        time.sleep(0.001)


def hold_still(lives: Collection[LiveNode], clock: ClusterClock, patience: float = 2.0) -> None:
    """Wait until the nodes have ended what they were doing when the clock was frozen, at most ``patience`` wall seconds."""
    end = time.monotonic() + patience
    while clock.frozen and time.monotonic() < end and any(live.running and not live.holds for live in lives):
        time.sleep(0.001)


def first_timeouts(config: Config, seed: int | None, given: Mapping[NodeId, Seconds]) -> dict[NodeId, Seconds]:
    """Return the first election timeout of every node, such that the announced one is clearly the first; empty: chance decides."""
    if not given and seed is None:
        return {}
    draw = random.Random(seed)
    drawn = {node: draw.uniform(config.election_min, config.election_max) for node in config.nodes}
    if not given:
        first = min(drawn, key=lambda node: drawn[node])
        given = {first: drawn[first]}
    gap = (config.election_max - config.election_min) / 10
    return {node: given.get(node, max(drawn[node], max(given.values()) + gap)) for node in config.nodes}
