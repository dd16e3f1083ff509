"""Clusters of all sizes, partitions, policies, pace, directed elections, recovery."""

from __future__ import annotations

import threading
import time

import pandas as pd
import pytest

from raftedu import LiveError, RequestFailed
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
    wait_until_they_agree,
)  # fmt: skip

pytestmark = pytest.mark.live


def test_smoke(make):
    """Everything once: `make lower-bounds` runs this."""
    cluster = make(3)
    assert cluster.get("x") == ""
    assert cluster.set("x", "1").outcome == "success"
    assert cluster.get("x") == "1"
    old = cluster.wait_for_leader(lease=True)
    cluster.crash(old)
    assert cluster.get("x") == "1"
    cluster.restart(old)
    wait_until_they_agree(cluster)
    assert len(cluster.trace.leases()) >= 2 and "leader" in repr(cluster)
    assert_no_two_leases(cluster.trace)


@pytest.mark.parametrize("nodes", [1, 2, 3, 7, (0, 5, 10**12)])
def test_clusters_of_all_sizes_and_ids(make, nodes):
    cluster = make(nodes)
    cluster.set("x", "1")
    assert cluster.get("x") == "1"
    wait_until_they_agree(cluster)
    assert all([e.words for e in logs_txt(cluster, node) if e.op == "SET"] == ["SET x 1"] for node in cluster.nodes)
    assert_one_leader_a_term(cluster.trace)


def test_a_cluster_of_one_needs_no_wait_after_a_crash(make):
    cluster = make(1)
    cluster.set("x", "1")
    cluster.crash(1)
    cluster.restart(1)
    assert cluster.get("x") == "1"
    assert not (cluster.trace.waits()["length"] > ROUNDING).any()


def test_node_zero_leads_is_voted_for_and_is_hinted_at(make):
    for pace in PACES:
        cluster = make((0, 1, 2), pace=pace, first_timeout={0: 5.0})
        cluster.wait_for_leader(lease=True)
        reply = ask(cluster.addresses[1], "SET", "x", "1")
        if reply.HasField("leader") and reply.leader.node == 0:
            break
    else:
        pytest.fail("not even at the slowest pace did node 0 lead")
    assert reply.outcome == pb.FAIL and reply.leader.address == cluster.addresses[0]
    granted = events(cluster, "vote_granted")
    assert (granted["peer"] == 0).any()
    cluster.set("x", "1")
    cluster.crash(0)
    cluster.restart(0)
    assert cluster.get("x") == "1"
    wait_until_they_agree(cluster)


# ---- faults


def test_a_cut_off_leader_serves_until_its_lease_ends_and_refuses_right_after(make):
    """[U16] Judged by the dump's own times."""
    for pace in PACES:
        cluster = make(5, pace=pace)
        cluster.set("x", "1")
        old = cluster.wait_for_leader(lease=True)
        cluster.partition([old, next(n for n in cluster.nodes if n != old)])
        replies = []
        while not replies or replies[-1].outcome == pb.SUCCESS or len(replies) < 5:
            replies.append(ask(cluster.addresses[old], "GET", "x"))
        assert {reply.value for reply in replies if reply.outcome == pb.SUCCESS} <= {"1"}
        cluster.set("x", "2")  # by the others, who have a majority
        assert cluster.get("x") == "2"
        lost = ask(cluster.addresses[old], "GET", "x")
        assert lost.outcome == pb.FAIL
        cut = events(cluster, "link_cut", node=old)["time"].max()
        lease = cluster.trace.leases().query("node == @old and start < @cut").tail(1)
        served = events(cluster, "read_served", node=old)
        if len(lease) and (served["time"] > cut).any() and lease["why"].item() == "expired":
            break
    else:
        pytest.fail("not even at the slowest pace was a GET asked between the cut and the end of the lease")
    assert (served["time"] < lease["expiry"].item() + ROUNDING).all()
    refused = events(cluster, "read_refused", "lease_expired", node=old)
    assert (refused["time"] >= lease["expiry"].item() - ROUNDING).any()
    cluster.heal()
    wait_until_they_agree(cluster)
    assert [e.words for e in logs_txt(cluster, old) if e.op == "SET"] == ["SET x 1", "SET x 2"]
    assert_no_two_leases(cluster.trace)
    assert_one_leader_a_term(cluster.trace)


def test_what_the_minority_appended_is_unknown_to_its_client_and_gone_after_the_heal(make):
    cluster = make(3, pace=0.05)
    cluster.set("x", "1")
    old = cluster.wait_for_leader(lease=True)
    cluster.partition([old])
    lost = ask(cluster.addresses[old], "SET", "x", "never")
    appended = any("never" in words for _, _, words in cluster.log(old))
    assert lost.outcome == (pb.UNKNOWN if appended else pb.FAIL)
    assert cluster.set("x", "2").outcome == "success"
    cluster.heal()
    wait_until_they_agree(cluster)
    assert cluster.get("x") == "2"
    assert not any("never" in words for node in cluster.nodes for _, _, words in cluster.log(node))
    if appended:
        assert len(events(cluster, "entries_truncated", node=old))


