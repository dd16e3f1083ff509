"""Bad input and a bad disk: each one clear line, and nothing lost."""

from __future__ import annotations

import queue
import shutil
import socket
from pathlib import Path

import grpc
import pytest

from raftedu import DumpError, LiveError, StorageError
from raftedu.core.config import Config, ConfigError
from raftedu.live.cluster import Cluster
from raftedu.live.livenode import LiveNode
from raftedu.live.proto import messages as pb
from raftedu.live.storage import FileStorage
from tests.crash_disk import PageCacheDisk
from tests.live.helpers import events, eventually, followers, resources, stub_of, up, wait_until_they_agree

pytestmark = pytest.mark.live


def one_line(error: pytest.ExceptionInfo[BaseException], *words: str) -> None:
    text = str(error.value)
    assert "\n" not in text and all(word in text for word in words), text


# ---- addresses


def test_a_port_in_use_is_a_clear_error_and_leaves_nothing(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        before = resources()
        with pytest.raises(LiveError) as error:
            LiveNode(1, Config.of(1), folder=tmp_path / "logs_node_1", address=address)
        one_line(error, address, "another program")
        eventually(lambda: resources() <= before, "everything is given back")
    LiveNode(1, Config.of(1), folder=tmp_path / "logs_node_1").stop()  # the folder is free again


def test_two_nodes_never_share_a_port(tmp_path):
    first = LiveNode(1, Config.of(2), folder=tmp_path / "logs_node_1")
    try:
        with pytest.raises(LiveError) as error:
            LiveNode(2, Config.of(2), folder=tmp_path / "logs_node_2", address=first.address)
        one_line(error, first.address)
    finally:
        first.stop()


def test_a_node_that_is_not_of_the_cluster_leaves_no_lock(tmp_path):
    with pytest.raises(ConfigError) as error:
        LiveNode(9, Config.of(3), folder=tmp_path / "logs_node_9")
    one_line(error, "9")
    LiveNode(9, Config.of((9,)), folder=tmp_path / "logs_node_9").stop()


# ---- strangers


def _as_it_was(cluster, node: int, call) -> tuple[object, object]:
    """Make a call to a node; return the reply, and check that term, vote, leader and log did not move by it."""
    with stub_of(cluster.addresses[node]) as stub:
        before = stub.Status(pb.StatusRequest(), timeout=30)
        name = "RequestVote" if isinstance(call, pb.VoteRequest) else "AppendEntries"
        reply = getattr(stub, name)(call, timeout=30)
        after = stub.Status(pb.StatusRequest(), timeout=30)
    return reply, (before, after)


STRANGE = {
    "a vote for an unknown node": (pb.VoteRequest(term=99, sender=9, last_log_index=99, last_log_term=99, lease=8.0), "not a peer"),
    "entries of an unknown node": (pb.AppendRequest(term=99, sender=9, lease=8.0), "not a peer"),
    "a vote with another lease": (pb.VoteRequest(term=99, sender=2, last_log_index=99, last_log_term=99, lease=5.0), "lease=5.0"),
    "entries with another lease": (pb.AppendRequest(term=99, sender=2, lease=5.0), "lease=5.0"),
    "a vote without a lease": (pb.VoteRequest(term=99, sender=2, last_log_index=99, last_log_term=99), "without leases"),
}


@pytest.mark.parametrize("name", STRANGE)
def test_strangers_are_refused_and_disturb_nobody(make, name):
    call, words = STRANGE[name]
    cluster = make(3)
    cluster.set("x", "1")
    reply, (before, after) = _as_it_was(cluster, 1, call)
    assert words in reply.refused and "\n" not in reply.refused
    assert reply.term == 0
    # The cluster may have elected somebody meanwhile, but it never heard of term 99.
    assert before.term <= after.term < 99 and after.last_log_index >= before.last_log_index
    said = events(cluster, "vote_denied", "append_rejected", node=1)
    reasons = [facts.get("why") or facts.get("reason") for facts in said["facts"]]
    assert any(words in reason for reason in reasons)
    promised = events(cluster, "lease_promised", node=1)
    assert (promised["term"] < 99).all() and not (promised["peer"] == 9).any()
    assert cluster.set("x", "2").outcome == "success"
    assert cluster.get("x") == "2"
    assert events(cluster, "term_changed")["term"].max() < 99


@pytest.mark.parametrize(
    "entry", [pb.Entry(term=1, op="DEL", key="x"), pb.Entry(term=1, op="SET", request=-1), pb.Entry(term=1, op="NO-OP", key="x")]
)
def test_an_entry_that_no_log_can_hold_is_refused_and_stops_nobody(make, entry):
    cluster = make(3)
    cluster.set("x", "1")
    with stub_of(cluster.addresses[1]) as stub:
        call = pb.AppendRequest(term=1, sender=2, lease=8.0, entries=[entry])
        with pytest.raises(grpc.RpcError) as error:
            stub.AppendEntries(call, timeout=30)
        assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert "no log can hold" in error.value.details() and "\n" not in error.value.details()
        assert list(stub.Peer(iter([pb.PeerMessage(append_request=call)]), timeout=30)) == []
    assert cluster.errors == {}
    assert cluster.set("x", "2").outcome == "success"


def test_an_empty_message_on_the_stream_harms_nobody(make):
    cluster = make(3)
    cluster.wait_for_leader(lease=True)
    with stub_of(cluster.addresses[1]) as stub:
        requests: queue.SimpleQueue = queue.SimpleQueue()
        call = stub.Peer(iter(requests.get, None), timeout=30)
        requests.put(pb.PeerMessage())
        requests.put(pb.PeerMessage(vote_request=pb.VoteRequest(term=99, sender=9)))
        assert "not a peer" in next(call).vote_reply.refused
        requests.put(None)
        assert list(call) == []
        assert stub.Set(pb.SetRequest(), timeout=30).outcome in (pb.SUCCESS, pb.FAIL, pb.UNKNOWN)
    assert cluster.set("x", "1").outcome == "success"


# ---- folders


@pytest.fixture(scope="module")
def stopped(make_for_all):
    cluster = make_for_all(3)
    cluster.set("x", "1")
    wait_until_they_agree(cluster)
    cluster.stop()
    return cluster.folder


@pytest.fixture
def recorded(stopped, tmp_path):
    """The folder of a cluster of three that stored x=1 and was stopped."""
    return shutil.copytree(stopped, tmp_path / "recorded")


@pytest.mark.parametrize(
    ("file", "content", "error_class", "words"),
    [
        ("metadata.txt", b"current_term one\n", StorageError, ("metadata.txt", "line 2")),
        ("metadata.txt", b"{\"term\": 3}", StorageError, ("metadata.txt", "line 1")),
        ("metadata.txt", b"", StorageError, ("metadata.txt", "line 1")),
        ("metadata.txt", b"\x00\xff\xfe", StorageError, ("metadata.txt", "line 1")),
        ("metadata.txt", b"current_term 7\nvotedFor none\npromised 8\ncommitLength 99\nappliedLength 0\n", StorageError, ("line 4", "99")),
        ("logs.txt", b"hello\n", StorageError, ("logs.txt", "line 1")),
        ("dump.txt", b"hello\n", DumpError, ("dump.txt", "line 1")),
    ],
)  # fmt: skip
def test_damaged_and_foreign_files_are_named_and_left_alone(recorded, file, content, error_class, words):
    path = recorded / "logs_node_2" / file
    good = path.read_bytes()
    path.write_bytes(content)
    before = resources()
    with pytest.raises(error_class) as error:
        Cluster(3, pace=0.02, dir=recorded)
    one_line(error, "logs_node_2", *words)
    assert path.read_bytes() == content
    eventually(lambda: resources() <= before, "everything is given back")
    path.write_bytes(good)
    with Cluster(3, pace=0.02, dir=recorded) as cluster:  # and nothing of the others was lost or is still locked
        assert cluster.get("x") == "1"


def test_a_node_killed_while_it_wrote_its_first_line_starts_again(recorded):
    path = recorded / "logs_node_2" / "dump.txt"
    content = path.read_bytes()
    start = content.index(b"\tstarted\t")
    path.write_bytes(content[: start + 200])
    assert b"\n" not in path.read_bytes()[start:]
    with Cluster(3, pace=0.02, dir=recorded) as cluster:
        assert cluster.get("x") == "1"
        assert len(cluster.trace.only(event="started", node=2)) == 1


def test_a_request_id_that_no_log_can_hold_harms_nobody(make):
    cluster = make(3)
    leader = cluster.wait_for_leader(lease=True)
    with stub_of(cluster.addresses[leader]) as stub:
        reply = stub.Set(pb.SetRequest(key="x", value="1", client_id="anna", request_id=-1), timeout=30)
    assert reply.outcome == pb.FAIL and reply.final and "negative" in reply.reason
    assert cluster.set("x", "2").outcome == "success" and not cluster.errors


def test_a_file_in_the_place_of_a_folder(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "logs_node_2").write_text("mine")
    with pytest.raises(StorageError) as error:
        Cluster(3, pace=0.02, dir=tmp_path / "run")
    one_line(error, "logs_node_2", "choose another folder")
    assert (tmp_path / "run" / "logs_node_2").read_text() == "mine"
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StorageError) as error:
        Cluster(3, pace=0.02, dir=tmp_path / "file")
    one_line(error, "file")


