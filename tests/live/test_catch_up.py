"""A follower that was away for 30 protocol seconds has caught up within two heartbeats of its return, by the dumps' own times."""

from __future__ import annotations

import threading

import pytest

from tests.live.helpers import ROUNDING, events, eventually, followers, wait_until_they_agree

pytestmark = pytest.mark.live

AWAY = 30.0


def _write(cluster, count: int, threads: int = 8) -> None:
    def some(first: int) -> None:
        for i in range(first, count, threads):
            cluster.set(f"k{i}", str(i))

    workers = [threading.Thread(target=some, args=(i,)) for i in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def _be_away(cluster, leave, come_back, entries: int) -> tuple[int, float, float]:
    """Let a follower be away and return; give who, when it returned, and when it had everything, by its own dump."""
    cluster.set("before", "1")
    away = followers(cluster)[0]
    # One that is cut off campaigns in vain, and its higher term would depose the leader when it returns (§5.1). Not this one.
    cluster.fix_timeout(away, 1e6)
    heard = cluster.now
    eventually(lambda: (events(cluster, "append_accepted", node=away)["time"] > heard).any(), "a heartbeat")
    leave(away)
    gone = cluster.now
    _write(cluster, entries)
    eventually(lambda: cluster.now >= gone + AWAY, "the time that it is away", 120)
    cluster.pace = 1.0  # the return is in real time: two heartbeats are two seconds
    cluster.wait_for_leader(lease=True)
    returned = cluster.now
    come_back(away)
    wait_until_they_agree(cluster)
    last = len(cluster.log(away))
    done = events(cluster, "committed", node=away)
    caught_up = done[(done["index"] == last) & (done["time"] > returned)]["time"].min()
    back = events(cluster, "started", "link_healed", node=away)["time"].max()
    return away, back, caught_up


@pytest.mark.parametrize(
    ("how", "pace", "entries"),
    [
        ("crashed", 0.02, 3),
        pytest.param("crashed", 0.02, 2000, marks=pytest.mark.slow),
        ("cut off", 0.02, 3),
        pytest.param("cut off", 0.02, 2000, marks=pytest.mark.slow),
        pytest.param("crashed", 1.0, 3, marks=pytest.mark.slow),
        pytest.param("crashed", 1.0, 2000, marks=pytest.mark.slow),
        pytest.param("cut off", 1.0, 2000, marks=pytest.mark.slow),
    ],
)
def test_it_has_caught_up_within_two_heartbeats(make, how, pace, entries):
    cluster = make(3, pace=pace)
    if how == "crashed":
        away, back, caught_up = _be_away(cluster, cluster.crash, cluster.restart, entries)
    else:
        away, back, caught_up = _be_away(cluster, lambda node: cluster.partition([node]), lambda _: cluster.heal(), entries)
    assert caught_up - back <= 2 * cluster.config.heartbeat + ROUNDING
    logs = {cluster.log(node) for node in cluster.nodes}
    assert len(logs) == 1
    assert sum(words.startswith("SET k") for _, _, words in logs.pop()) == entries
