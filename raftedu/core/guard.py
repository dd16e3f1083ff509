"""`RuleError`, and the guard that puts a student's rule in its place: what it raises or answers is told in its own terms.

Reference rules run unguarded; a replaced one is called through `guarded`, which knows nothing of the protocol, only
what kind of value each rule has to return.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from raftedu.core.rules import RULES, Rules
from raftedu.core.types import Entry, Role
from raftedu.core.views import Adopted, Campaign, NewLeader, Progress, Result

__all__ = ["RuleError", "guarded"]

Check = Callable[[Any], bool]
INFINITY = float("inf")
PACKAGE = str(Path(__file__).resolve().parents[1])


class RuleError(Exception):
    """A replaced rule raised an exception or returned nonsense. ``rule`` is its name, ``view`` what it was given."""

    def __init__(self, rule: str, view: Any, message: str) -> None:
        super().__init__(message)
        self.rule, self.view = rule, view

    def _render_traceback_(self) -> list[str]:
        """Return what a notebook shows: the message, which names the line of the rule, and no wall of frames that are not the student's."""
        return [f"{type(self).__name__}: {self}"]


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


CONSTANTS = {"t": "True", "f": "False", "n": "None"}
TRUTH = ("True or False", _is_bool)
INDEX = ("an index, an int from 0", _is_index)
MOMENT = ("a number of seconds", _is_number)
RETURNS: dict[str, tuple[str, Check]] = {
    "election_timeout_range": ("a pair (low, high) of seconds, 0 <= low <= high", _is_range),
    "start_election": ("Campaign(term, voted_for), or None not to campaign", _or_none(_is_campaign)),
    "on_higher_term": ("Adopted(term, role, voted_for), the role a Role", _is_adopted),
    "reply_term": ("a term, an int from 0", _is_index),
    "become_leader": ("NewLeader(next_index, match_index, append_no_op, heartbeat_at_once, keep_log_to)", _is_new_leader),
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
        except NotImplementedError as error:
            raise RuleError(
                name, view, f"{name} is not written yet: put your rule where it says `raise NotImplementedError`. It must return {words}"
            ) from error
        except Exception as error:
            raise RuleError(
                name, view, f"{name} raised {type(error).__name__}{_place(error)}: {error}{_hint(error, view)}. It was given {view}"
            ) from error
        if answer is None and not is_right(None):
            raise RuleError(name, view, f"{name} returned None; did you forget `return`? It must return {words}")
        if not is_right(answer):
            raise RuleError(name, view, f"{name} returned {_shown(answer)}; it must return {words}{_advice(answer, words, is_right)}")
        forgotten = _forgotten_peers(answer, view)
        if forgotten:
            raise RuleError(name, view, f"{name} returned {_shown(answer)}; it must name every peer, and node {forgotten[0]} is missing")
        return answer

    call.__guards__ = name  # type: ignore[attr-defined]
    return call


def _forgotten_peers(answer: Any, view: Any) -> list[Any]:
    if not isinstance(answer, NewLeader):
        return []
    return [peer for peer in view.peers if peer not in answer.next_index or peer not in answer.match_index]


def _shown(answer: Any) -> str:
    try:
        return f"{answer!r:.200}"
    except Exception:  # a class of the student's own, whose __repr__ is wrong too
        return f"something of the kind {type(answer).__name__}"


def _advice(answer: Any, words: str, is_right: Check) -> str:
    """Return what may have been meant, as the end of the sentence."""
    if callable(answer):
        return "; did you forget to call it, with `()`?"
    kind, _, rest = words.partition("(")
    if rest and kind.isidentifier() and isinstance(answer, tuple | list | dict) and type(answer).__name__ != kind:
        return f"; write `{kind}(...)`, from raftedu.core.views"
    if type(answer).__module__ == "numpy" and hasattr(answer, "tolist") and is_right(answer.tolist()):
        return f"; a number of numpy is none of Python's: write `{type(answer.tolist()).__name__}(...)` around it"
    if isinstance(answer, str) and answer.strip().lower() in ("true", "false"):
        return ", without quotes"
    if isinstance(answer, float) and answer.is_integer() and is_right(int(answer)):
        return "; it is a float: divide with `//`, or write `int(...)` around it"
    return ""


def _place(error: Exception) -> str:
    """Return where it was raised: the line of the student's code, as far inside as the exception came from."""
    trace, last = error.__traceback__, None
    while trace is not None:
        if not trace.tb_frame.f_code.co_filename.startswith(PACKAGE):
            last = trace
        trace = trace.tb_next
    return "" if last is None else f" in line {last.tb_lineno} of {last.tb_frame.f_code.co_name}"


def _hint(error: Exception, view: Any) -> str:
    """Return what may have been meant, in brackets: a field that is spelt otherwise, or looked for in the wrong way."""
    names: tuple[str, ...] = getattr(view, "_fields", ())
    words = {name.replace("_", ""): name for name in names}
    text = str(error)
    match error:
        case AttributeError(name=str(name), obj=obj) if obj is view and names:
            close = get_close_matches(name.replace("_", "").lower(), words, n=1)
            hint = f"do you mean `{words[close[0]]}`?" if close else "there is no such field."
            return f" ({hint} The view has: {', '.join(names)})"
        case AttributeError() if "can't set attribute" in text:
            return " (a view cannot be changed: a rule only looks, and returns what it decides)"
        case NameError(name=str(name)) if name.lower() in ("true", "false", "none", "null"):
            return f" (do you mean `{CONSTANTS[name[0].lower()]}`?)"
        case NameError(name=str(name)) if close := get_close_matches(name.replace("_", "").lower(), words, n=1, cutoff=0.8):
            return f" (do you mean `view.{words[close[0]]}`?)"
        case TypeError() if "positional argument" in text and not _place(error):
            return " (a rule takes one argument, its view)"
        case TypeError() if "indices must be integers" in text:
            return " (the fields of a view are written with a dot, as in `view.term`)"
    return ""