def test_a_second_cluster_on_one_folder_is_refused_while_the_first_runs(make, tmp_path):
    first = make(3, dir=tmp_path / "run")
    first.set("x", "1")
    with pytest.raises(StorageError) as error:
        Cluster(3, pace=0.02, dir=tmp_path / "run")
    one_line(error, "another node runs", "logs_node_1")
    assert first.get("x") == "1"
    first.stop()
    assert make(3, dir=tmp_path / "run").get("x") == "1"


def test_the_folder_that_cannot_be_made_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("raftedu-runs").write_text("mine")
    with pytest.raises(LiveError) as error:
        Cluster(3)
    one_line(error, "raftedu-runs", "dir=")


# ---- a full disk


def test_a_node_with_a_full_disk_stops_and_acknowledges_nothing(make):
    disks = {node: PageCacheDisk() for node in (1, 2, 3)}
    cluster = make(3, storage=lambda node, folder: FileStorage(folder, disk=disks[node]))
    cluster.set("x", "1")
    leader = cluster.wait_for_leader(lease=True)
    disks[leader].fail_write(1)
    assert cluster.set("x", "2").outcome == "success"  # by the others, once one of them leads
    eventually(lambda: not cluster.is_up(leader), "the node with the full disk stops")
    assert isinstance(cluster.errors[leader], StorageError)
    for shown in (repr(cluster), cluster._repr_html_()):
        assert f"node {leader} stopped: StorageError" in shown and "ENOSPC" in shown and "failed" in shown
    replies = [facts for facts in events(cluster, "client_reply", node=leader)["facts"] if facts["op"] == "SET" and facts["value"] == "2"]
    assert all(facts["outcome"] != "success" for facts in replies)
    fault = events(cluster, "fault", node=leader)
    assert len(fault) == 1 and "StorageError" in fault["facts"].iloc[0]["why"]
    assert cluster.get("x") == "2"
    disks[leader].heal()
    cluster.restart(leader)
    wait_until_they_agree(cluster)
    assert leader not in cluster.errors and len(up(cluster)) == 3


