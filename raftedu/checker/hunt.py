"""Several profiles in lock-step: the shortest schedule over all of them, then where a broken obligation leads.

The order is that of the profiles, a depth at a time, so that the answer depends on nothing but rules and profiles. Knows how much may be
tried, and nothing of how a search or a report looks.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from raftedu.checker.invariants import Broken
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
    """A search over several profiles. ``goes_on`` is asked now and then and ends it early; ``limit`` counts transitions.

    ``searches`` has what was looked at, ``finished`` whether the limit was reached or nothing was left.
    """

    rules: Rules
    goes_on: Callable[[], bool] = lambda: True
    alike: bool = True
    searches: list[Search] = field(default_factory=list)
    finished: bool = True

    @property
    def transitions(self) -> int:
        """How many steps have been tried in all."""
        return sum(search.transitions for search in self.searches)

    def run(self, profiles: tuple[Profile, ...], limit: int) -> Catch | None:
        """Return the first catch in these profiles, the one with the fewest steps; ``None`` if there is none within the limit."""
        live = [search for search in map(self._begin, profiles) if search is not None]
        self.searches += live
        stop = self.transitions + limit
        while live:
            for search in live:
                if not self._deeper(search, stop):
                    return None
                if search.found:
                    return self._caught(search, [other for other in live if other is not search])
            live = [search for search in live if not search.exhausted]
        return None

    def _begin(self, profile: Profile) -> Search | None:
        try:
            search = Search(profile, self.rules, alike=self.alike)
        except LookupError:
            return None  # under these rules its warm-up leads nowhere; a cold profile shows why
        if search.cold_feet is not None:
            search = Search(replace(profile, warm=False), self.rules, alike=self.alike)
        return search

    def _deeper(self, search: Search, stop: int) -> bool:
        for _ in search.go_deeper():
            if search.found:
                return True
            if self.transitions >= stop:
                return False
            if not self.goes_on():
                self.finished = False
                return False
        return True

    def _caught(self, search: Search, others: list[Search]) -> Catch:
        whole = next((found for found in search.found if found.outcome is not None), None)
        if whole is not None:
            return self._catch(search, whole)
        disaster = self._pursue(search)
        if disaster is not None:
            return disaster
        found = search.found[0]
        return self._catch(search, found)

    def _pursue(self, search: Search) -> Catch | None:
        pursuit = search.pursuit()
        began = pursuit.transitions
        while not pursuit.exhausted and not pursuit.found:
            for _ in pursuit.go_deeper():
                if pursuit.found or pursuit.transitions - began > PURSUIT or not self.goes_on():
                    break
            else:
                continue
            break
        search.transitions = pursuit.transitions
        return self._catch(pursuit, pursuit.found[0]) if pursuit.found else None

    def _catch(self, search: Search, found: Found) -> Catch:
        return Catch(search.profile, search.path(found), search, found.obligation, found.outcome)
