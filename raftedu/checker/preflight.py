"""The first look at a rule, before any search: called twice on views that really occur, it must answer, and the same twice.

The views are those that the reference rules are asked in two short runs; they are recorded once.
"""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from time import perf_counter
from typing import Any

from raftedu.checker.machine import recorded
from raftedu.checker.profiles import PROFILES
from raftedu.checker.search import Search
from raftedu.core.guard import RuleError, guarded
from raftedu.core.rules import RULES, Rules, rule_names

__all__ = ["preflight", "views_of"]

TOO_SLOW = 0.25
"""Seconds that one call may take; a search asks a rule some ten thousand times."""

ENOUGH = 24
"""So many views of a rule that have the same fields filled."""

IDS = ("node", "voted_for", "candidate", "leader", "sender")
ASK_FOR_NOBODY = ("start_election", "grant_vote", "on_higher_term", "follows_leader")
"""Rules that are shown a node that may be nobody: there, ``None`` and node 0 must not be taken for one another."""


@cache
def _recorded() -> dict[str, tuple[Any, ...]]:
    views: dict[str, dict[Any, dict[_Shown, None]]] = {name: {} for name in rule_names()}

    def note(name: str, view: Any, _: Any) -> None:
        kind = tuple(None if field is None else type(field).__name__ for field in view)
        alike = views[name].setdefault(kind, {})
        if len(alike) < ENOUGH:
            alike.setdefault(_Shown(deepcopy(view)))

    for profile in (p for p in PROFILES if p.name in ("crash", "stable lease", "clients", "read index")):
        search = Search(profile, recorded(RULES, rule_names(), note))
        for _ in range(3):
            for _ in search.go_deeper():
                if search.transitions > 600:
                    break
    return {name: tuple(shown.view for alike in kinds.values() for shown in alike) for name, kinds in views.items()}


class _Shown:
    """A view, the same as another if it reads the same: some hold tables, which have no hash."""

    def __init__(self, view: Any) -> None:
        self.view, self.words = view, repr(view)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Shown) and self.words == other.words

    def __hash__(self) -> int:
        return hash(self.words)


def views_of(rule: str) -> tuple[Any, ...]:
    """Return views that this rule is really asked, copies that it may spoil."""
    return deepcopy(_recorded()[rule])


def preflight(rules: Rules, names: list[str]) -> None:
    """Call each rule of ``names`` twice on each recorded view.

    Raises
    ------
    RuleError
        It raised, answered nonsense, answered differently the second time, changed its view, took too long, or took node 0 for nobody.
    """
    guards = guarded(rules)
    for name in names:
        for view in views_of(name):
            _look_at(name, getattr(guards, name), view)
        for view in views_of(name) if name in ASK_FOR_NOBODY else ():  # only now: who answers by chance is not to be told of ids
            _look_at_ids(name, getattr(guards, name), view)


def _look_at(name: str, rule: Any, view: Any) -> None:
    words = repr(view)
    began = perf_counter()
    first = rule(view)
    took = perf_counter() - began
    second = rule(view)
    if repr(view) != words:
        raise RuleError(
            name, view, f"{name} changed what it was shown; a rule only looks: copy a table before you change it. It was given {words}"
        )
    if first != second:
        raise RuleError(name, view, f"{name} answered {first!r:.100} and then {second!r:.100} to the same view; a rule must not depend on "
                                    f"chance, on time or on what it was asked before. It was given {words}")  # fmt: skip
    if took > TOO_SLOW:
        raise RuleError(
            name, view, f"{name} took {took:.1f} s for one answer; it must only look and decide, without waiting. It was given {words}"
        )


NOBODY = (-1000, 1000)
"""Ids that no node has, below and above all others."""


def _look_at_ids(name: str, rule: Any, view: Any) -> None:
    """Ask once more with one node after the other called 0: whoever asks `if not voted_for` takes it for nobody."""
    for id in sorted({getattr(view, field) for field in IDS if field in view._fields} - {None}):
        if any(rule(_renamed(view, id, nobody)) != _renamed(rule(view), id, nobody) for nobody in NOBODY):
            continue  # it looks at ids as such; what comes of that a search will tell
        other = _renamed(view, id, 0)
        answer, expected = rule(other), _renamed(rule(view), id, 0)
        if answer != expected:
            raise RuleError(
                name, other, f"{name} takes node 0 for nobody: it answered {answer!r:.100}, and {expected!r:.100} as long as no node was "
                             f"called 0; ask `is None`, for 0 is an id. It was given {other!r}",
            )  # fmt: skip


def _renamed(record: Any, id: int, to: int) -> Any:
    """Return a view or an answer in which one node has another id."""
    fields = [field for field in IDS if field in getattr(record, "_fields", ()) and getattr(record, field) == id]
    return record._replace(**dict.fromkeys(fields, to)) if fields else record
