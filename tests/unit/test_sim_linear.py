"""Linearizability: what one store could have answered, and what it could not; compared with trying every order."""

from __future__ import annotations

import math
import random
from itertools import permutations

import pytest

from raftedu.sim.linear import Call, disorder


def put(value: str, start: float, end: float = math.inf, key: str = "x") -> Call:
    return Call("SET", key, value, start, end)


def got(value: str, start: float, end: float, key: str = "x") -> Call:
    return Call("GET", key, value, start, end)


FINE = {
    "nothing was asked": [],
    "an unknown key is empty": [got("", 0, 1)],
    "one after the other": [put("1", 0, 1), got("1", 2, 3), put("2", 4, 5), got("2", 6, 7)],
    "a read beside a write may see it or not": [put("1", 0, 9), got("", 1, 2), got("1", 3, 4)],
    "two writes at once in either order": [put("1", 0, 5), put("2", 0, 5), got("1", 6, 7)],
    "an open write may be done later": [put("1", 0, 1), put("2", 0), got("1", 2, 3), got("2", 50, 60)],
    "an open write may never be done": [put("1", 0, 1), put("2", 0), got("1", 50, 60)],
    "keys do not know each other": [put("1", 0, 1), got("", 2, 3, key="y")],
}
BROKEN = {
    "a stale read": [put("1", 0, 1), put("2", 2, 3), got("1", 4, 5)],
    "a lost write": [put("1", 0, 1), got("", 2, 3)],
    "a value that nobody wrote": [got("7", 0, 1)],
    "a read from the future": [got("1", 0, 1), put("1", 2, 3)],
    "seen and then not": [put("1", 0, 9), got("1", 1, 2), got("", 3, 4)],
    "two readers who saw two writes in different orders": [
        put("1", 0, 9), put("2", 0, 9), got("1", 1, 2), got("2", 3, 4), got("1", 5, 6),
    ],
    "a retry that took effect twice": [put("1", 0, 5), put("2", 6, 7), got("1", 8, 9)],
}  # fmt: skip


@pytest.mark.parametrize("name", FINE)
def test_what_one_store_could_have_answered(name):
    assert disorder(FINE[name]) == ""


@pytest.mark.parametrize("name", BROKEN)
def test_what_no_store_could_have_answered(name):
    assert disorder(BROKEN[name]).startswith("nothing explains ")


def test_the_read_that_fits_nowhere_is_named():
    assert disorder(BROKEN["a stale read"]) == "nothing explains GET x that read '1', from 4.00 s to 5.00 s"


def fits(order: tuple[Call, ...]) -> bool:
    value = ""
    for i, call in enumerate(order):
        if any(later.end < call.start for later in order[i + 1 :]) or (call.op == "GET" and call.value != value):
            return False
        value = call.value
    return True


def some_order(calls: list[Call]) -> bool:
    """Try every order, with every choice of the open writes."""
    done = [call for call in calls if call.end < math.inf]
    open_ = [call for call in calls if call.end == math.inf]
    chosen = ([call for i, call in enumerate(open_) if bits >> i & 1] for bits in range(2 ** len(open_)))
    return any(fits(order) for choice in chosen for order in permutations(done + choice))


def test_it_agrees_with_trying_every_order():
    draw = random.Random(1)
    verdicts = []
    for _ in range(400):
        calls = []
        for _ in range(draw.randint(2, 6)):
            start = draw.randint(0, 8)
            end = start + draw.randint(0, 6)
            if draw.random() < 0.5:
                calls.append(put(str(draw.randint(1, 3)), start, end if draw.random() < 0.8 else math.inf))
            else:
                calls.append(got(draw.choice(["", "1", "2", "3"]), start, end))
        verdicts.append(some_order(calls))
        assert (disorder(calls) == "") == verdicts[-1], calls
    assert 50 < sum(verdicts) < 350


def test_a_thousand_operations_of_ten_clients_and_thirty_open_ones():
    draw, calls, value = random.Random(2), [], ""
    for i in range(1000):
        moment = i * 0.1
        start, end = moment - draw.random() * 0.5, moment + draw.random() * 0.5
        if draw.random() < 0.5:
            value = str(i)
            calls.append(put(value, start, math.inf if i % 33 == 0 else end))
        else:
            calls.append(got(value, start, end))
    assert disorder(calls) == ""
    stale = got("no such value", 50.0, 50.1)
    assert disorder([*calls, stale]) != ""
