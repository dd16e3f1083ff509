"""Clusters for the tests: quick ones in folders of their own, stopped whatever happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from raftedu.live.cluster import Cluster


def _maker(folder: Path) -> Iterator[Callable[..., Cluster]]:
    made: list[Cluster] = []

    def start(nodes: Any = 5, *, pace: float = 0.02, dir: Path | None = None, **settings: Any) -> Cluster:
        cluster = Cluster(nodes, pace=pace, dir=dir or folder / f"run{len(made)}", **settings)
        made.append(cluster)
        return cluster

    yield start
    for cluster in made:
        cluster.stop()


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Cluster]]:
    """Start a cluster; 0.02 wall seconds are a protocol second unless the test says otherwise."""
    yield from _maker(tmp_path)


@pytest.fixture(scope="module")
def make_for_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Cluster]]:
    """The same for a cluster that all tests of a module look at."""
    yield from _maker(tmp_path_factory.mktemp("runs"))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let requests that cannot succeed fail after half a wall second."""
    monkeypatch.setattr("raftedu.live.cluster._PATIENCE", 0.5)
