"""Whether what clients saw could have come from one store that does one thing at a time (linearizability), key by key.

A search after Wing and Gong with Lowe's memory: take an operation that may be the next, go on, come back if that was wrong. It knows
nothing of nodes, logs or leases: an independent witness. An operation of which nobody knows how it ended stays open to the right.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from raftedu.core.types import SET, Seconds

__all__ = ["Call", "disorder"]


class Call(NamedTuple):
    """An operation as its client saw it. ``value``: what a SET wrote or a GET read; ``end``: ``inf`` for a SET that may yet be done."""

    op: str
    key: str
    value: str
    start: Seconds
    end: Seconds

    @property
    def words(self) -> str:
        """The operation in words."""
        did = f"SET {self.key} {self.value}" if self.op == SET else f"GET {self.key} that read {self.value!r}"
        return f"{did}, from {self.start:.2f} s{'' if self.end == math.inf else f' to {self.end:.2f} s'}"


def disorder(calls: Iterable[Call]) -> str:
    """Return in words why no order of these operations explains what was read; empty if there is one.

    Give successful operations, and those SETs of which nobody knows whether they were done. Keys begin as the empty string.

    Examples
    --------
    >>> disorder([Call("SET", "x", "1", 0, 1), Call("GET", "x", "1", 2, 3)])
    ''
    >>> disorder([Call("SET", "x", "1", 0, 1), Call("GET", "x", "", 2, 3)])
    "nothing explains GET x that read '', from 2.00 s to 3.00 s"
    """
    by_key: dict[str, list[Call]] = {}
    for call in calls:
        by_key.setdefault(call.key, []).append(call)
    stuck = (_stuck(_worth_a_thought(of_key)) for of_key in by_key.values())
    return next((f"nothing explains {call.words}" for call in stuck if call is not None), "")


def _worth_a_thought(calls: list[Call]) -> list[Call]:
    """Leave out the open SETs whose value nobody read: they may as well never have been done. The rest in the order of their starts."""
    read = {call.value for call in calls if call.op != SET}
    return sorted((call for call in calls if call.end < math.inf or call.value in read), key=lambda call: (call.start, call.end))


def _stuck(calls: list[Call]) -> Call | None:
    """Return the first operation for which there is no place in any order, ``None`` if all have one."""
    seen: set[tuple[frozenset[int], str]] = set()
    todo: list[tuple[int, frozenset[int], str]] = [(0, frozenset(), "")]  # all before `first` are done, and these beyond it
    furthest, stuck = -1, None
    while todo:
        first, beyond, value = _with_all_reads(calls, *todo.pop())
        following = _next(calls, first, beyond)
        waiting = [calls[i] for i in following if calls[i].end < math.inf]
        if not waiting:
            return None
        key = (beyond | {first}, value)
        if key in seen:
            continue
        seen.add(key)
        if first + len(beyond) > furthest:
            furthest, stuck = first + len(beyond), min(waiting, key=lambda call: call.end)
        # Those that must end soonest first; an open one can wait.
        following.sort(key=lambda i: calls[i].end, reverse=True)
        todo += [(first, beyond | {i}, calls[i].value) for i in following if calls[i].op == SET]
    return stuck


def _next(calls: list[Call], first: int, beyond: frozenset[int]) -> list[int]:
    """Return which operations may be the next: those that began before any other that waits had ended."""
    found, earliest_end = [], math.inf
    for i in range(first, len(calls)):
        if calls[i].start > earliest_end:
            break
        if i not in beyond:
            found.append(i)
            earliest_end = min(earliest_end, calls[i].end)
    return [i for i in found if calls[i].start <= earliest_end]


def _with_all_reads(calls: list[Call], first: int, beyond: frozenset[int], value: str) -> tuple[int, frozenset[int], str]:
    """Take every read that may be the next and fits: doing it at once is never wrong."""
    while True:
        while first in beyond:
            first, beyond = first + 1, beyond - {first}
        fit = [i for i in _next(calls, first, beyond) if calls[i].op != SET and calls[i].value == value]
        if not fit:
            return first, beyond, value
        beyond |= set(fit)