def test_partitions_show_in_the_dump_and_are_checked(make):
    cluster = make(4)
    cluster.partition([1, 2], [3, 4])
    cluster.heal()
    cluster.wait_until(lambda: len(cluster.trace.only(event="link_healed")) == 8, "eight healed links")
    cut = cluster.trace.only(event="link_cut").frame
    assert {(row.node, row.peer) for row in cut.itertuples()} == {(a, b) for a in (1, 2) for b in (3, 4)} | {
        (a, b) for a in (3, 4) for b in (1, 2)
    }
    assert len(cluster.trace.faults()) == 8
    for groups, words in [(([1], [1, 2]), "two groups"), (([9],), "no node 9")]:
        with pytest.raises(LiveError, match=words):
            cluster.partition(*groups)
    with pytest.raises(TypeError, match="each in brackets"):
        cluster.partition(1, 2)
    with pytest.raises(LiveError, match="no node 9"):
        cluster.crash(9)
    with pytest.raises(LiveError, match="running"):
        cluster.restart(1)
    cluster.crash(1)
    with pytest.raises(LiveError, match="down"):
        cluster.crash(1)
    cluster.crash(2)
    cluster.crash(3)
    with pytest.raises(LiveError, match="leader"):
        cluster.crash(None)


def test_a_thread_that_did_not_run_serves_no_stale_read(make):
    """The leader's thread is held up for longer than its lease while a GET waits in its inbox (a suspended process, LS-14)."""
    gate, held, who = threading.Event(), threading.Event(), []

    def listener(node, time, sentence, say):
        if who == [node] and say.event == "heartbeat_round" and not gate.is_set():
            held.set()
            gate.wait(60)

    cluster = make(3, listener=listener)
    cluster.set("x", "1")
    old = cluster.wait_for_leader(lease=True)
    who.append(old)
    try:
        if not held.wait(60):
            pytest.fail("the leader sends no heartbeats")
        replies = []
        waiter = threading.Thread(target=lambda: replies.append(ask(cluster.addresses[old], "GET", "x", timeout=120)))
        waiter.start()
        rest = [node for node in cluster.nodes if node != old]
        eventually(lambda: any(s.lease_left > 0 for s in cluster.status() if s.node in rest and s.role == "leader"), "another leader")
        new = next(s.node for s in cluster.status() if s.node in rest and s.role == "leader")
        assert ask(cluster.addresses[new], "SET", "x", "2").outcome in (pb.SUCCESS, pb.FAIL, pb.UNKNOWN)
    finally:
        gate.set()
    waiter.join(60)
    assert replies[0].outcome == pb.FAIL, replies
    assert len(events(cluster, "stall", node=old))
    assert_no_two_leases(cluster.trace)


# ---- settings


def test_deferred_commit_replicates_in_the_wait_and_commits_after_it(make):
    for pace in PACES:
        cluster = make(3, pace=pace, lease_policy="deferred-commit")
        cluster.set("x", "1")
        old = cluster.wait_for_leader(lease=True)
        for i, node in enumerate(followers(cluster)):
            cluster.fix_timeout(node, 6.0 + 3 * i)
        heard = cluster.now
        eventually(lambda c=cluster, h=heard: (events(c, "append_accepted").groupby("node")["time"].max() > h).sum() == 2, "heartbeats")
        cluster.crash(old)
        assert cluster.set("x", "2").outcome == "success"
        assert cluster.get("x") == "2"
        assert_no_two_leases(cluster.trace)
        for wait in cluster.trace.waits().query("length > 0.5 and end < @cluster.now").itertuples():
            said = events(cluster, "entry_appended", "committed", node=wait.node)
            said = said[(said["time"] >= wait.start) & (said["time"] < wait.end) & (said["term"] == wait.term)]
            assert "committed" not in set(said["event"])
            if "entry_appended" in set(said["event"]):
                return
    pytest.fail("not even at the slowest pace did a new leader have to wait")


def test_pace_may_change_while_the_cluster_runs(make):
    cluster = make(3, pace=0.02)
    cluster.set("x", "1")
    before = cluster.now
    cluster.pace = 0.5
    assert 0 <= cluster.now - before < 1000
    assert cluster.pace == 0.5
    assert cluster.get("x") == "1"
    cluster.pace = 0.02
    assert cluster.set("x", "2").outcome == "success"
    frame = cluster.trace.frame
    assert frame.groupby("node")["time"].apply(lambda times: times.is_monotonic_increasing).all()
    with pytest.raises(ValueError, match="pace"):
        cluster.pace = 0
    assert_no_two_leases(cluster.trace)


