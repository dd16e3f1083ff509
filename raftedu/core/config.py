"""`Config`: every number and switch that all nodes of one cluster share. Contradictions are refused by name."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from numbers import Real
from typing import Any

from raftedu.core.types import NodeId, Seconds

__all__ = ["LEASE_POLICIES", "NO_LEASE", "READ_MODES", "Config", "ConfigError"]

NO_LEASE = "no-lease"
LEASE_POLICIES = ("wait-then-append", "deferred-commit", NO_LEASE)
READ_MODES = ("lease", "read-index", "log", "unsafe")

_NUMBERS = ("lease", "heartbeat", "election_min", "election_max", "rho", "batch_size", "max_bytes")
LARGEST = 16 * 2**20
"""The longest key or value that any cluster takes, in bytes."""


class ConfigError(ValueError):
    """Two settings contradict each other, or one is out of range; the message names them and the fix."""


@dataclass(frozen=True, slots=True)
class Config:
    """What all nodes of a cluster agree on. All durations are protocol seconds.

    Parameters
    ----------
    nodes
        The ids of all nodes of the cluster, ints; ``Config.of(5)`` names them 1 to 5.
    lease
        L, the length of a leader lease, the same on every node (R11).
    heartbeat
        The time between two rounds of heartbeats, each of which renews the lease.
    election_min, election_max
        A follower waits a random time in this range for its leader before it campaigns (§5.2).
    rho
        The largest rate error that any node's clock may have; promises are longer by ``kappa`` (R1).
    lease_policy
        What a new leader does while it waits for the old lease: ``"wait-then-append"`` takes no entry,
        ``"deferred-commit"`` replicates at once and holds back the commit (R5). ``"no-lease"`` is plain Raft, as the comparison:
        no promise, no wait, and a leader that hears of no majority for ``election_max`` steps down.
    read_mode
        How a leader answers a GET: ``"lease"``, at once under its lease; ``"read-index"``, after a round of heartbeats that was
        sent after the GET arrived; ``"log"``, when an entry of its own is applied; ``"unsafe"``, at once and in any case, to show
        the stale read.
    batch_size
        The most entries in one AppendEntries.
    no_op_on_election
        Whether a new leader appends a NO-OP (§8). Without it some lease stories and Figure 8 can be shown.
    fast_backup
        Whether a conflict is backed up a term at a time (end of §5.3), or one entry at a time.
    max_bytes
        The longest key or value, in bytes of UTF-8.
    """

    nodes: tuple[NodeId, ...]
    lease: Seconds = 8.0
    heartbeat: Seconds = 1.0
    election_min: Seconds = 5.0
    election_max: Seconds = 10.0
    rho: float = 1e-3
    lease_policy: str = "wait-then-append"
    read_mode: str = "lease"
    batch_size: int = 512
    no_op_on_election: bool = True
    fast_backup: bool = True
    max_bytes: int = 2**20

    def __post_init__(self) -> None:
        for name in _NUMBERS:
            value: Any = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, Real):
                raise ConfigError(f"{name}={value!r} must be a number")
        for refuse, message in self._contradictions():
            if refuse:
                raise ConfigError(message)
        if self.lease < 3 * self.heartbeat:
            warnings.warn(
                f"lease={self.lease} is less than three heartbeats of {self.heartbeat} s: a single late heartbeat ends the lease",
                stacklevel=3,
            )

    def _contradictions(self) -> list[tuple[bool, str]]:
        low, high = self.election_min, self.election_max
        return [
            (not self.nodes, "nodes is empty: name at least one node"),
            (len(set(self.nodes)) != len(self.nodes), f"nodes={self.nodes} names a node twice"),
            (not all(type(n) is int and n >= 0 for n in self.nodes), f"nodes={self.nodes}: ids are ints from 0"),
            (not 0 < self.heartbeat < float("inf"), f"heartbeat={self.heartbeat} must be a positive number of seconds"),
            (not low < high < float("inf"), f"election_min={low} must be below election_max={high}, or elections tie for ever"),
            (
                self.heartbeat >= low,
                f"heartbeat={self.heartbeat} must be below election_min={low}, or followers campaign between heartbeats",
            ),
            (
                not self.heartbeat < self.lease < float("inf"),
                f"lease={self.lease} must be above heartbeat={self.heartbeat}, or no heartbeat can renew it in time",
            ),
            (not 0 <= self.rho < 0.5, f"rho={self.rho} must be a rate error from 0 to below 0.5"),
            (self.lease_policy not in LEASE_POLICIES, f"lease_policy={self.lease_policy!r}: choose one of {', '.join(LEASE_POLICIES)}"),
            (self.read_mode not in READ_MODES, f"read_mode={self.read_mode!r}: choose one of {', '.join(READ_MODES)}"),
            (
                self.read_mode == "lease" and not self.has_lease,
                "read_mode='lease' needs a lease, and lease_policy='no-lease' has none: choose read_mode='read-index', 'log' or 'unsafe'",
            ),
            (self.batch_size < 1, f"batch_size={self.batch_size} must be at least 1, or no entry is ever sent"),
            (not 1 <= self.max_bytes <= LARGEST, f"max_bytes={self.max_bytes} must be from 1 to {LARGEST}: more does not fit in a message"),
        ]

    @classmethod
    def of(cls, nodes: int | Iterable[NodeId], **settings: Any) -> Config:
        """Return a configuration for ``nodes``: a number (ids from 1) or the ids themselves."""
        if not isinstance(nodes, Iterable) and (type(nodes) is not int or nodes < 1):
            raise ConfigError(f"nodes={nodes!r} must be how many nodes, a whole number from 1, or their ids, as in [1, 2, 3]")
        ids = tuple(range(1, nodes + 1)) if isinstance(nodes, int) else tuple(nodes)
        known = {field.name for field in fields(cls)} - {"nodes"}
        for name in settings:
            if name not in known:
                raise ConfigError(f"there is no setting {name!r}; the settings are {', '.join(sorted(known))}")
        return cls(ids, **settings)

    def but(self, **changes: Any) -> Config:
        """Return a copy with some settings changed."""
        return replace(self, **changes)

    @property
    def majority(self) -> int:
        """The number of nodes that makes a majority."""
        return len(self.nodes) // 2 + 1

    @property
    def has_lease(self) -> bool:
        """Whether leaders hold leases at all; ``lease_policy="no-lease"`` is plain Raft."""
        return self.lease_policy != NO_LEASE

    @property
    def kappa(self) -> float:
        """How much longer than L a promise must be, so that it outlasts the lease on any two clocks (R1)."""
        return (1 + self.rho) / (1 - self.rho)

    @property
    def promise(self) -> Seconds:
        """The length of a promise: ``L * kappa``; 0 where nobody holds a lease."""
        return self.lease * self.kappa if self.has_lease else 0.0

    def peers(self, node: NodeId) -> tuple[NodeId, ...]:
        """Return the ids of all nodes but ``node``."""
        return tuple(other for other in self.nodes if other != node)
