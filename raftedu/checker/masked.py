"""Mistakes that a sound neighbour hides: the rule is tried again beside a weakened one, where the right rule breaks nothing more.

A GET without a lease check harms nobody as long as every leader notices that its lease is over. That is luck, not safety. So the rule is
searched once more in a world where a neighbour is weak; what the neighbour alone breaks is overlooked there, and only there. Knows which
rules hide which, and of a search no more than how to start one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from raftedu.checker.hunt import Catch, Hunt
from raftedu.checker.profiles import PROFILES, Profile
from raftedu.checker.replay import Scene, play, script
from raftedu.core import rules as right
from raftedu.core import views as v
from raftedu.core.rules import RULES, Rules

__all__ = ["ENOUGH", "NEIGHBOURS", "Hidden", "Neighbour", "hidden", "neighbours"]

ENOUGH = 6_000
"""Transitions beside each neighbour."""


class Neighbour(NamedTuple):
    """A weakened rule: ``words`` completes "beside ...", ``hides`` names the rules whose mistakes its right form hides.

    ``profiles`` are where to look; they overlook what the neighbour breaks by itself.
    """

    words: str
    replaced: dict[str, Callable[[Any], Any]]
    hides: tuple[str, ...]
    profiles: tuple[Profile, ...]

    def beside(self, rules: Rules) -> Rules:
        """Return these rules with the neighbour in its place; the reference beside it is what to compare with."""
        return rules.but(**self.replaced)


def neighbours(names: Sequence[str]) -> tuple[Neighbour, ...]:
    """Return the neighbours that may hide a mistake in one of these rules and are none of them."""
    return tuple(n for n in NEIGHBOURS if set(n.hides) & set(names) and not set(n.replaced) & set(names))


class Hidden(NamedTuple):
    """What a search beside a weakened neighbour came to; ``catch`` is ``None`` if it found nothing."""

    neighbour: Neighbour
    catch: Catch | None
    hunt: Hunt

    @property
    def words(self) -> str:
        """How to tell it: what hides the mistake, and that alone it breaks nothing."""
        return f"alone, nothing was found: right neighbours hide it; beside {self.neighbour.words} it breaks what the right rule does not"


def hidden(rules: Rules, names: Sequence[str], limit: int = ENOUGH, goes_on: Callable[[], bool] = lambda: True) -> Hidden | None:
    """Return the first search beside a neighbour that catches something, the last one if none does, ``None`` if there is no neighbour.

    What the right rules beside that neighbour break too, in the same schedule, does not count.
    """
    last = None
    for neighbour in neighbours(names):
        hunt = Hunt(neighbour.beside(rules), goes_on=goes_on)
        catch = hunt.run(neighbour.profiles, limit)
        if catch is not None and any(scene.obligation or scene.outcome for scene in _with_right_rules(catch, neighbour)):
            catch = None
        last = Hidden(neighbour, catch, hunt)
        if catch is not None:
            break
    return last


def _with_right_rules(catch: Catch, neighbour: Neighbour) -> list[Scene]:
    return play(script(catch.search, catch.steps), neighbour.beside(RULES))


def _worlds(*names: str, overlooks: tuple[str, ...] = (), **other: Any) -> tuple[Profile, ...]:
    known = {profile.name: profile for profile in PROFILES}
    return tuple(replace(known[name], overlooks=overlooks, **other) for name in names)


def _from_the_first(w: v.NewLeaderView) -> v.NewLeader:
    return right.become_leader(w)._replace(next_index=dict.fromkeys(w.peers, 1))


def _with_a_vote_less(w: v.TallyView) -> bool:
    return len({ballot.voter for ballot in w.ballots if ballot.granted and ballot.term == w.term}) >= w.majority - 1


_TWO_LEADERS = (
    "Distinct Voters", "Election Safety", "Log Matching", "Leader Completeness", "State Machine Safety", "Lease Disjoint", "No Stale Read",
)  # fmt: skip

NEIGHBOURS = (
    Neighbour(
        "a leader that does not notice that its lease is over",
        {"must_step_down": lambda w: False},
        ("may_serve_read", "lease_is_valid"),
        _worlds("stable lease", overlooks=("Expired Leader Steps Down",)),
    ),
    Neighbour(
        "a leader that commits during its wait",
        {"may_commit_now": lambda w: True},
        ("may_serve_read", "lease_is_valid"),
        _worlds("early append", overlooks=("Commit Justified", "No Stale Read")),
    ),
    Neighbour(
        "nodes that apply what is committed an entry at a time",
        {"applicable": lambda w: min(w.last_applied + 1, w.commit_index)},
        ("may_serve_read",),
        _worlds("clients without NO-OP", "led before", timed=True, overlooks=("Applies All",)),
    ),
    Neighbour(
        "a leader that begins with entry 1, right and slow",
        {"become_leader": _from_the_first},
        ("follower_commit_index",),
        _worlds("long tails"),
    ),
    Neighbour(
        "a leader that begins with entry 1 and sends all at once, right and slow",
        {"become_leader": _from_the_first},
        ("merged_log", "accepts_append", "acknowledged_index", "entries_to_send", "after_append_reply"),
        _worlds("logs", batch=9),
    ),
    Neighbour(
        "candidates that win with a vote less than a majority",
        {"wins_election": _with_a_vote_less},
        ("follows_leader",),
        _worlds("lease", overlooks=_TWO_LEADERS, terms=1, writes=0),
    ),
)
"""One row for each way in which a right rule can save a wrong one."""
