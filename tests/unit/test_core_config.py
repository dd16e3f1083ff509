"""Config: what it derives, and that every contradiction is refused with the settings named and the fix."""

from __future__ import annotations

import pytest

from raftedu.core.config import Config, ConfigError
from raftedu.core.node import Node

NAN = float("nan")
INFINITY = float("inf")


def test_the_defaults_are_the_lectures():
    c = Config.of(5)
    assert (c.nodes, c.lease, c.heartbeat, c.election_min, c.election_max) == ((1, 2, 3, 4, 5), 8.0, 1.0, 5.0, 10.0)
    assert (c.lease_policy, c.read_mode, c.no_op_on_election, c.fast_backup) == ("wait-then-append", "lease", True, True)


@pytest.mark.parametrize(("nodes", "majority"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (6, 4), (7, 4)])
def test_majority(nodes, majority):
    assert Config.of(nodes).majority == majority


def test_a_promise_is_longer_than_the_lease_by_the_margin_of_two_clocks():
    c = Config.of(3, rho=0.2)
    assert c.kappa == pytest.approx(1.5) and c.promise == pytest.approx(12.0)
    assert Config.of(3, rho=0).promise == 8.0


def test_nodes_by_number_or_by_name():
    assert Config.of([0, 7]).nodes == (0, 7) and Config.of((3,)).peers(3) == ()
    assert Config.of(3).peers(2) == (1, 3)
    assert Config.of(3).but(lease=4.0).lease == 4.0


REFUSED = [
    ({"nodes": ()}, "nodes is empty"),
    ({"nodes": 0}, "nodes=0 must be how many nodes, a whole number from 1, or their ids"),
    ({"nodes": 2.5}, "nodes=2.5 must be how many nodes"),
    ({"nodes": True}, "nodes=True must be how many nodes"),
    ({"nodes": None}, "nodes=None must be how many nodes"),
    ({"lease": "8"}, "lease='8' must be a number"),
    ({"heartbeat": None}, "heartbeat=None must be a number"),
    ({"batch_size": True}, "batch_size=True must be a number"),
    ({"nodes": (1, 1)}, r"nodes=\(1, 1\) names a node twice"),
    ({"nodes": (-1, 2)}, "ids are ints from 0"),
    ({"nodes": ("1", "2")}, "ids are ints from 0"),
    ({"nodes": (True, 2)}, "ids are ints from 0"),
    ({"heartbeat": 0.0}, "heartbeat=0.0 must be a positive number"),
    ({"heartbeat": NAN}, "heartbeat=nan must be a positive number"),
    ({"election_min": 10.0}, "election_min=10.0 must be below election_max=10.0"),
    ({"election_max": INFINITY}, "election_max=inf"),
    ({"heartbeat": 5.0}, "heartbeat=5.0 must be below election_min=5.0"),
    ({"lease": 1.0}, "lease=1.0 must be above heartbeat=1.0"),
    ({"lease": NAN}, "lease=nan must be above heartbeat"),
    ({"lease": INFINITY}, "lease=inf"),
    ({"rho": -0.1}, "rho=-0.1"),
    ({"rho": 0.5}, "rho=0.5"),
    ({"lease_policy": "none"}, "lease_policy='none': choose one of wait-then-append, deferred-commit, no-lease"),
    ({"read_mode": "fast"}, "read_mode='fast': choose one of lease, read-index, log, unsafe"),
    ({"lease_policy": "no-lease"}, "read_mode='lease' needs a lease, and lease_policy='no-lease' has none: choose read_mode='read-index'"),
    ({"batch_size": 0}, "batch_size=0 must be at least 1"),
    ({"max_bytes": 0}, "max_bytes=0 must be from 1 to 16777216"),
    ({"max_bytes": 2**27}, "more does not fit in a message"),
    ({"leese": 3}, "there is no setting 'leese'; the settings are batch_size"),
]


@pytest.mark.parametrize(("settings", "message"), REFUSED)
def test_a_contradiction_is_refused(settings, message):
    nodes = settings.pop("nodes", 3)
    with pytest.raises(ConfigError, match=message) as refused:
        Config.of(nodes, **settings)
    assert "\n" not in str(refused.value)


def test_a_short_lease_is_legal_and_warned_about():
    with pytest.warns(UserWarning, match="lease=2.0 is less than three heartbeats of 1.0 s"):
        assert Config.of(3, lease=2.0).lease == 2.0


def test_a_node_must_be_one_of_the_cluster():
    with pytest.raises(ConfigError, match=r"node 4 is not one of nodes=\(1, 2, 3\)"):
        Node(4, Config.of(3))
