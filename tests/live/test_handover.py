"""The handover at the defaults: a lease of 8 s, elections after 5 to 10 s, so that the new leader has to wait."""

from __future__ import annotations

import pytest

from tests.live.helpers import PACES, ROUNDING, ask, assert_no_two_leases, events, eventually, followers

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def handover(make_for_all):
    """A cluster in which the leader crashed with about two seconds of its lease left at the next election."""
    for pace in PACES:
        cluster = make_for_all(5, pace=pace)
        cluster.set("x", "1")
        old = _crash_after_a_renewal(cluster)
        _ask_until_somebody_has_the_lease(cluster, old)
        waits = cluster.trace.waits()
        waits = waits[waits["start"] > events(cluster, "crashed")["time"].min()]
        refused = events(cluster, "read_refused")
        seen = [((refused["node"] == w.node) & refused["time"].between(w.start, w.end)).any() for w in waits.itertuples()]
        if len(waits) and waits["length"].iloc[0] > 0 and seen[0]:
            return cluster, old, waits.iloc[0]
        cluster.stop()
    pytest.fail("not even at the slowest pace did an election come within the lease of the crashed leader")


def _crash_after_a_renewal(cluster) -> int:
    candidate, *others = followers(cluster)
    cluster.fix_timeout(candidate, 6.0)
    for i, node in enumerate(others):
        cluster.fix_timeout(node, 9.0 + i / 4)
    since = cluster.now

    def all_heard() -> bool:
        beats = events(cluster, "append_accepted")
        return all((beats[beats["node"] == node]["time"] > since).any() for node in (candidate, *others))

    eventually(all_heard, "a heartbeat for everybody")
    old = cluster.wait_for_leader(lease=True)
    cluster.crash(old)
    return old


def _ask_until_somebody_has_the_lease(cluster, old) -> None:
    """Ask everybody again and again, so that there is a request in every phase."""
    rest = [node for node in cluster.nodes if node != old]

    def done() -> bool:
        for node in rest:
            ask(cluster.addresses[node], "GET", "x")
            ask(cluster.addresses[node], "SET", "y", "1")
        return any(s is not None and s.lease_left > 0 for s in cluster.status())

    eventually(done, "a lease for the new leader")


def test_the_new_leader_waits_for_every_promise(handover):
    cluster, old, wait = handover
    new = int(wait["node"])
    assert new != old
    assert 0 < wait["length"] <= cluster.config.promise + ROUNDING
    reported = [r for r in events(cluster, "lease_wait_started", node=new)["facts"] if abs(r["wait_until"] - wait["wait_until"]) < ROUNDING]
    facts = reported[0]
    assert max(left for _, left in facts["because"]) > 0
    for node, left in facts["because"]:
        assert facts["now"] + left <= facts["wait_until"] + ROUNDING, node
        assert wait["end"] >= facts["now"] + left - ROUNDING, node
    promises = cluster.trace.promises()
    voters = {node for node, _ in facts["because"]}
    owed = promises[(promises["leader"] == old) & promises["node"].isin(voters)]
    assert len(owed) and wait["end"] >= owed["until"].max() - ROUNDING


def test_no_two_leases_overlap(handover):
    cluster, old, wait = handover
    assert_no_two_leases(cluster.trace)
    leases = cluster.trace.leases()
    before = leases[(leases["node"] == old) & (leases["start"] < wait["start"])].iloc[-1]
    after = leases[leases["start"] > wait["start"]].iloc[0]
    assert before["why"] == "crashed"
    assert after["start"] >= before["expiry"] - ROUNDING
    assert after["start"] >= wait["wait_until"] - ROUNDING


def test_nothing_is_committed_read_or_acknowledged_in_the_wait(handover):
    cluster, _, wait = handover
    told = events(cluster, "committed", "read_served", "client_reply", "read_refused", "heartbeat_round", node=int(wait["node"]))
    told = told[(told["time"] >= wait["start"]) & (told["time"] < wait["end"]) & (told["term"] == wait["term"])]
    assert not told["event"].isin(["committed", "read_served"]).any()
    replies = [facts for event, facts in zip(told["event"], told["facts"], strict=True) if event == "client_reply"]
    assert {facts["outcome"] for facts in replies} == {"fail"}
    assert any("must wait" in facts["reason"] for facts in replies)
    assert (told["event"] == "heartbeat_round").any()


def test_reads_are_right_after_the_wait(handover):
    cluster, _, _ = handover
    assert cluster.get("x") == "1"
    assert cluster.set("x", "2").outcome == "success"
    assert cluster.get("x") == "2"
