"""The cluster's clock and the nodes' own, on a wall clock that only the test moves."""

from __future__ import annotations

import math
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftedu.live.clock import ClusterClock, NodeClock, system_source


class Wall:
    """Wall time that moves when told."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def wall() -> Wall:
    return Wall()


def test_it_is_zero_when_made_and_counts_protocol_seconds(wall: Wall) -> None:
    clock = ClusterClock(0.05, source=wall)
    assert clock.now() == 0.0
    wall.seconds += 0.5
    assert clock.now() == pytest.approx(10.0)


def test_a_change_of_pace_is_no_jump(wall: Wall) -> None:
    clock = ClusterClock(source=wall)
    wall.seconds += 3
    clock.pace = 0.1
    assert (clock.now(), clock.pace) == (3.0, 0.1)
    wall.seconds += 1
    assert clock.now() == pytest.approx(13.0)
    clock.freeze()
    clock.pace = 1.0
    assert clock.now() == pytest.approx(13.0)


def test_frozen_time_does_not_count(wall: Wall) -> None:
    clock = ClusterClock(source=wall)
    wall.seconds += 1
    clock.freeze()
    clock.freeze()
    wall.seconds += 100
    assert clock.frozen
    assert clock.now() == 1.0
    clock.thaw()
    clock.thaw()
    assert not clock.frozen
    assert clock.now() == 1.0
    wall.seconds += 1
    assert clock.now() == 2.0


def test_only_a_frozen_clock_can_be_moved_and_only_forward(wall: Wall) -> None:
    clock = ClusterClock(source=wall)
    with pytest.raises(RuntimeError, match="freeze"):
        clock.advance(1)
    clock.freeze()
    clock.advance(2.5)
    for seconds in (-1, math.inf, math.nan):
        with pytest.raises(ValueError, match="forward"):
            clock.advance(seconds)
    assert clock.now() == 2.5
    clock.thaw()
    assert clock.now() == 2.5


@pytest.mark.parametrize("pace", [0, -1, math.inf, math.nan, "fast", None])
def test_a_pace_is_positive(pace: float) -> None:
    with pytest.raises(ValueError, match="pace"):
        ClusterClock(pace)
    clock = ClusterClock()
    with pytest.raises(ValueError, match="pace"):
        clock.pace = pace
    assert clock.pace == 1.0


def test_listeners_hear_every_change_once_and_may_use_the_clock(wall: Wall) -> None:
    clock = ClusterClock(source=wall)
    heard: list[tuple[bool, float, float]] = []

    def listener() -> None:
        heard.append((clock.frozen, clock.now(), clock.pace))

    clock.subscribe(listener)
    clock.freeze()
    clock.freeze()
    clock.advance(1)
    clock.pace = 2
    clock.thaw()
    assert heard == [(True, 0, 1), (True, 1, 1), (True, 1, 2), (False, 1, 2)]
    clock.unsubscribe(listener)
    clock.unsubscribe(listener)
    clock.freeze()
    assert len(heard) == 4


def test_it_knows_the_time_of_day_of_its_zero(wall: Wall) -> None:
    before = time.time()
    clock = ClusterClock(source=wall)
    assert before <= clock.utc_zero <= time.time()


def test_without_drift_a_node_sees_the_time_of_the_cluster_to_the_last_digit(wall: Wall) -> None:
    cluster = ClusterClock(0.3, source=wall)
    wall.seconds += 0.1
    node = NodeClock(cluster)
    for _ in range(1000):
        wall.seconds += 0.1
        assert node.now() == cluster.now()
    assert (node.rate, node.offset) == (1.0, 0.0)


def test_a_node_drifts_at_its_rate_from_its_offset(wall: Wall) -> None:
    cluster = ClusterClock(source=wall)
    wall.seconds += 10
    node = NodeClock(cluster, rate=1.5, offset=-2)
    assert node.now() == 8
    wall.seconds += 4
    assert node.now() == 14
    assert node.offset == 0


def test_a_new_rate_is_no_jump_and_an_offset_is(wall: Wall) -> None:
    cluster = ClusterClock(source=wall)
    node = NodeClock(cluster)
    wall.seconds += 10
    node.set(rate=2)
    assert node.now() == 10
    wall.seconds += 1
    assert node.now() == 12
    node.set(offset=-5)
    assert (node.now(), node.rate, node.offset) == (6, 2, -5)
    node.set(rate=0, offset=1)
    wall.seconds += 1
    assert node.now() == 12
    assert node.offset == 0


@pytest.mark.parametrize("change", [{"rate": -1}, {"rate": math.inf}, {"rate": math.nan}, {"offset": math.inf}, {"offset": math.nan}])
def test_a_clock_that_cannot_be_is_refused(wall: Wall, change: dict[str, float]) -> None:
    node = NodeClock(ClusterClock(source=wall))
    with pytest.raises(ValueError, match=next(iter(change))):
        node.set(**change)
    with pytest.raises(ValueError, match=next(iter(change))):
        NodeClock(ClusterClock(source=wall), **change)
    assert (node.rate, node.offset) == (1.0, 0.0)


def test_wall_until_says_how_long_to_sleep(wall: Wall) -> None:
    cluster = ClusterClock(0.5, source=wall)
    node = NodeClock(cluster, rate=2)
    assert node.wall_until(8) == 2.0
    assert node.wall_until(0) == node.wall_until(-1) == 0.0
    assert node.wall_until(math.inf) == math.inf
    wall.seconds += 2
    assert node.now() == 8
    assert node.wall_until(8) == 0.0
    cluster.freeze()
    assert node.wall_until(8) == 0.0
    assert node.wall_until(9) == math.inf
    cluster.thaw()
    node.set(rate=0)
    assert node.wall_until(8) == 0.0
    assert node.wall_until(9) == math.inf


def test_a_node_hears_of_its_own_changes_and_of_the_clusters(wall: Wall) -> None:
    cluster = ClusterClock(source=wall)
    node, other = NodeClock(cluster), NodeClock(cluster)
    heard: list[float] = []

    def listener() -> None:
        heard.append(node.wall_until(8))

    node.subscribe(listener)
    node.set(rate=2)
    cluster.freeze()
    other.set(rate=3)
    cluster.thaw()
    assert heard == [4.0, math.inf, 4.0]
    node.unsubscribe(listener)
    node.set(rate=1)
    cluster.freeze()
    assert len(heard) == 3


CHANGES = st.one_of(
    st.tuples(st.just("wall"), st.floats(0, 1e6)),
    st.tuples(st.just("pace"), st.floats(1e-3, 1e3)),
    st.tuples(st.just("rate"), st.floats(0, 10)),
    st.tuples(st.sampled_from(["freeze", "thaw"]), st.just(0.0)),
    st.tuples(st.just("advance"), st.floats(0, 1e6)),
)


@given(st.lists(CHANGES))
def test_no_clock_ever_runs_backwards(changes: list[tuple[str, float]]) -> None:
    wall = Wall()
    cluster = ClusterClock(source=wall)
    node = NodeClock(cluster)
    last = (0.0, 0.0)
    for change, amount in changes:
        match change:
            case "wall":
                wall.seconds += amount
            case "pace":
                cluster.pace = amount
            case "rate":
                node.set(rate=amount)
            case "advance" if cluster.frozen:
                cluster.advance(amount)
            case "freeze" | "thaw":
                getattr(cluster, change)()
        now = (cluster.now(), node.now())
        assert now[0] >= last[0]
        assert now[1] >= last[1]
        last = now


def test_many_threads_read_a_clock_that_others_change() -> None:
    cluster = ClusterClock(0.01)
    node = NodeClock(cluster)
    done = threading.Event()
    backwards: list[tuple[float, float]] = []

    def read() -> None:
        last = node.now()
        while not done.is_set():
            now = node.now()
            if now < last:
                backwards.append((last, now))
            last = now

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for change in range(2000):
        cluster.freeze()
        cluster.advance(0.001)
        cluster.thaw()
        cluster.pace = 0.01 + change % 2
        node.set(rate=1 + change % 3)
    done.set()
    for reader in readers:
        reader.join()
    assert not backwards


def test_the_systems_clock_counts_a_suspend_where_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "CLOCK_BOOTTIME", 7, raising=False)
    monkeypatch.setattr(time, "clock_gettime", lambda clock: 42.0 if clock == 7 else 0.0, raising=False)
    assert system_source()() == 42.0
    monkeypatch.delattr(time, "CLOCK_BOOTTIME")
    assert system_source() is time.monotonic
