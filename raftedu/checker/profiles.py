"""Profiles: the small worlds that a search looks through, and which of them a rule is likeliest to fail in.

A profile bounds everything: nodes, terms, entries, faults. It knows nothing of rules but their names, and nothing of how a search works.
In a *timed* profile moments matter: time stands still but for the step ``tick``. In an *untimed* one a long silence precedes each
election, so that every lease and promise is over, and nothing of the lease is remembered.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

from raftedu.core.config import Config
from raftedu.core.types import Seconds

__all__ = ["PROFILES", "TICK", "Profile", "family", "profiles_for"]

TICK: Seconds = 10.0
"""How much time a ``tick`` lets pass."""


@dataclass(frozen=True, slots=True)
class Profile:
    """The bounds of one search. ``lease`` is in ticks; all others count nodes, terms, entries or how often a thing may happen."""

    name: str
    n: int = 3
    timed: bool = False
    warm: bool = False  # begin with node 1 as a stable leader and one committed entry
    terms: int = 3
    entries: int = 3
    writes: int = 0
    retries: int = 0
    crashes: int = 0
    late: int = 0
    again: int = 0
    slow: int = 0
    stuck: int = 0
    lost: bool = False
    lease: int = 1
    short: Seconds = 0.0  # by so much the lease is shorter than its ticks, so that it ends between two of them
    patience: int = 0  # in ticks: the longest election timeout, if it is not as long as the lease
    before: int = 0  # in ticks: all nodes have just started again, after a life with this longer lease
    batch: int = 1
    fast: bool = True  # a leader backs up a term at a time, not an entry
    no_op: bool = True
    policy: str = "wait-then-append"
    reads: str = "lease"
    gets: int = 0  # how often a client asks for x, where that is a step of its own; every other GET is asked in passing
    ask_all: bool = False  # clients ask every node, not leaders only
    leftovers: bool = False  # a node remembers next and match index of an earlier leadership, as the core does
    offsets: bool = False  # every node's clock shows something else, so that nodes are not alike
    overlooks: tuple[str, ...] = ()  # invariants that nobody is judged by here: see `raftedu.checker.masked`

    @property
    def alike(self) -> bool:
        """Whether the nodes may be exchanged for one another."""
        return not self.offsets

    @property
    def lazy_disk(self) -> bool:
        """Whether what no message waits for stays off the disk until the node is next heard of."""
        return bool(self.crashes or self.stuck)

    def config(self) -> Config:
        """Return the configuration of the nodes of this world."""
        return _config(self)


@cache
def _config(p: Profile) -> Config:
    # One missing tick in the life of a lease of 1 or 2 ticks is a promise of 2 or 3: kappa is 2 or 1.5.
    rho = {1: 1 / 3, 2: 1 / 5}[p.lease] if p.slow else 0.0
    return Config.of(
        p.n, lease=p.lease * TICK - p.short, heartbeat=1.0, election_min=2.0, election_max=(p.patience or p.lease) * TICK, rho=rho,
        lease_policy=p.policy,
        batch_size=p.batch, no_op_on_election=p.no_op, fast_backup=p.fast, read_mode=p.reads,
    )  # fmt: skip


# fmt: off
PROFILES: tuple[Profile, ...] = (
    Profile("elections", terms=2, entries=2),
    Profile("logs", terms=4, entries=3),
    Profile("crash", terms=2, entries=2, writes=1, crashes=1),
    Profile("lease", timed=True, terms=2, entries=3, writes=1),
    Profile("stable lease", timed=True, warm=True, terms=3, entries=3, writes=1),
    Profile("late", terms=3, entries=3, writes=1, late=1),
    Profile("even number", n=4, terms=2, entries=2),
    Profile("clients", terms=3, entries=4, writes=1, retries=1, warm=True, batch=9, ask_all=True),
    Profile("lease and crash", timed=True, terms=2, entries=2, crashes=1),
    Profile("first lease and late", timed=True, terms=2, entries=2, late=1, lease=2),
    Profile("lease and late", timed=True, warm=True, terms=2, entries=3, late=1, lease=2),
    Profile("slow clock", timed=True, warm=True, terms=2, entries=2, slow=1, lease=1),
    Profile("early append", timed=True, warm=True, terms=2, entries=3, writes=1, policy="deferred-commit"),
    Profile("long tails", terms=2, entries=2, writes=1),
    Profile("slow clock and crash", timed=True, warm=True, terms=2, entries=2, slow=1, crashes=1),
    Profile("clients without NO-OP", terms=2, entries=3, writes=1, retries=1, warm=True, batch=9, no_op=False),
    Profile("own clocks", timed=True, terms=2, entries=2, late=1, offsets=True),
    Profile("crash and late", terms=3, entries=3, writes=1, crashes=1, late=1, again=1),
    Profile("stuck disk", terms=2, entries=3, writes=1, crashes=1, stuck=2, batch=9),
    Profile("led before", terms=3, entries=3, writes=1, leftovers=True, batch=9),
    Profile("two late", warm=True, terms=2, entries=4, writes=2, late=2, batch=9),
    Profile("empty heartbeats", terms=3, entries=3, writes=2, no_op=False, lost=True),
    Profile("five", n=5, terms=3, entries=2, late=1, again=1),
    Profile("lease of five", n=5, timed=True, terms=2, entries=2),
    Profile("one back at a time", terms=4, entries=3, fast=False),
    Profile("clients in a hurry", terms=2, entries=4, writes=2, retries=1, warm=True, batch=9),
    Profile("shorter lease than before", timed=True, terms=2, entries=2, crashes=1, before=2, overlooks=("Vote Carries Promise",)),
    Profile("alone", n=1, timed=True, terms=3, entries=3, writes=1, crashes=1),
    Profile("odd lease, stuck disk", timed=True, terms=1, entries=2, writes=1, stuck=4, lease=2, short=TICK / 2, patience=1),
    Profile("read index", timed=True, warm=True, terms=2, entries=3, writes=1, batch=9, policy="no-lease", reads="read-index", gets=1),
    Profile("read index and late", timed=True, warm=True, terms=2, entries=3, writes=1, late=1, batch=9, policy="no-lease",
            reads="read-index", gets=2, lease=2),
    Profile("stable lease, crash, late", timed=True, warm=True, terms=3, entries=3, writes=1, crashes=1, late=1, lease=2),
)
"""From cheap to dear; the order also decides between schedules of the same length."""

UNANSWERED = ("Confirmed Read Is Answered", "GET Is Answered")

_BY_NAME = {profile.name: profile for profile in PROFILES}

_ELECTION = ("elections", "even number", "late", "crash", "five", "logs")
_DISK = ("crash", "elections", "lease and crash", "stuck disk", "crash and late")
_LEASE = ("stable lease", "lease", "first lease and late", "lease and late", "lease and crash", "slow clock", "own clocks", "lease of five",
          "alone")
# fmt: on
_CLIENT = ("clients", "stable lease", "lease", "early append")

_FAMILIES: dict[str, tuple[str, ...]] = {
    "election_timeout_range": _ELECTION,
    "start_election": _ELECTION,
    "log_is_up_to_date": ("logs", "elections", "late", "crash"),
    "grant_vote": _ELECTION,
    "wins_election": _ELECTION,
    "on_higher_term": _ELECTION,
    "reply_term": _ELECTION,
    "resets_election_timer": _ELECTION,
    "become_leader": ("elections", "logs", "led before", "crash", "late", "clients in a hurry"),
    "follows_leader": ("elections", "late", "lease and late"),
    "accepts_append": ("logs", "empty heartbeats", "late", "two late"),
    "merged_log": ("logs", "two late", "crash"),
    "acknowledged_index": ("logs", "two late", "crash"),
    "entries_to_send": ("logs", "two late", "empty heartbeats"),
    "after_append_reply": ("logs", "two late", "one back at a time"),
    "must_persist_first": _DISK,
    "may_commit_now": ("early append", "stable lease", "lease", "logs"),
    "leader_commit_index": ("logs", "stuck disk", "crash", "late", "five"),
    "follower_commit_index": ("logs", "long tails", "late", "empty heartbeats", "two late"),
    "applicable": ("logs", "late", "clients"),
    "apply_once": ("clients without NO-OP", "clients", "clients in a hurry"),
    "client_outcome": ("clients", "stable lease", "lease", "clients in a hurry"),
    "accepts_client_write": _CLIENT,
    "may_serve_read": ("stable lease", "lease", "early append", "lease and late", "read index"),
    "read_is_confirmed": ("read index", "read index and late"),
    "lease_promise": ("stable lease", "lease", "slow clock", "own clocks", "lease and late", "shorter lease than before"),
    "promise_at_restart": ("lease and crash", "slow clock and crash", "shorter lease than before", "alone", "stable lease, crash, late"),
    "remaining_promise": _LEASE,
    "lease_wait": _LEASE,
    "lease_expiry": _LEASE,
    "lease_is_valid": _LEASE,
    "must_step_down": ("stable lease", "lease", "odd lease, stuck disk", *_LEASE[2:]),
}


def family(rule: str) -> tuple[Profile, ...]:
    """Return the profiles in which a mistake in this rule is likeliest to show."""
    return tuple(_BY_NAME[name] for name in _FAMILIES[rule])


def profiles_for(rules: list[str], n: int | None = None) -> tuple[tuple[Profile, ...], tuple[Profile, ...]]:
    """Return the profiles to look through at first for these rules, and all others; with ``n``, those of that many nodes only."""
    near = list(dict.fromkeys(profile for rule in rules for profile in family(rule)))
    far = [profile for profile in PROFILES if profile not in near]
    if "read_is_confirmed" not in rules:  # a rule may speak of leases alone: where there are none, nobody need be answered
        near, far = ([replace(p, overlooks=(*p.overlooks, *UNANSWERED)) if p.gets else p for p in ps] for ps in (near, far))
    return tuple(p for p in near if n in (None, p.n)), tuple(p for p in far if n in (None, p.n))
