"""Crash and restart in a loop under load, on disks that keep only what was fsynced: nothing acknowledged is lost or done twice."""

from __future__ import annotations

import random
import time
from collections import Counter

import pytest

from raftedu.core.kv import KeyValue
from raftedu.core.rules import RULES
from raftedu.live.log_lines import entry_of
from raftedu.live.storage import FileStorage
from tests.crash_disk import PageCacheDisk
from tests.live.helpers import assert_no_two_leases, assert_one_leader_a_term, events, eventually, up, wait_until_they_agree
from tests.live.load import Writer

pytestmark = pytest.mark.live


@pytest.mark.parametrize(
    ("nodes", "crashes", "seed"),
    [
        (3, 8, 1),
        (5, 8, 2),
        pytest.param(3, 60, 3, marks=pytest.mark.slow),
        pytest.param(5, 60, 4, marks=pytest.mark.slow),
        pytest.param(5, 1500, 5, marks=[pytest.mark.soak, pytest.mark.timeout(3600)]),
    ],
)
def test_every_acknowledged_set_is_there_once_and_every_get_is_right(make, nodes, crashes, seed):
    rng = random.Random(seed)
    disks = {node: PageCacheDisk() for node in range(1, nodes + 1)}
    cluster = make(nodes, storage=lambda node, folder: FileStorage(folder, disk=disks[node]))
    cluster.wait_for_leader()
    writers = [Writer(cluster, number) for number in range(3)]
    for writer in writers:
        writer.start()
    for _ in range(crashes):
        _crash(cluster, disks, rng)
        # How long it goes on like this is chance; nothing is judged by it.
        time.sleep(rng.choice([0.0, 0.1, 0.4]))
        _restart_some(cluster, disks, rng)
    for node in cluster.nodes:
        if not cluster.is_up(node):
            _restart(cluster, disks, node, rng)
    before = [len(writer.acknowledged) for writer in writers]
    eventually(lambda: all(len(w.acknowledged) > n or w.wrong for w, n in zip(writers, before, strict=True)), "SETs succeed again")
    for writer in writers:
        writer.finish()
    _check(cluster, disks, writers)


def _crash(cluster, disks, rng) -> None:
    """Let one node lose its power: between two turns, or in the middle of a write or an fsync."""
    running = up(cluster)
    if not running:
        return
    node = cluster.leader if rng.random() < 0.6 else rng.choice(running)
    if node is None or not cluster.is_up(node):
        return
    if rng.random() < 0.5:
        disks[node].lose_power_at(rng.randint(1, 6))
        end = time.monotonic() + 5
        while cluster.is_up(node) and time.monotonic() < end:  # if it writes nothing, then between two turns
            time.sleep(0.005)
    if cluster.is_up(node):
        cluster.crash(node)


def _restart_some(cluster, disks, rng) -> None:
    down = [node for node in cluster.nodes if not cluster.is_up(node)]
    most_down = (len(cluster.nodes) - 1) // 2
    for node in down:
        if len(down) > most_down or rng.random() < 0.6:
            _restart(cluster, disks, node, rng)


def _restart(cluster, disks, node, rng) -> None:
    eventually(lambda: not cluster._lives[node]._thread.is_alive() if node in cluster._lives else True, "its thread ends")
    disks[node].power_loss(rng if rng.random() < 0.7 else None)
    cluster.restart(node)


def _check(cluster, disks, writers) -> None:
    wait_until_they_agree(cluster)
    logs = {node: disks[node].read(cluster.folder / f"logs_node_{node}" / "logs.txt") for node in cluster.nodes}
    assert len(set(logs.values())) == 1
    entries = [entry_of(line) for line in logs[1].decode().split("\n")[:-1]]
    state, done = KeyValue(), Counter()
    for entry in entries:
        if state.apply(entry, RULES, is_leader=False) == "new" and entry.op == "SET":
            done[entry.client, entry.request] += 1
            assert done[entry.client, entry.request] == 1
    for writer in writers:
        assert writer.acknowledged, "nothing was ever acknowledged"
        lost = [value for value in writer.acknowledged if not done[writer.client, writer.requests[value]]]
        assert not lost, f"{writer.key} lost {lost}"
        values = [int(entry.value) for entry in entries if entry.op == "SET" and entry.key == writer.key]
        first = list(dict.fromkeys(values))
        assert first == sorted(first), "an older value came after a newer one"
        assert writer.is_right(cluster.get(writer.key))
    _check_dumps(cluster, entries, done)


def _check_dumps(cluster, entries, done) -> None:
    """What the nodes said while they did it: after the same entry the same state, on every node in every life."""
    states: dict[int, set[str]] = {}
    for row in events(cluster, "applied").itertuples():
        states.setdefault(row.facts["to"], set()).add(row.facts["state"])
    assert all(len(state) == 1 for state in states.values())
    committed: dict[int, set[str]] = {}
    for row in events(cluster, "committed").itertuples():
        committed.setdefault(row.index, set()).add(row.facts["op"])
    assert all(len(op) == 1 for op in committed.values())
    # A later leader may have added its NO-OP since the logs were read.
    assert all(op == {entries[index - 1].words} for index, op in committed.items() if index <= len(entries))
    assert_one_leader_a_term(cluster.trace)
    assert_no_two_leases(cluster.trace)
