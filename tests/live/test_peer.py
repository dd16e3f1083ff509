"""A peer that somebody else wrote, on root-made stubs in its own process, joins a cluster of ours by the two unary calls."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from raftedu import Client, read_dump
from raftedu.core.config import Config
from raftedu.live.clock import ClusterClock
from raftedu.live.livenode import LiveNode
from tests.live.helpers import ROOT, assert_no_two_leases, eventually

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def stubs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("stubs")
    make = [sys.executable, "-m", "grpc_tools.protoc", "-I.", f"--python_out={folder}", f"--grpc_python_out={folder}", "node.proto"]
    done = subprocess.run(make, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def foreign(stubs):
    """The address of node 3, which is not ours."""
    script = Path(__file__).with_name("foreign_peer.py")
    process = subprocess.Popen([sys.executable, script, stubs, "3"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process, f"127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.stdin.close()
        process.stdout.close()
        process.wait(60)


def test_a_foreign_peer_elects_and_commits_with_ours(tmp_path, foreign):
    process, address = foreign
    config, clock = Config.of(3), ClusterClock(0.05)
    ours = [LiveNode(i, config, folder=tmp_path / f"logs_node_{i}", clock=clock, first_timeout={1: 5.0, 2: 9.0}[i]) for i in (1, 2)]
    addresses = {live.node: live.address for live in ours} | {3: address}
    try:
        for live in ours:
            live.start(addresses)
        eventually(lambda: any(live.status().lease_left > 0 for live in ours), "a leader with a lease")
        with Client(addresses, pace=0.05, deadline=600) as client:
            client.set("x", "1")
            ours[1].crash()  # from now on nothing is elected or committed without the foreign one
            client.set("x", "2")
            client.set("y", "3")
            assert (client.get("x"), client.get("y")) == ("2", "3")
    finally:
        for live in ours:
            live.stop()
    trace = read_dump(tmp_path)
    votes = [vote[0] for votes in trace.facts("leader_elected")["votes"] for vote in votes]
    acks = trace.facts("match_advanced")
    assert 3 in votes or 3 in set(acks["follower"])
    last = trace.commits().query("by == 'leader'")["index"].max()
    assert acks[acks["follower"] == 3]["new"].max() == last
    assert int(trace.only(node=1).facts("leader_elected")["term"].max()) >= 1
    assert_no_two_leases(trace)
    kinds = trace.facts("received")
    assert set(kinds[kinds["peer"] == 3]["type"]) <= {"VoteReply", "AppendReply"}
