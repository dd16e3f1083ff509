"""The read modes and plain Raft on real nodes over gRPC."""

from __future__ import annotations

import threading

import pytest

from raftedu.core.config import ConfigError
from raftedu.live.client import Client
from raftedu.live.service import LiveError
from tests.live.helpers import events, eventually, logs_txt, up, wait_until_they_agree

pytestmark = pytest.mark.live

WAYS = [("wait-then-append", "read-index"), ("wait-then-append", "log"), ("no-lease", "read-index"), ("no-lease", "log")]


@pytest.mark.parametrize(("policy", "mode"), WAYS)
def test_what_was_set_is_read_before_and_after_a_crash_of_the_leader(make, policy, mode):
    cluster = make(3, lease_policy=policy, read_mode=mode)
    cluster.set("x", "1")
    assert (cluster.get("x"), cluster.get("nothing")) == ("1", "")
    old = cluster.wait_for_leader()
    cluster.crash(old)
    assert cluster.set("x", "2").outcome == "success"
    assert cluster.get("x") == "2"
    cluster.restart(old)
    wait_until_they_agree(cluster)
    assert set(events(cluster, "read_served")["facts"].map(lambda facts: facts["mode"])) == {mode}
    assert {op for op in cluster.trace.commits()["op"] if op.startswith("GET")} == ({"GET x", "GET nothing"} if mode == "log" else set())
    gets = [entry for entry in logs_txt(cluster, old) if entry.op == "GET"]
    assert bool(gets) == (mode == "log")
    assert cluster.trace.leases().empty == cluster.trace.promises().empty == (policy == "no-lease")


def test_many_readers_share_rounds(make):
    cluster = make(3, read_mode="read-index", pace=0.2)
    cluster.set("x", "1")
    address = list(cluster.addresses.values())
    read: list[str] = []

    def ask() -> None:
        with Client(address) as client:
            read.extend(client.get("x") for _ in range(20))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read == ["1"] * 160
    served = events(cluster, "read_served")
    assert len(served) == 160
    for facts in served["facts"]:
        assert facts["ackers"] and facts["read_index"] <= facts["applied"]


def test_a_leader_without_a_majority_answers_no_get_and_steps_down(make, impatient):
    cluster = make(3, lease_policy="no-lease", read_mode="read-index")
    cluster.set("x", "1")
    leader = cluster.wait_for_leader()
    for node in up(cluster):
        if node != leader:
            cluster.crash(node)
    assert cluster.request("GET", "x", deadline=20.0).outcome == "fail"
    eventually(lambda: len(events(cluster, "stepped_down", node=leader)), "the leader steps down")
    told = set(events(cluster, node=leader)["event"])
    assert not told & {"lease_expired", "lease_acquired", "lease_promised"}


def test_settings_that_contradict_are_refused(make):
    with pytest.raises(ConfigError, match="read_mode='lease' needs a lease"):
        make(3, lease_policy="no-lease")
    cluster = make(1, lease_policy="no-lease", read_mode="log")
    with pytest.raises(LiveError, match="nobody ever holds a lease"):
        cluster.wait_for_leader(lease=True)


def test_a_get_in_the_log_outlives_a_restart(make):
    cluster = make(1, read_mode="log", lease_policy="no-lease")
    cluster.set("a b", "1")
    assert cluster.get("a b") == "1"
    cluster.crash(1)
    cluster.restart(1)
    assert cluster.get("a b") == "1"
    assert [entry.op for entry in logs_txt(cluster, 1)] == ["NO-OP", "SET", "GET", "NO-OP", "GET"]
