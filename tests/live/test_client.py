"""`Client` against real nodes over gRPC. The pace is fast; every wait is bounded by far more than any machine needs."""

from __future__ import annotations

import threading
import time
from concurrent import futures

import grpc
import pytest

from raftedu.live.client import Client, RequestFailed
from raftedu.live.cluster import Cluster
from raftedu.live.proto import RaftServicer, add_RaftServicer_to_server
from raftedu.live.proto import messages as pb

pytestmark = pytest.mark.live

PACE = 0.02
LONG = 60.0 / PACE  # a minute of wall time, in seconds of the cluster


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with Cluster(3, pace=PACE, dir=tmp_path_factory.mktemp("run"), first_timeout={2: 5.0}) as cluster:
        yield cluster


@pytest.fixture
def client(cluster):
    with Client(cluster, deadline=LONG) as client:
        yield client


def log_of(cluster, key):
    return [op for _, _, op in cluster.log(cluster.wait_for_leader(lease=True)) if op.startswith(f"SET {key} ")]


# ---------------------------------------------------------------- SET and GET


@pytest.mark.parametrize(
    "text", ["1", "", " ", "two words", "tab\there", "line\nbreak\r\n", '"quoted" and \\', "🦆 é 漢", "\x00\x1b[2J", "x" * 2**20]
)
def test_what_is_set_is_got(client, text):
    reply = client.set("text", text)
    assert (reply.outcome, reply.reason) == ("success", "")
    assert reply.index > 0
    assert client.get("text") == text


def test_any_text_is_a_key_and_an_unknown_one_is_empty(client):
    for key in ("", "a b", "🦆", "tab\t", '"'):
        client.set(key, "here")
        assert client.get(key) == "here"
    assert client.get("never set") == ""


def test_the_leader_is_found_once_and_kept(cluster, client):
    def kept():
        first, second = client.request("GET", "a"), client.request("GET", "a")
        return (second.node, second.attempts) == (first.node, 1)

    cluster.wait_until(kept, "a leader that is kept in mind", timeout=LONG)


@pytest.mark.parametrize(
    ("key", "value"), [("big", "x" * (2**20 + 1)), ("x" * (2**20 + 1), "big"), ("huge", "x" * 2**24), ("lone", "\ud800")]
)
def test_what_cannot_be_stored_is_refused_at_once_and_nothing_is_appended(cluster, client, key, value):
    started = time.monotonic()
    reply = client.request("SET", key, value)
    assert reply.outcome == "fail"
    assert time.monotonic() - started < 30
    assert log_of(cluster, key) == []
    with pytest.raises(RequestFailed) as raised:
        client.set(key, value)
    assert raised.value.reply.outcome == "fail"
    assert len(str(raised.value)) < 500


def test_many_threads_share_a_client(cluster):
    with Client(cluster, deadline=LONG) as client, futures.ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda n: client.set(f"thread {n}", str(n)), range(40)))
        values = list(pool.map(lambda n: client.get(f"thread {n}"), range(40)))
    assert len({reply.index for reply in replies}) == 40
    assert values == [str(n) for n in range(40)]


# ---------------------------------------------------------------- trouble


class Losing(Client):
    """A client that never hears the first answer to a SET."""

    lost = None

    def _call(self, node, request, timeout):
        answer = super()._call(node, request, timeout)
        if request.op == "SET" and self.lost is None and answer.outcome == "success":
            self.lost = answer
            return None
        return answer


def test_a_retry_whose_first_answer_was_lost_is_applied_once(cluster):
    with Losing(cluster, deadline=LONG) as client:
        reply = client.set("lost", "1")
        assert client.lost.outcome == reply.outcome == "success"
        assert reply.attempts > 1
    assert log_of(cluster, "lost") == ["SET lost 1"]


