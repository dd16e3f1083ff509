"""A node's core is touched by one thread at a time, whoever calls: peers, clients, timers, the disk."""

from __future__ import annotations

import threading
from collections import defaultdict

import pytest

from raftedu.core.node import Node

pytestmark = pytest.mark.live


def test_every_input_of_a_node_is_taken_by_its_own_thread(make, monkeypatch):
    threads, inside, overlaps = defaultdict(set), set(), []
    step = Node.step

    def watched(node, input, now):
        if id(node) in inside:
            overlaps.append(input)
        inside.add(id(node))
        threads[id(node)].add(threading.get_ident())
        try:
            return step(node, input, now)
        finally:
            inside.discard(id(node))

    monkeypatch.setattr(Node, "step", watched)
    cluster = make(3)
    cluster.wait_for_leader(lease=True)
    callers = [threading.Thread(target=cluster.set, args=(f"k{i}", "v")) for i in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    cluster.stop()
    assert overlaps == []
    assert len(threads) == 3
    assert all(len(idents) == 1 for idents in threads.values())
    assert threading.get_ident() not in set().union(*threads.values())
