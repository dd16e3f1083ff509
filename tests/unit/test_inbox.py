"""The inbox of a node: what has come is seen at once, is taken in order, and wakes the node."""

from __future__ import annotations

from time import monotonic

from raftedu.core.inputs import Persisted
from raftedu.live.inbox import Arrival, Inbox, Note


def test_what_has_come_is_seen_before_the_node_wakes():
    inbox = Inbox()
    assert inbox.oldest is None
    before = monotonic()
    inbox.put(Arrival(Persisted(1)))
    assert inbox.oldest is not None and before <= inbox.oldest <= monotonic()


def test_arrivals_are_taken_in_order_and_those_left_are_kept():
    inbox = Inbox()
    for seq in range(5):
        inbox.put(Arrival(Persisted(seq)))
    inbox.put(Note("fault", None, {}))
    assert inbox.wait(60.0) == [Note("fault", None, {})]
    assert [arrival.input.seq for arrival in inbox.take(2)] == [0, 1]
    assert inbox.wait(0.0) == []
    assert [arrival.input.seq for arrival in inbox.take(9)] == [2, 3, 4] and inbox.oldest is None


def test_a_wake_ends_the_wait():
    inbox = Inbox()
    inbox.wake()
    start = monotonic()
    assert inbox.wait(60.0) == [] and monotonic() - start < 30
