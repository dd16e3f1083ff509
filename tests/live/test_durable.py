"""No reply leaves before what it rests on is on the disk; and a cluster on a disk that lies is found out."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from raftedu.core.config import Config
from raftedu.core.inputs import Persisted
from raftedu.core.rules import RULES
from raftedu.live.clock import ClusterClock
from raftedu.live.driver import Driver
from raftedu.live.livenode import LiveNode
from raftedu.live.log_lines import entry_of
from raftedu.live.proto import messages as pb
from raftedu.live.storage import FileStorage, MemoryStorage, StorageError
from tests.crash_disk import PageCacheDisk
from tests.live.helpers import ask, events, eventually, stub_of, wait_until_they_agree

pytestmark = pytest.mark.live


class GatedStorage(MemoryStorage):
    """A storage whose sync does not return while the gate is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.waiting = threading.Event(), threading.Event()
        self.gate.set()

    def sync(self) -> None:
        if not self.gate.is_set():
            self.waiting.set()
            assert self.gate.wait(60)
        super().sync()


class Hasty(Driver):
    """A driver that tells its core that the disk is done before it is."""

    def _sync(self, writes):
        self._carry_out([(output, None) for output in self.core.step(Persisted(writes[-1].seq), self._clock.now())])
        super()._sync(writes)


@contextmanager
def one_node(folder: Path, nodes: int, rules=RULES) -> Iterator[tuple[LiveNode, GatedStorage]]:
    """Node 1; of its peers nothing is there but what the test says in their name."""
    storage = GatedStorage()
    config = Config.of(nodes, **({} if nodes == 1 else {"election_min": 1e6, "election_max": 2e6}))
    node = LiveNode(1, config, folder=folder / "logs_node_1", storage=storage, rules=rules, clock=ClusterClock(0.02))
    node.start(dict.fromkeys(config.nodes, "127.0.0.1:1") | {1: node.address})
    try:
        yield node, storage
    finally:
        storage.gate.set()
        node.stop()


VOTE = ("RequestVote", pb.VoteRequest(term=1, sender=2, lease=8.0))
APPEND = ("AppendEntries", pb.AppendRequest(term=1, sender=2, entries=[pb.Entry(term=1, op="NO-OP")], round=1, lease=8.0))
HEARTBEAT = ("AppendEntries", pb.AppendRequest(term=1, sender=2, round=1, lease=8.0))
A_SET = ("Set", pb.SetRequest(key="x", value="1"))


def answered_before_the_disk(node: LiveNode, storage: GatedStorage, call: tuple[str, object]) -> bool:
    """Make a call whose answer needs the disk; return whether it came while the disk was still busy."""
    with stub_of(node.address) as stub:
        storage.gate.clear()
        reply = getattr(stub, call[0]).future(call[1], timeout=60)
        assert storage.waiting.wait(60), "the disk was not even asked"
        for _ in range(20):  # the same way back: what left before these is here when they are
            stub.Status(pb.StatusRequest(), timeout=60)
        early = reply.done()
        storage.gate.set()
        result = reply.result()
    assert getattr(result, "granted", False) or getattr(result, "success", False) or getattr(result, "outcome", 0) == pb.SUCCESS
    return early


@pytest.mark.parametrize("call", [VOTE, APPEND, HEARTBEAT], ids=["vote", "entries", "first promise"])
def test_no_reply_to_a_peer_leaves_before_the_disk_is_done(tmp_path, call):
    with one_node(tmp_path, 3) as (node, storage):
        assert not answered_before_the_disk(node, storage, call)


@pytest.mark.parametrize("call", [VOTE, APPEND, HEARTBEAT], ids=["vote", "entries", "first promise"])
def test_a_node_that_does_not_wait_for_its_disk_is_found_out(tmp_path, call):
    with one_node(tmp_path, 3, rules=RULES.but(must_persist_first=lambda view: False)) as (node, storage):
        assert answered_before_the_disk(node, storage, call)


@pytest.mark.parametrize(("driver", "early"), [(Driver, False), (Hasty, True)])
def test_no_set_is_acknowledged_before_the_disk_is_done(tmp_path, monkeypatch, driver, early):
    monkeypatch.setattr("raftedu.live.livenode.Driver", driver)
    with one_node(tmp_path, 1) as (node, storage):
        eventually(lambda: node.status().lease_left > 0, "the only node leads")
        assert answered_before_the_disk(node, storage, A_SET) is early


def test_a_leader_whose_disk_is_stuck_loses_its_lease(make):
    storages = {}

    def storage(node, folder):
        return storages.setdefault(node, GatedStorage())

    cluster = make(3, storage=storage)
    cluster.set("x", "1")
    old = cluster.wait_for_leader(lease=True)
    storages[old].gate.clear()
    try:
        late = threading.Thread(target=lambda: ask(cluster.addresses[old], "SET", "y", "1"))
        late.start()
        assert storages[old].waiting.wait(60)
        rest = [s for s in cluster.nodes if s != old]

        def led_by_another() -> bool:
            return any(s.role == "leader" and s.lease_left > 0 for s in cluster.status() if s.node in rest)

        eventually(led_by_another, "another leader")
        assert cluster.get("x") == "1"
    finally:
        storages[old].gate.set()
    late.join(60)
    wait_until_they_agree(cluster)
    served = events(cluster, "read_served", node=old)
    leases = cluster.trace.leases()
    own = leases[leases["node"] == old]
    assert all(any(lease.start <= t < lease.expiry for lease in own.itertuples()) for t in served["time"])


LIES = {
    "logs.txt written": "the log of an acknowledged SET",
    "metadata.txt.new written": "the content of metadata.txt",
    "logs_node_*/: metadata.txt replaced": "its name",
}


@pytest.mark.parametrize("lie", [None, *LIES])
def test_what_was_acknowledged_survives_a_loss_of_power_of_all_unless_the_disk_lies(make, lie):
    disks = {node: PageCacheDisk() for node in (1, 2, 3)}
    cluster = make(3, storage=lambda node, folder: FileStorage(folder, disk=disks[node]))
    for node, disk in disks.items():
        disk.without_fsync(lie and lie.replace("*", str(node)))
    # The first term may be older than the lie: whoever leads now is not the last to be voted for.
    cluster.crash(cluster.wait_for_leader(lease=True))
    cluster.set("x", "1")
    for node in cluster.nodes:
        if cluster.is_up(node):
            cluster.crash(node)
    for disk in disks.values():
        disk.power_loss()
    terms = {entry.term for entry in _entries(cluster, disks)}
    try:
        for node in cluster.nodes:
            cluster.restart(node)
        found = cluster.get("x")
    except StorageError:
        found = "refused to start"
    if lie is None:
        assert found == "1"
    elif "metadata" in lie:
        assert found == "refused to start" or _term_forgotten(cluster, terms)
    else:
        assert found == ""


def _entries(cluster, disks):
    for node, disk in disks.items():
        for line in disk.read(cluster.folder / f"logs_node_{node}" / "logs.txt").decode().split("\n")[:-1]:
            yield entry_of(line)


def _term_forgotten(cluster, terms) -> bool:
    restored = events(cluster, "started").groupby("node").tail(1)["facts"]
    return min(facts["restored"]["term"] for facts in restored) < max(terms)
