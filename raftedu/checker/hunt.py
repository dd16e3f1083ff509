"""Several profiles in lock-step: the shortest schedule over all of them, then where a broken obligation leads.

The order is that of the profiles, a depth at a time, so that the answer depends on nothing but rules and profiles. Knows how much may be
tried, and nothing of how a search or a report looks.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from raftedu.checker.coverage import NEVER
from raftedu.checker.invariants import INVARIANTS, Broken
from raftedu.checker.profiles import Profile
from raftedu.checker.search import Found, Search
from raftedu.checker.steps import Step
from raftedu.core.rules import Rules

__all__ = ["Catch", "Hunt", "without_collector"]

PURSUIT = 40_000
"""After so many transitions without an outcome, a broken obligation is reported for itself."""


@dataclass(frozen=True)
class Catch:
    """A schedule that breaks something, from ``profile``'s start: the obligation, the outcome, or both."""

    profile: Profile
    steps: list[Step]
    search: Search
    obligation: Broken | None
    outcome: Broken | None


@contextmanager
def without_collector() -> Iterator[None]:
    """Spare Python's collector of circles meanwhile: it would look at millions of tuples again and again, and they form none."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@dataclass
class Hunt:
    """A search over several profiles. ``goes_on`` is asked now and then and ends it early; limits count transitions.
    ``pursues``: a broken obligation is followed up to what it leads to. ``follows_duties``: a neglected duty is followed up too, for
    where several rules are replaced it may hide something worse.

    ``searches`` has all that was looked through; ``finished`` is false if ``goes_on`` ended it.
    """

    rules: Rules
    goes_on: Callable[[], bool] = lambda: True
    alike: bool = True
    pursues: bool = True
    follows_duties: bool = False
    searches: list[Search] = field(default_factory=list)
    finished: bool = True

    @property
    def transitions(self) -> int:
        """How many steps have been tried in all."""
        return sum(search.transitions for search in self.searches)

    def run(self, profiles: tuple[Profile, ...], limit: int) -> Catch | None:
        """Return the first catch in these profiles, the one with the fewest steps; ``None`` if there is none within the limit.

        A broken obligation is followed up to the outcome that it leads to, if that is not too far.
        """
        searches = [self._begin(profile) for profile in profiles]
        self.searches += searches
        search = self._lockstep(searches, limit)
        if search is None:
            return None
        whole = next((found for found in search.found if found.outcome is not None), None)
        if whole is not None:
            return self._catch(search, whole)
        first = self._catch(search, min(search.found, key=_is_duty))  # the first, but a promise before a duty
        if not self.pursues:
            return first
        if self.follows_duties or any(INVARIANTS[found.obligation.name].kind != "duty" for found in search.found if found.obligation):
            return self._pursue(search) or self._whole([search]) or self._whole(searches) or first
        return first

    @property
    def remarks(self) -> list[Broken]:
        """What was safe and slower than need be, one of each kind."""
        return list({name: beyond for search in reversed(self.searches) for name, beyond in search.system.remarks.items()}.values())

    def happened(self) -> dict[str, bool]:
        """Return what must happen sometimes, and whether it has happened in anything that was looked at; empty if nothing was."""
        systems = [search.system for search in self.searches if search.profile.n > 1]
        looks = [look for s in systems if s.profile.timed for known in s.looks for look in known.values()]
        happened = {
            "a leader was elected": any(any(system.leads) for system in systems),
            "an entry was committed": any(history.committed for system in systems for history in system.histories.all),
        }
        if looks:
            happened |= {
                "a lease was held": any(look.holds for look in looks), "a GET was answered": any(look.sees >= 0 for look in looks),
            }  # fmt: skip
        return happened if systems else {}

    def never(self) -> list[str]:
        """Return in words what has never happened: whoever does nothing breaks nothing."""
        return [NEVER[what] for what, ever in self.happened().items() if not ever]

    def _begin(self, profile: Profile) -> Search:
        try:
            search = Search(profile, self.rules, alike=self.alike)
        except LookupError:  # under these rules the warm-up leads nowhere; without it one sees why
            return Search(replace(profile, warm=False), self.rules, alike=self.alike)
        if search.cold_feet is not None:
            search = Search(replace(profile, warm=False), self.rules, alike=self.alike)
        return search

    def _lockstep(self, searches: list[Search], limit: int) -> Search | None:
        """Go deeper in all of them in turn; return the first that found something."""
        stop = self.transitions + limit
        live = searches
        while live:
            for search in live:
                for _ in search.go_deeper():
                    if search.found or not self._may_go_on(stop):
                        break
                if search.found:
                    return search
                if not self._may_go_on(stop):
                    return None
            live = [search for search in live if not search.exhausted]
        return None

    def _may_go_on(self, stop: int) -> bool:
        if self.transitions < stop and not self.goes_on():
            self.finished = False
        return self.transitions < stop and self.finished

    def _pursue(self, search: Search) -> Catch | None:
        """Go on from what was broken, and from nothing else."""
        pursuit = search.pursuit()
        self.searches.append(pursuit)
        if self._lockstep([pursuit], PURSUIT // 4) is None:
            return None
        return self._catch(pursuit, pursuit.found[0])

    def _whole(self, searches: list[Search]) -> Catch | None:
        """Begin again, for outcomes only: the shortest way to break a promise need not be the one that leads to a disaster."""
        for search in searches:
            search.once_more()
        winner = self._lockstep(searches, PURSUIT)
        return None if winner is None else self._catch(winner, winner.found[0])

    def _catch(self, search: Search, found: Found) -> Catch:
        return Catch(search.profile, search.path(found), search, found.obligation, found.outcome)


def _is_duty(found: Found) -> bool:
    return found.outcome is None and found.obligation is not None and INVARIANTS[found.obligation.name].kind == "duty"
