"""A frozen cluster: the room looks at a running lease as long as it likes."""

from __future__ import annotations

import threading
import time

import pytest

from raftedu import RULES, LiveError
from raftedu.core.rules import lease_promise
from tests.live.helpers import ask, events, eventually, wait_until_they_agree
from tests.live.load import Writer

pytestmark = pytest.mark.live


def _quiet(cluster) -> int:
    """Return how many events there are, once what was under way when the clocks stopped has been said."""
    counts = [-1]

    def settled() -> bool:
        time.sleep(0.05)
        counts.append(len(cluster.trace))
        return counts[-1] == counts[-2]

    eventually(settled, "the cluster is quiet")
    return counts[-1]


@pytest.mark.parametrize("seconds", [1.5, pytest.param(5.0, marks=pytest.mark.slow)])
def test_nothing_happens_while_the_clocks_stand_still(make, seconds):
    """1.5 s of wall time are 7.5 protocol seconds here and 5 s are 25, three leases."""
    cluster = make(5, pace=0.2 if seconds == 5.0 else 0.05)
    cluster.set("x", "1")
    for _ in range(20):
        leader = cluster.wait_for_leader(lease=True)
        cluster.freeze()
        before = cluster.status()
        if before[leader - 1].lease_left > 0:
            break
        cluster.thaw()
    now, count = cluster.now, _quiet(cluster)
    time.sleep(seconds)  # what is tested is this silence
    assert cluster.now == now
    assert len(cluster.trace) == count
    assert cluster.status()[leader - 1].lease_left == before[leader - 1].lease_left > 0
    cluster.thaw()
    assert cluster.get("x") == "1"
    assert cluster.set("x", "2").outcome == "success"
    assert cluster.trace.end > now
    assert all(facts["late"] < seconds / cluster.pace / 2 for facts in events(cluster, "stall")["facts"]), "a freeze is no stall"


def test_nothing_changes_once_freeze_has_returned(make):
    def slow(view):
        time.sleep(0.02)
        return lease_promise(view)

    cluster = make(3, pace=0.05, rules=RULES.but(lease_promise=slow))
    cluster.wait_for_leader(lease=True)
    for _ in range(10):
        cluster.freeze()
        before = cluster.status()
        time.sleep(0.1)  # longer than any turn that was under way
        assert cluster.status() == before
        cluster.thaw()
        time.sleep(0.02)


def test_requests_to_a_frozen_cluster_are_a_clear_error(make):
    cluster = make(3)
    cluster.set("x", "1")
    cluster.freeze()
    for call in (lambda: cluster.set("x", "2"), lambda: cluster.get("x"), lambda: cluster.request("GET", "x")):
        with pytest.raises(LiveError, match="frozen.*thaw"):
            call()
    cluster.thaw()
    assert cluster.get("x") == "1"
    with pytest.raises(LiveError, match="freeze"):
        cluster.step()


def test_step_delivers_one_message_or_fires_one_timer(make):
    cluster = make(3)
    cluster.set("x", "1")
    cluster.wait_for_leader(lease=True)
    cluster.freeze()
    _quiet(cluster)
    before = cluster.trace.frame
    fired = received = 0
    for _ in range(30):
        said = cluster.step()
        after = cluster.trace.frame
        new = _later(after, before)
        before = after
        assert sorted(said) == sorted(new["sentence"])
        begun = new["event"].isin(["timer_fired", "received", "client_request"]).sum()
        assert begun == 1, new[["node", "event", "sentence"]]
        assert new["node"].nunique() == 1
        fired += (new["event"] == "timer_fired").sum()
        received += (new["event"] == "received").sum()
    assert fired and received
    cluster.thaw()
    assert cluster.get("x") == "1"


def _later(after, before):
    """The events that came later; by each node's own numbers, for many have one time."""
    known = before.groupby("node")["seq"].max()
    return after[after["seq"] > after["node"].map(known)]


def test_stepping_alone_elects_a_leader_and_gives_it_a_lease(make):
    cluster = make(3, first_timeout={2: 5.0})
    cluster.freeze()
    said = []
    for _ in range(200):
        said += cluster.step()
        if any("acquired" in line or "lease" in line and "until" in line and "Node 2" in line for line in said):
            break
    else:
        pytest.fail("\n".join(said))
    status = cluster.status()[1]
    assert status.role == "leader" and status.lease_left > 0
    cluster.thaw()


def test_a_step_that_ends_its_node_is_quick_too(make):
    """A rule that fails while a room looks on must not hold up the room."""
    armed = []

    def fails(view):
        if armed:
            raise ZeroDivisionError
        return lease_promise(view)

    cluster = make(3, rules=RULES.but(lease_promise=fails))
    cluster.wait_for_leader(lease=True)
    cluster.freeze()
    armed.append(True)
    longest = 0.0
    for _ in range(30):
        start = time.monotonic()
        cluster.step()
        longest = max(longest, time.monotonic() - start)
        if cluster.errors:
            break
    assert cluster.errors and longest < 8, "the step waited for a node that had ended"


def test_steps_are_quick_although_messages_were_lost_in_a_crash(make):
    cluster = make(3)
    leader = cluster.wait_for_leader(lease=True)
    cluster.freeze()
    for _ in range(3):
        cluster.step()
    cluster.crash(leader)
    start = time.monotonic()
    for _ in range(30):
        cluster.step()
    assert time.monotonic() - start < 20, "every step waits for a message that is lost"
    cluster.thaw()
    cluster.set("x", "1")


def test_freeze_and_thaw_race_with_load(make):
    cluster = make(3)
    cluster.wait_for_leader()
    writers = [Writer(cluster, number) for number in range(2)]
    for writer in writers:
        writer.start()

    def race() -> None:
        for _ in range(150):
            cluster.freeze()
            cluster.thaw()

    racers = [threading.Thread(target=race, daemon=True) for _ in range(2)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(120)
        assert not racer.is_alive(), "freeze and thaw hang"
    cluster.thaw()
    done = [len(writer.acknowledged) for writer in writers]
    eventually(lambda: all(len(w.acknowledged) > n for w, n in zip(writers, done, strict=True)), "SETs go on")
    for writer in writers:
        writer.finish()
    wait_until_they_agree(cluster)


def test_what_is_held_arrives_after_thaw(make):
    """A request that came in through gRPC while frozen is answered later, and the time it was held counts for nothing."""
    cluster = make(3, pace=0.05)
    cluster.set("x", "1")
    leader = cluster.wait_for_leader(lease=True)
    cluster.freeze()
    replies = []
    waiter = threading.Thread(target=lambda: replies.append(ask(cluster.addresses[leader], "GET", "x", timeout=60)))
    waiter.start()
    time.sleep(1.0)  # what is tested is this silence: 20 protocol seconds
    assert not replies
    cluster.thaw()
    waiter.join(60)
    assert replies
    assert all(facts["late"] < 15 for facts in events(cluster, "stall")["facts"])
