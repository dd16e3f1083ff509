"""The course's own six tests, on real nodes with gRPC and fsync."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from raftedu.live.proto import messages as pb
from tests.live.helpers import (
    PACES,
    ROUNDING,
    ask,
    assert_no_two_leases,
    assert_one_leader_a_term,
    events,
    eventually,
    followers,
    logs_txt,
    up,
    wait_until_they_agree,
)  # fmt: skip

pytestmark = pytest.mark.live


def test_0_five_nodes_elect_a_leader_whose_no_op_is_in_every_log(make):
    cluster = make(5)
    cluster.wait_for_leader(lease=True)
    wait_until_they_agree(cluster)
    assert len({tuple(logs_txt(cluster, node)) for node in cluster.nodes}) == 1
    for node in cluster.nodes:
        lines = Path(cluster.folder / f"logs_node_{node}" / "logs.txt").read_text().splitlines()
        assert lines[0].split("\t")[0].startswith("NO-OP ")
    assert_one_leader_a_term(cluster.trace)


def test_1_three_sets_are_replicated_and_gets_cost_no_message(make):
    cluster = make(5)
    cluster.wait_for_leader(lease=True)
    for i in range(3):
        cluster.set(f"k{i}", f"v{i}")
    for attempt in range(20):
        wait_until_they_agree(cluster)
        if _read_under_one_lease(cluster, f"{attempt}"):
            break
    else:
        pytest.fail("in twenty attempts there was no leader long enough for three GETs")
    for node in cluster.nodes:
        assert [e.words for e in logs_txt(cluster, node) if e.op == "SET"][:3] == ["SET k0 v0", "SET k1 v1", "SET k2 v2"]


def _read_under_one_lease(cluster, attempt: str) -> bool:
    """Do the GETs; return whether one leader answered them all. Then every message that it sent meanwhile was of a heartbeat."""
    for _ in range(10):
        assert [cluster.get(f"k{i}") for i in range(3)] == ["v0", "v1", "v2"]
    served = events(cluster, "read_served").tail(30)
    leader, start, end = served["node"].iloc[0], served["time"].iloc[0], served["time"].iloc[-1]
    if served["node"].nunique() > 1 or served["term"].nunique() > 1:
        return False
    mine = events(cluster, "sent", "heartbeat_round", "entry_appended", node=leader)
    window = mine[(mine["time"] >= start) & (mine["time"] <= end)]
    if (window["event"] == "entry_appended").any():
        return False
    beats = {row.facts["round"]: row.time for row in mine.itertuples() if row.event == "heartbeat_round"}
    sent = [row.facts for row in window.itertuples() if row.event == "sent"]
    assert all(facts["type"] == "AppendEntries" and facts["round"] in beats and facts["n_entries"] == 0 for facts in sent), sent
    inside = [time for time in beats.values() if start <= time <= end]
    assert len(inside) <= (end - start) / cluster.config.heartbeat + 2
    return True


@pytest.mark.parametrize("stopped", [1, 2])
def test_2_followers_that_were_down_catch_up(make, stopped):
    cluster = make(5)
    down = followers(cluster)[:stopped]
    for node in down:
        cluster.crash(node)
    for i in range(3):
        cluster.set(f"k{i}", f"v{i}")
    assert [cluster.get(f"k{i}") for i in range(3)] == ["v0", "v1", "v2"]
    for node in down:
        cluster.restart(node)
    wait_until_they_agree(cluster)
    assert len(up(cluster)) == 5
    for node in down:
        assert [e.words for e in logs_txt(cluster, node) if e.op == "SET"] == ["SET k0 v0", "SET k1 v1", "SET k2 v2"]
    assert_one_leader_a_term(cluster.trace)


def test_3_a_new_leader_takes_over_and_the_old_one_follows(make):
    cluster = make(5)
    cluster.set("before", "1")
    old = cluster.wait_for_leader()
    cluster.crash(old)
    new = cluster.wait_for_leader(lease=True)
    assert new != old
    cluster.set("a", "1")
    cluster.set("b", "2")
    assert (cluster.get("a"), cluster.get("b")) == ("1", "2")
    cluster.restart(old)
    wait_until_they_agree(cluster)
    words = [e.words for e in logs_txt(cluster, old) if e.op == "SET"]
    assert words == ["SET before 1", "SET a 1", "SET b 2"]
    assert cluster.get("before") == "1"
    assert_no_two_leases(cluster.trace)
    assert_one_leader_a_term(cluster.trace)


def test_4_without_a_majority_the_lease_is_used_up_and_the_leader_steps_down(make):
    for pace in PACES:
        cluster = make(5, pace=pace)
        cluster.set("x", "1")
        leader = _alone_but_for_one(cluster)
        reply = ask(cluster.addresses[leader], "GET", "x")
        eventually(lambda c=cluster: c.leader is None, "the leader steps down")
        if reply.outcome == pb.SUCCESS:
            break
    else:
        pytest.fail("not even at the slowest pace was a GET answered within a lease")
    assert reply.value == "1"
    lease = cluster.trace.leases().iloc[-1]
    assert (lease["node"], lease["why"]) == (leader, "expired")
    served = events(cluster, "read_served", node=leader)["time"].max()
    assert served < lease["expiry"] + ROUNDING
    ended = events(cluster, "lease_expired", "stepped_down", node=leader).tail(2)
    assert list(ended["event"]) == ["lease_expired", "stepped_down"]
    assert list(ended["sentence"]) == [f"Leader {leader} lease renewal failed. Stepping Down.", f"{leader} Stepping down"]
    assert (ended["time"] >= lease["expiry"] - ROUNDING).all()
    assert "lease_given_up" not in set(cluster.trace.only(node=leader).frame["event"].tail(10))


def _alone_but_for_one(cluster) -> int:
    """Stop three followers while time stands still, so that the whole lease is left; return the leader."""
    while True:
        leader = cluster.wait_for_leader(lease=True)
        cluster.freeze()
        status = cluster.status()[cluster.nodes.index(leader)]
        if status.role == "leader" and status.lease_left > 0 and status.commit_index == status.last_applied:
            break
        cluster.thaw()
    for node in [node for node in cluster.nodes if node != leader][:3]:
        cluster.crash(node)
    cluster.thaw()
    return leader


def test_5_with_two_of_five_nothing_is_promised_and_nobody_leads(make, impatient):
    cluster = make(5)
    cluster.set("x", "1")
    leader = _alone_but_for_one(cluster)
    late = []
    waiter = threading.Thread(target=lambda: late.append(ask(cluster.addresses[leader], "SET", "x", "2")))
    waiter.start()  # the leader may still take it, but can never commit it
    eventually(lambda: cluster.leader is None, "the leader steps down")
    waiter.join(30)
    appended = [e.words for e in logs_txt(cluster, leader)].count("SET x 2")
    assert late[0].outcome == (pb.UNKNOWN if appended else pb.FAIL), late
    since = cluster.now
    reads, writes = cluster.request("GET", "x", deadline=10), cluster.request("SET", "x", "3", deadline=10)
    # An attempt that a busy machine did not answer in time cannot be told from one that was appended.
    assert reads.outcome == "fail" and writes.outcome in ("fail", "unknown"), (reads, writes)
    both = up(cluster)
    for node, op in [(node, op) for node in both for op in ("SET", "GET")]:
        reply = ask(cluster.addresses[node], op, "x", "3")
        assert reply.outcome == pb.FAIL and "it knows no leader" in reply.reason and not reply.HasField("leader")
    eventually(lambda: all((events(cluster, "election_started", node=n)["time"] > since).sum() > 2 for n in both), "more elections")
    assert (events(cluster, "leader_elected")["time"] < since).all()
    assert all("SET x 3" not in [e.words for e in logs_txt(cluster, node)] for node in both)
    assert not events(cluster, "committed")["sentence"].str.contains("SET x [23]").any()
