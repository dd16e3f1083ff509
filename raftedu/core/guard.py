"""`RuleError`, and the guard that puts a student's rule in its place: what it raises or answers is told in its own terms.

Reference rules run unguarded; a replaced one is called through `guarded`, which knows nothing of the protocol, only
what kind of value each rule has to return.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from difflib import get_close_matches
from typing import Any

from raftedu.core.rules import RULES, Rules
from raftedu.core.types import Entry, Role
from raftedu.core.views import Adopted, Campaign, NewLeader, Progress, Result

__all__ = ["RuleError", "guarded"]

Check = Callable[[Any], bool]
INFINITY = float("inf")


class RuleError(Exception):
    """A replaced rule raised an exception or returned nonsense. ``rule`` is its name, ``view`` what it was given."""

    def __init__(self, rule: str, view: Any, message: str) -> None:
        super().__init__(message)
        self.rule, self.view = rule, view


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_index(value: Any) -> bool:
    return _is_int(value) and value >= 0


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value


def _is_pair(each: Check) -> Check:
    return lambda value: isinstance(value, tuple | list) and len(value) == 2 and all(map(each, value))


def _or_none(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _is_adopted(value: Any) -> bool:
    return isinstance(value, Adopted) and _is_index(value.term) and isinstance(value.role, Role) and _or_none(_is_int)(value.voted_for)


def _is_range(value: Any) -> bool:
    return _is_pair(_is_number)(value) and 0 <= value[0] <= value[1] < INFINITY


def _are_entries(value: Any) -> bool:
    return isinstance(value, tuple | list) and all(isinstance(entry, Entry) for entry in value)


def _is_new_leader(value: Any) -> bool:
    if not isinstance(value, NewLeader) or not _is_index(value.keep_log_to):
        return False
    return all(isinstance(table, Mapping) and all(map(_is_index, table.values())) for table in (value.next_index, value.match_index))


def _is_campaign(value: Any) -> bool:
    return isinstance(value, Campaign) and _is_index(value.term) and _or_none(_is_int)(value.voted_for)


def _is_result(value: Any) -> bool:
    return isinstance(value, Result) and value.outcome in ("success", "fail", "unknown") and isinstance(value.value, str)


def _is_progress(value: Any) -> bool:
    return isinstance(value, Progress) and _is_int(value.next_index) and _is_index(value.match_index)


TRUTH = ("True or False", _is_bool)
INDEX = ("an index, an int from 0", _is_index)
MOMENT = ("a number of seconds", _is_number)
RETURNS: dict[str, tuple[str, Check]] = {
    "election_timeout_range": ("a pair (low, high) of seconds, 0 <= low <= high", _is_range),
    "start_election": ("Campaign(term, voted_for), or None not to campaign", _or_none(_is_campaign)),
    "on_higher_term": ("Adopted(term, role, voted_for)", _is_adopted),
    "reply_term": ("a term, an int from 0", _is_index),
    "become_leader": ("NewLeader(...)", _is_new_leader),
    "merged_log": ("a tuple of entries", _are_entries),
    "acknowledged_index": ("an index, or None to refuse", _or_none(_is_index)),
    "entries_to_send": ("a pair (first, last) of indexes", _is_pair(_is_int)),
    "after_append_reply": ("Progress(next_index, match_index), indexes", _is_progress),
    "leader_commit_index": INDEX,
    "follower_commit_index": INDEX,
    "applicable": INDEX,
    "client_outcome": ("Result(outcome, value)", _is_result),
    "lease_promise": MOMENT,
    "promise_at_restart": MOMENT,
    "remaining_promise": MOMENT,
    "lease_wait": MOMENT,
    "lease_expiry": ("a number of seconds, or None for no lease yet", _or_none(_is_number)),
}
"""What each rule must return, in words and as a check; a rule that is not here answers True or False."""


def guarded(rules: Rules) -> Rules:
    """Return the same rules, with every one that is not the reference's wrapped: its mistakes become a `RuleError`."""
    if not isinstance(rules, Rules):
        raise TypeError(f"rules must be a whole table, as in RULES.but(grant_vote=mine), not {type(rules).__name__}")
    replaced = {
        field.name: _guard(field.name, getattr(rules, field.name))
        for field in fields(Rules)
        if getattr(rules, field.name) is not getattr(RULES, field.name)
    }
    return replace(rules, **replaced) if replaced else rules


def _guard(name: str, rule: Callable[[Any], Any]) -> Callable[[Any], Any]:
    if getattr(rule, "__guards__", None) == name:
        return rule
    words, is_right = RETURNS.get(name, TRUTH)

    def call(view: Any) -> Any:
        try:
            answer = rule(view)
        except Exception as error:
            raise RuleError(
                name, view, f"{name} raised {type(error).__name__}{_place(error)}: {error}{_hint(error, view)}. It was given {view}"
            ) from error
        if answer is None and not is_right(None):
            raise RuleError(name, view, f"{name} returned None; did you forget `return`? It must return {words}")
        if not is_right(answer):
            raise RuleError(name, view, f"{name} returned {answer!r:.200}; it must return {words}")
        forgotten = _forgotten_peers(answer, view)
        if forgotten:
            raise RuleError(name, view, f"{name} returned {answer!r:.200}; it must name every peer, and node {forgotten[0]} is missing")
        return answer

    call.__guards__ = name  # type: ignore[attr-defined]
    return call


def _forgotten_peers(answer: Any, view: Any) -> list[Any]:
    if not isinstance(answer, NewLeader):
        return []
    return [peer for peer in view.peers if peer not in answer.next_index or peer not in answer.match_index]


def _place(error: Exception) -> str:
    """Return where it was raised: the line of the student's code, as far inside as the exception came from."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f" in line {trace.tb_lineno} of {trace.tb_frame.f_code.co_name}"


def _hint(error: Exception, view: Any) -> str:
    names: tuple[str, ...] = getattr(view, "_fields", ())
    if not isinstance(error, AttributeError) or error.obj is not view or error.name is None or not names:
        return ""
    words = {name.replace("_", ""): name for name in names}
    close = get_close_matches(error.name.replace("_", "").lower(), words, n=1)
    hint = f"do you mean `{words[close[0]]}`?" if close else "there is no such field."
    return f" ({hint} The view has: {', '.join(names)})"
