"""Macro walks: random schedules of macro steps in worlds that are too large to be looked through.

The same system as the search's, with five nodes, many terms, long logs and many faults, judged by the same obligations and outcomes. What a
walk finds is shrunk by leaving out steps, and then looked for once more by a search that is one step shorter. The result is a `Schedule` as
the search's is. A walk depends on the rules and its seed only: no hashes, no numbers that depend on what was seen before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import NamedTuple

from raftedu.checker.hunt import without_collector
from raftedu.checker.invariants import INVARIANTS, Broken
from raftedu.checker.profiles import Profile, family
from raftedu.checker.replay import Schedule, play, script
from raftedu.checker.search import Search
from raftedu.checker.steps import Append, Crash, Elect, Late, Tick, Write
from raftedu.checker.walker import Walker
from raftedu.core.rules import Rules

__all__ = ["WALKED", "WalkCatch", "WalkResult", "matching", "run_walks"]

WALKED: tuple[Profile, ...] = (
    Profile("walk of five", n=5, terms=9, entries=8, writes=4, retries=1, crashes=3, late=4, again=2, lost=True, batch=9),
    Profile("walk of five, entry by entry", n=5, terms=9, entries=7, writes=5, crashes=2, late=3, again=1, lost=True, no_op=False),
    Profile("walk of three", terms=9, entries=9, writes=5, retries=2, crashes=3, late=4, again=2, stuck=2, leftovers=True, batch=9),
    Profile("walk with leases", n=5, timed=True, terms=6, entries=6, writes=3, crashes=2, late=3, slow=2, lost=True),
    Profile("walk with long leases", timed=True, terms=7, entries=6, writes=3, crashes=2, late=4, again=1, slow=1, lease=2, offsets=True),
    Profile("walk with early appends", timed=True, warm=True, terms=6, entries=6, writes=4, crashes=1, late=3, policy="deferred-commit"),
    Profile("walk with a stable lease", timed=True, warm=True, terms=6, entries=6, writes=3, crashes=2, late=3, again=1, slow=2, lost=True),
    Profile("walk of four", n=4, terms=7, entries=6, writes=3, crashes=2, late=3, again=1, lost=True),
)
"""The worlds that are walked through; a search does not come to the end of any of them."""

FRESH = 400
"""After so many walks what is remembered of turns is given up."""

SHORTER = 40_000
"""So many transitions the search for something shorter may take."""


class WalkCatch(NamedTuple):
    """What a walk found: its seed, the schedule, the first promise that it breaks and the disaster, if it came to one.

    ``walked`` is how many steps the walk had; the schedule has fewer.
    """

    seed: int
    schedule: Schedule
    obligation: Broken | None
    outcome: Broken | None
    walked: int

    @property
    def broken(self) -> Broken:
        """The worst of the two."""
        broken = self.outcome or self.obligation
        assert broken is not None
        return broken

    @property
    def steps(self) -> int:
        """How many steps the schedule has, the warm-up not counted."""
        return len(self.schedule.scripts) - self.schedule.before


@dataclass
class WalkResult:
    """What came of some seeds; ``failure`` is that of the lowest seed."""

    walks: int = 0
    transitions: int = 0
    failure: WalkCatch | None = None
    finished: bool = True

    def joined(self, other: WalkResult) -> WalkResult:
        """Return both as one; of two failures that of the lower seed."""
        failures = [result.failure for result in (self, other) if result.failure is not None]
        first = min(failures, key=lambda catch: catch.seed, default=None)
        return WalkResult(self.walks + other.walks, self.transitions + other.transitions, first, self.finished and other.finished)


def run_walks(
    rules: Rules, names: list[str], seeds: range, goes_on: Callable[[], bool] = lambda: True, *, outcomes_only: bool = False,
) -> WalkResult:  # fmt: skip
    """Return what came of the walks of these seeds, taken in their order up to the first that breaks something.

    Parameters
    ----------
    rules, names
        The table, and which of its rules are replaced.
    seeds
        Which walks.
    goes_on
        Asked every few steps; if it says no, the result is not ``finished``.
    outcomes_only
        Whether broken promises are passed over.

    Raises
    ------
    RuleError
        A rule raised or answered nonsense.
    """
    result = WalkResult()
    walkers: dict[Profile, Walker] = {}
    near = [profile for name in names for profile in family(name)]
    worlds = [profile for profile in WALKED if profile.timed] if 2 * sum(p.timed for p in near) > len(near) else list(WALKED)
    with without_collector():
        for seed in seeds:
            r = Random(f"{seed}/walk")
            profile = r.choice(worlds)
            if result.walks % FRESH == 0:
                walkers.clear()
            walker = walkers.get(profile) or walkers.setdefault(profile, Walker(profile, rules, outcomes_only))
            steps = walker.walk(r, goes_on)
            result.transitions += len(walker.steps)
            if steps is None:
                result.finished = False
                break
            result.walks += 1
            if walker.broken:
                walked, schedule = len(walker.steps), script(walker.search, walker.shrunk())
                catch = WalkCatch(seed, schedule, walker.obligation, walker.outcome, walked)
                result.failure = _shorter(catch, rules, goes_on)
                break
    return result


# ---- something shorter


def matching(schedule: Schedule) -> Profile:
    """Return the smallest profile in which this schedule is possible."""
    p, steps = schedule.profile, [script.step for script in schedule.scripts[schedule.before :]]

    def count(*kinds: bool) -> int:
        return sum(kinds)

    hows = [step.how for step in steps if isinstance(step, Append)]
    elections = [step for step in steps if isinstance(step, Elect)]
    writes = [step for step in steps if isinstance(step, Write)]
    late = [step for step in steps if isinstance(step, Late)]
    crashes = count(*(isinstance(step, Crash) for step in steps))
    terms = max([1 if schedule.before else 0, *(step.term for step in elections)])
    held = count(*(how in ("request late", "reply late") for how in hows), *(step.delayed for step in elections))
    return replace(
        p, name=f"{p.name}, smaller", warm=schedule.before > 0, terms=max(terms, 1), crashes=crashes, late=held,
        entries=min(p.entries, len(elections) * p.no_op + len(writes) + (schedule.before > 0)),
        again=count(*(step.again for step in late)), writes=count(*(not step.retry for step in writes)),
        retries=count(*(step.retry for step in writes)), stuck=hows.count("disk stuck"), lost="reply lost" in hows,
        slow=p.slow and max(1, count(*(isinstance(step, Tick) and step.slow >= 0 for step in steps))),
    )  # fmt: skip


def _shorter(catch: WalkCatch, rules: Rules, goes_on: Callable[[], bool]) -> WalkCatch:
    """Return the shortest schedule for the same invariant that a search of one step less finds, else the catch itself."""
    search = Search(matching(catch.schedule), rules)
    search.outcomes_only = INVARIANTS[catch.broken.name].kind == "outcome"
    while search.depth < catch.steps - 1 and not search.exhausted:
        for _ in search.go_deeper():
            if search.found or search.transitions > SHORTER or not goes_on():
                break
        found = next(
            (f for f in search.found if any(b is not None and b.name == catch.broken.name for b in (f.outcome, f.obligation))), None
        )
        if found is not None:
            other = catch._replace(schedule=script(search, search.path(found)), obligation=found.obligation, outcome=found.outcome)
            return other if _replays(other, rules) else catch  # a rule that looks at ids may do so under some names only
        if search.found or search.transitions > SHORTER or not goes_on():
            break
    return catch


def _replays(catch: WalkCatch, rules: Rules) -> bool:
    broken = [b for scene in play(catch.schedule, rules) for b in (scene.obligation, scene.outcome) if b is not None]
    return catch.broken.name in [b.name for b in broken]