def test_it_goes_on_over_the_death_of_the_leader_until_nobody_is_left(tmp_path):
    with Cluster(3, pace=PACE, dir=tmp_path, seed=2) as cluster, Client(cluster, deadline=LONG) as client:
        client.set("x", "1")
        old = cluster.wait_for_leader(lease=True)
        cluster.crash(old)
        assert client.get("x") == "1"
        assert client.set("x", "2").node != old
        assert client.status(old) is None
        cluster.wait_until(lambda: "leader" in [s.role for s in client.status().values() if s is not None], "a leader", timeout=LONG)
        for node in cluster.nodes:
            if cluster.is_up(node):
                cluster.crash(node)
        # Nothing could be sent, so nothing was done: that is not "unknown".
        reply = client.request("SET", "x", "3", deadline=1.0 / PACE)
        assert reply.outcome == "fail"
        assert "cannot be reached" in reply.reason
        assert reply.attempts > 3
        assert client.request("GET", "x", deadline=1.0 / PACE).outcome == "fail"
        cluster.restart(1)
        cluster.restart(2)
        assert client.get("x") == "2"


class Silent(RaftServicer):
    """A node that takes every request and never answers."""

    def __init__(self) -> None:
        self.asked: list[pb.SetRequest] = []
        self.end = threading.Event()

    def Set(self, request, context):
        self.asked.append(request)
        self.end.wait(60)
        return pb.ClientReply(outcome=pb.SUCCESS)

    Get = Set


@pytest.fixture
def silent():
    node, server = Silent(), grpc.server(futures.ThreadPoolExecutor(16))
    add_RaftServicer_to_server(node, server)
    node.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield node
    node.end.set()
    server.stop(None).wait()


@pytest.mark.slow
def test_what_left_and_was_not_answered_is_unknown_for_a_set_and_failed_for_a_get(silent):
    with Client([silent.address], pace=0.1) as client:
        assert client.request("SET", "x", "1", deadline=50.0).outcome == "unknown"
        names = {(request.client_id, request.request_id) for request in silent.asked}
        assert len(silent.asked) > 1
        assert len(names) == 1
        reply = client.request("GET", "x", deadline=3.0)
        assert reply.outcome == "fail"
        assert "did not answer" in reply.reason


def test_closing_ends_what_is_under_way(silent):
    client = Client({5: silent.address})
    with futures.ThreadPoolExecutor(1) as pool:
        asked = pool.submit(client.set, "x", "1")
        end = time.monotonic() + 60
        while not silent.asked and time.monotonic() < end:
            time.sleep(0.01)
        client.close()
        with pytest.raises(RuntimeError, match="closed"):
            asked.result(60)
    with pytest.raises(RuntimeError, match="closed"):
        client.get("x")


# ---------------------------------------------------------------- addresses


def test_addresses_come_as_a_list_a_dict_a_file_or_a_cluster(cluster, tmp_path):
    path = tmp_path / "cluster.toml"
    lines = [f'{node} = "{address}"' for node, address in cluster.addresses.items()]
    path.write_text("[nodes]\n" + "\n".join(lines) + f"\n[timing]\npace = {PACE}\n")
    for addresses in (list(cluster.addresses.values()), cluster.addresses, path, str(path), cluster):
        with Client(addresses, deadline=LONG) as client:
            assert client.addresses == cluster.addresses
            client.set("way", "in")
    for addresses, given, pace in ((path, None, PACE), (cluster, None, PACE), (path, 2.0, 2.0), (cluster.addresses, None, 1.0)):
        with Client(addresses, pace=given) as client:
            assert client.pace == pace


@pytest.mark.parametrize("addresses", [[], {}, ["localhost"], {1: "localhost:0"}, [None]])
def test_an_address_that_is_none_is_refused(addresses):
    with pytest.raises(ValueError, match="address"):
        Client(addresses)


def test_a_node_that_is_not_there_has_no_status(client):
    with pytest.raises(ValueError, match="there is no node 9; the nodes are 1, 2, 3"):
        client.status(9)