@pytest.mark.parametrize("settings", [{"first_timeout": {2: 5.0}}, {"seed": 7}, {"seed": 8}, {"seed": 7, "first_timeout": {3: 2.0}}])
def test_the_announced_node_campaigns_first(make, settings):
    announced, was_first = set(), False
    for pace in PACES:
        cluster = make(3, pace=pace, **settings)
        announced.add(cluster.first_candidate)
        cluster.wait_for_leader()
        first = events(cluster, "timer_set").groupby("node").head(1)
        durations = {row.node: round(row.facts["deadline"] - row.time, 1) for row in first.itertuples()}
        assert min(durations, key=durations.get) == cluster.first_candidate
        was_first = cluster.trace.elections().iloc[0]["candidate"] == cluster.first_candidate
        cluster.stop()
        if was_first:
            break  # on a machine that is held up, a timer of half a second less may still be too late
    assert was_first and len(announced) == 1
    if "first_timeout" in settings:
        assert announced == set(settings["first_timeout"])


def test_the_same_seed_draws_the_same_timeouts(make):
    drawn = []
    for _ in range(2):
        cluster = make(3, seed=7)
        eventually(lambda c=cluster: events(c, "timer_set")["node"].nunique() == 3, "all timers")
        first = events(cluster, "timer_set").groupby("node").head(1)
        drawn.append([cluster.first_candidate, *(round(cluster.config.election_min + row.facts["deadline"]) for row in first.itertuples())])
    assert drawn[0] == drawn[1]


def test_what_a_tired_student_types_costs_no_node(make):
    cluster = make(3)
    cluster.set("x", "1")
    for wrong in (lambda: cluster.set(1, 2), lambda: cluster.set("x", None), lambda: cluster.get(1)):
        with pytest.raises(TypeError, match="keys and values are text: write"):
            wrong()
    with pytest.raises(TypeError, match="it needs a function"):
        cluster.wait_until(cluster.now > 5)
    assert all(cluster.is_up(node) for node in cluster.nodes) and cluster.get("x") == "1"


def test_without_seed_chance_decides(make):
    assert make(1).first_candidate is None


def test_errors_of_set_and_get_say_what_is_known(make, impatient):
    cluster = make(3)
    cluster.set("x", "1")
    for node in followers(cluster):
        cluster.crash(node)
    eventually(lambda: cluster.leader is None, "it steps down")
    with pytest.raises(RequestFailed) as error:
        cluster.set("x", "2", deadline=1)
    assert error.value.reply.outcome == "fail"
    with pytest.raises(RequestFailed):
        cluster.get("x", deadline=1)
    with pytest.raises(LiveError, match="a leader"):
        cluster.wait_for_leader(timeout=1)


# ---- recovery


def test_an_explicit_folder_recovers_and_its_times_go_on(make, tmp_path):
    for life in range(1, 4):
        cluster = make(3, dir=tmp_path / "run")
        for earlier in range(1, life):
            assert cluster.get(f"k{earlier}") == f"v{earlier}"
        cluster.set(f"k{life}", f"v{life}")
        if life == 2:
            cluster.crash(cluster.wait_for_leader())
        cluster.stop()
    trace = cluster.trace
    for node in cluster.nodes:
        frame = pd.read_csv(tmp_path / "run" / f"logs_node_{node}" / "dump.txt", sep="\t")
        assert frame["time"].is_monotonic_increasing and list(frame["seq"]) == list(range(1, len(frame) + 1))
        assert [facts["incarnation"] for facts in events(cluster, "started", node=node)["facts"]] == [1, 2, 3]
    assert_one_leader_a_term(trace)
    assert_no_two_leases(trace)


def test_without_a_folder_runs_are_numbered(tmp_path, monkeypatch, make):
    from raftedu.live.cluster import Cluster

    monkeypatch.chdir(tmp_path)
    for number in (1, 2):
        with Cluster(1, pace=0.02) as cluster:
            assert cluster.folder == tmp_path / "raftedu-runs" / f"00{number}"
            assert f"00{number}" in repr(cluster)


def test_many_callers_at_once(make):
    cluster = make(3)
    cluster.wait_for_leader(lease=True)
    wrong = []

    def work(name: int) -> None:
        for i in range(40):
            cluster.set(f"k{name}", str(i))
            if cluster.get(f"k{name}") != str(i):
                wrong.append((name, i))

    start = time.monotonic()
    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not wrong and time.monotonic() - start < 120
    wait_until_they_agree(cluster)
