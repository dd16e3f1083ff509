"""A student's rule that fails stops its node, loudly; one that is wrong makes the run go wrong visibly."""

from __future__ import annotations

import threading

import pytest

from raftedu import RULES, LiveError, RequestFailed, RuleError
from raftedu.core.config import Config
from raftedu.core.rules import may_serve_read
from raftedu.live.clock import ClusterClock
from raftedu.live.livenode import LiveNode
from raftedu.live.proto import messages as pb
from raftedu.live.storage import MemoryStorage
from tests.live.helpers import ROUNDING, events, eventually, stub_of, up, wait_until_they_agree

pytestmark = pytest.mark.live


class Once:
    """A rule that goes wrong the first time it is asked after `arm`, on whichever node that is; otherwise as in the reference."""

    def __init__(self, right, wrong) -> None:
        self.right, self.wrong, self._armed, self._lock = right, wrong, False, threading.Lock()

    def arm(self) -> None:
        self._armed = True

    def __call__(self, view):
        with self._lock:
            now, self._armed = self._armed, False
        return self.wrong(view) if now else self.right(view)


def _raise(view):
    raise ZeroDivisionError("<b>my mistake</b>")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [(_raise, "ZeroDivisionError"), (lambda view: None, "did you forget `return`"), (lambda view: "maybe", "must return True or False")],
    ids=["raises", "forgets to return", "returns nonsense"],
)
def test_a_rule_that_fails_stops_its_node_and_the_others_go_on(make, wrong, words):
    rule = Once(may_serve_read, wrong)
    cluster = make(3, rules=RULES.but(may_serve_read=rule))
    cluster.set("x", "1")
    rule.arm()
    assert cluster.get("x") == "1"  # of whoever leads after the one that failed
    eventually(lambda: cluster.errors, "the error is shown")
    ((failed, error),) = cluster.errors.items()
    assert isinstance(error, RuleError) and "may_serve_read" in str(error) and words in str(error)
    assert not cluster.is_up(failed)
    text, html = repr(cluster), cluster._repr_html_()
    assert f"node {failed} stopped: RuleError" in text and words in text
    assert f"node {failed} stopped: RuleError" in html and "<b>my mistake" not in html
    fault = events(cluster, "fault", node=failed)
    assert len(fault) == 1
    assert words in fault["facts"].iloc[0]["why"] and "Traceback" in fault["facts"].iloc[0]["traceback"]
    if wrong is _raise:
        assert "in _raise" in fault["facts"].iloc[0]["traceback"]
    assert cluster.set("x", "2").outcome == "success" and len(up(cluster)) == 2
    cluster.restart(failed)
    wait_until_they_agree(cluster)
    assert not cluster.errors


def test_a_rule_that_fails_at_once_stops_every_node_and_says_so(make):
    cluster = make(3, rules=RULES.but(start_election=_raise))
    eventually(lambda: len(cluster.errors) == 3, "all three have failed")
    assert up(cluster) == [] and cluster.leader is None
    assert repr(cluster).count("RuleError") == 3


def test_an_exception_beside_the_rules_stops_the_node_too(make):
    """Here the listener's: whatever fails in a node's thread is told, never swallowed."""
    armed = threading.Event()

    def listener(node, time, sentence, say):
        if armed.is_set() and say.event == "client_request":
            armed.clear()
            raise KeyError("listener")

    cluster = make(3, listener=listener)
    cluster.set("x", "1")
    armed.set()
    assert cluster.get("x") == "1"
    eventually(lambda: cluster.errors, "the error is shown")
    ((failed, error),) = cluster.errors.items()
    assert isinstance(error, KeyError)
    assert "KeyError" in events(cluster, "fault", node=failed)["facts"].iloc[0]["traceback"]


def _votes_twice(folder, rules) -> list[bool]:
    """Let two candidates ask node 3 for its vote in one term."""
    config = Config.of(3, election_min=1e6, election_max=2e6)
    node = LiveNode(3, config, folder=folder / "logs_node_3", storage=MemoryStorage(), rules=rules, clock=ClusterClock(0.02))
    node.start(dict.fromkeys(config.nodes, "127.0.0.1:1"))
    try:
        with stub_of(node.address) as stub:
            return [stub.RequestVote(pb.VoteRequest(term=1, sender=who, lease=8.0), timeout=30).granted for who in (1, 2)]
    finally:
        node.stop()


def test_one_vote_a_term(tmp_path):
    assert _votes_twice(tmp_path, RULES) == [True, False]
    assert _votes_twice(tmp_path / "wrong", RULES.but(grant_vote=lambda view: True)) == [True, True]


def test_a_wrong_grant_vote_shows_two_leaders_in_one_term(make):
    """Two candidates whose timers run out together, and voters that say yes to everybody."""
    for _ in range(60):
        cluster = make(5, rules=RULES.but(grant_vote=lambda view: view.candidate_term >= view.term), first_timeout={1: 5.0, 2: 5.0})
        cluster.wait_until(lambda c=cluster: len(c.trace.leaders()) > 0, "a leader")
        leaders = cluster.trace.leaders()
        cluster.stop()
        if leaders["term"].duplicated().any():
            return
    pytest.fail("sixty times the first candidate was quicker")


def test_without_the_wait_two_leases_overlap(make):
    """The wrong lease rule of the first lecture: the new leader does not wait."""
    for pace in (0.02, 0.1, 0.4):
        cluster = make(3, rules=RULES.but(lease_wait=lambda view: view.now), pace=pace, election_min=2.0, election_max=4.0)
        old = cluster.wait_for_leader(lease=True)
        cluster.partition([old])
        cluster.wait_until(lambda c=cluster: len(set(c.trace.leases()["node"])) > 1, "a second lease")
        first, second = list(cluster.trace.leases().itertuples())[:2]
        if second.start < first.expiry - ROUNDING:
            return
    pytest.fail("no overlap, although nobody waits")


def test_when_a_majority_has_failed_nobody_waits_in_vain(make):
    cluster = make(3, rules=RULES.but(grant_vote=lambda view: 1 / 0))
    with pytest.raises(LiveError, match=r"(2|3) of 3 nodes have failed.*grant_vote raised ZeroDivisionError in line \d+ of <lambda>"):
        cluster.wait_for_leader(timeout=1e6)
    with pytest.raises(RequestFailed, match="fail: .*no majority is left"):
        cluster.set("x", "1", deadline=1e6)


def test_nobody_waits_for_a_leader_of_a_frozen_cluster(make):
    cluster = make(3)
    cluster.freeze()
    with pytest.raises(LiveError, match="frozen.*thaw"):
        cluster.wait_for_leader()