def test_a_follower_with_a_full_disk_stops_and_the_others_go_on(make):
    disks = {node: PageCacheDisk() for node in (1, 2, 3)}
    cluster = make(3, storage=lambda node, folder: FileStorage(folder, disk=disks[node]))
    full = followers(cluster)[0]
    disks[full].fail_write(1)
    assert cluster.set("x", "1").outcome == "success"
    eventually(lambda: full in cluster.errors, "the full disk is shown")
    assert cluster.set("x", "2").outcome == "success" and cluster.get("x") == "2"
    assert sorted({*up(cluster), full}) == [1, 2, 3]


def test_alone_with_a_full_disk_nothing_is_acknowledged(make, impatient):
    disk = PageCacheDisk()
    cluster = make(1, storage=lambda node, folder: FileStorage(folder, disk=disk))
    cluster.set("x", "1")
    disk.fail_write(1)
    reply = cluster.request("SET", "x", "2", deadline=10)
    assert reply.outcome == "unknown"
    assert 1 in cluster.errors and cluster.leader is None
    disk.heal()
    cluster.restart(1)
    assert cluster.get("x") in ("1", "2")


# ---- peers that are there and say nothing


def test_a_peer_that_never_answers_holds_nobody_up(tmp_path):
    config = Config.of(3)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        nodes = [LiveNode(i, config, folder=tmp_path / f"logs_node_{i}", first_timeout={1: 5.0}.get(i, 20.0)) for i in (1, 2)]
        try:
            addresses = {node.node: node.address for node in nodes} | {3: f"127.0.0.1:{silent.getsockname()[1]}"}
            for node in nodes:
                node.clock.cluster_clock.pace = 0.02
                node.start(addresses)
            eventually(lambda: any(node.status().lease_left > 0 for node in nodes), "a leader with a lease")
            from raftedu import Client

            with Client(addresses, pace=0.02) as client:
                client.set("x", "1")
                assert client.get("x") == "1"
        finally:
            for node in nodes:
                node.stop()
