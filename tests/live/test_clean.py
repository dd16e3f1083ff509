"""Nothing is left behind: no thread, port, file or lock, however a cluster ends; and re-running a cell replaces its cluster."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest

from raftedu import LiveError
from raftedu.live import registry
from raftedu.live.cluster import Cluster
from raftedu.live.livenode import LiveNode
from tests.live.helpers import ROOT, eventually, resources

pytestmark = pytest.mark.live


@pytest.fixture(scope="module", autouse=True)
def _warm(tmp_path_factory):
    """Whatever is loaded once and for all is loaded now."""
    with Cluster(1, pace=0.02, dir=tmp_path_factory.mktemp("first")):
        pass


@pytest.fixture(autouse=True)
def _as_before():
    """After every test here the process has what it had before: threads, files, ports."""
    before = resources()
    yield
    eventually(lambda: all(now <= then for now, then in zip(resources(), before, strict=True)), f"as before: {before}")
    assert registry._running == {}


def is_free(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, int(port)))
        except OSError:
            return False
    return True


def test_stop_gives_everything_back_and_may_be_called_twice(tmp_path):
    cluster = Cluster(5, pace=0.02, dir=tmp_path / "run")
    cluster.set("x", "1")
    assert not any(is_free(address) for address in cluster.addresses.values())
    cluster.stop()
    cluster.stop()
    assert all(is_free(address) for address in cluster.addresses.values())
    with pytest.raises(LiveError, match="stopped"):
        cluster.set("x", "2")
    assert "stopped" in repr(cluster) and cluster.leader is None
    with Cluster(5, pace=0.02, dir=tmp_path / "run") as again:
        assert again.get("x") == "1"


def test_an_exception_in_the_block_stops_the_cluster(tmp_path):
    with pytest.raises(ZeroDivisionError), Cluster(3, pace=0.02, dir=tmp_path / "run") as cluster:
        cluster.set("x", "1")
        raise ZeroDivisionError
    assert cluster.stopped


def test_stop_while_frozen_or_half_crashed(tmp_path):
    cluster = Cluster(3, pace=0.02, dir=tmp_path / "run")
    cluster.crash(cluster.wait_for_leader())
    cluster.freeze()
    cluster.stop()
    assert cluster.stopped and cluster.status() == [None] * 3
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("raftedu-node")] == []
    assert cluster.errors == {}


def test_what_cannot_start_leaves_nothing(tmp_path, monkeypatch):
    """The third of five nodes finds its port occupied."""
    bind = LiveNode._bind
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        occupied = f"127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setattr(LiveNode, "_bind", lambda node, address: bind(node, occupied if node.node == 3 else address))
        for _ in range(3):
            with pytest.raises(LiveError):
                Cluster(5, pace=0.02, dir=tmp_path / "run")
    monkeypatch.undo()
    with Cluster(5, pace=0.02, dir=tmp_path / "run") as cluster:
        cluster.set("x", "1")


@pytest.mark.parametrize("wrong", [{"pace": -1.0}, {"first_timeout": {9: 5.0}}, {"lease": 0.5}, {"nodes": 0}])
def test_what_is_refused_leaves_nothing(tmp_path, wrong):
    with pytest.raises((ValueError, LiveError)) as error:
        Cluster(**{"nodes": 3, "dir": tmp_path / "run", **wrong})
    assert "\n" not in str(error.value)
    assert registry._running == {}


@pytest.mark.slow
def test_twenty_clusters_one_after_another(tmp_path):
    for i in range(20):
        with Cluster(3, pace=0.02, dir=tmp_path / f"run{i}") as cluster:
            assert len(cluster.status()) == 3
    with Cluster(3, pace=0.02, dir=tmp_path / "run19") as cluster:
        cluster.set("x", "1")


def test_clients_that_wait_are_told_when_the_cluster_stops(tmp_path):
    cluster = Cluster(3, pace=0.02, dir=tmp_path / "run")
    for node in [n for n in cluster.nodes if n != cluster.wait_for_leader()]:
        cluster.crash(node)
    ended = []

    def wait() -> None:
        try:
            cluster.set("x", "1", deadline=1e6)
        except Exception as error:  # noqa: BLE001 - looked at below
            ended.append(error)

    waiter = threading.Thread(target=wait)
    waiter.start()
    eventually(lambda: any(row is not None for row in cluster.status()), "one is up")
    cluster.stop()
    waiter.join(30)
    assert not waiter.is_alive()
    assert len(ended) == 1 and "stopped" in str(ended[0])


SCRIPTS = {
    "no stop": ("", 0, ""),
    "an exception": ("raise ZeroDivisionError('here')", 1, "ZeroDivisionError: here"),
    "frozen": ("cluster.freeze()", 0, ""),
    "exit": ("raise SystemExit(3)", 3, ""),
    "a failed start before": ("\ntry:\n    raftedu.Cluster(3, pace=-1)\nexcept ValueError:\n    pass", 0, ""),
    "a thread that still asks": (
        "import contextlib, threading\ndef ask():\n    with contextlib.suppress(raftedu.LiveError):\n        while True:\n"
        "            cluster.get('x')\n"
        "threading.Thread(target=ask, daemon=True).start()", 0, "",
    ),
}  # fmt: skip


RARE = ("exit", "a failed start before", "a thread that still asks")


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] if name in RARE else []) for name in SCRIPTS])
def test_a_process_that_forgets_to_stop_ends_by_itself(tmp_path, name):
    more, code, told = SCRIPTS[name]
    script = tmp_path / "script.py"
    script.write_text(f"import raftedu\ncluster = raftedu.Cluster(3, pace=0.02)\ncluster.set('x', '1')\nprint(cluster.get('x'))\n{more}\n")
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, script], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == code, done.stderr
    assert done.stdout == "1\n"
    if told:
        assert done.stderr.count(told) == 1 and done.stderr.count("Traceback") == 1
    else:
        assert done.stderr == ""
    with Cluster(3, pace=0.02, dir=tmp_path / "raftedu-runs" / "001") as cluster:
        assert cluster.get("x") == "1"


# ---- notebooks


class Shell:
    """What raftedu sees of a notebook."""

    def __init__(self) -> None:
        self.execution_count, self.cell, self.code = 0, "", ""

    def run(self, cell: str, code: str) -> None:
        self.execution_count += 1
        self.cell, self.code = cell, code

    def get_parent(self) -> dict[str, object]:
        return {"content": {"code": self.code}, "metadata": {"cellId": self.cell} if self.cell else {}}


@pytest.fixture
def shell(monkeypatch):
    shell = Shell()
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    return shell


@pytest.mark.parametrize(("cell", "other"), [("cell-1", "cell-2"), ("", "")], ids=["cells have ids", "cells have none"])
def test_running_a_cell_again_replaces_its_cluster(tmp_path, shell, cell, other):
    shell.run(cell, "Cluster(1)")
    first = Cluster(1, pace=0.02, dir=tmp_path / "run")
    also = Cluster(1, pace=0.02, dir=tmp_path / "also")  # by the same run of the same cell
    shell.run(other, "Cluster(1, dir=...)")
    second = Cluster(1, pace=0.02, dir=tmp_path / "other")
    assert not (first.stopped or also.stopped or second.stopped)
    shell.run(cell, "Cluster(1)")
    third = Cluster(1, pace=0.02, dir=tmp_path / "run")  # on the same folder: the first has let go of it
    assert first.stopped and also.stopped and not second.stopped
    for cluster in (second, third):
        cluster.stop()
