"""The log: what a list would do, counted from 1, and its running hash."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftedu.core import log as log_module
from raftedu.core.log import Log
from raftedu.core.types import Entry

A, B, C = Entry(1, "SET", "a", "1"), Entry(2), Entry(2, "SET", "c", "3")


def test_before_the_log_and_beyond_it():
    log = Log()
    assert (log.last_index, log.last_term, log.term_at(0), log.term_at(1), log.chain()) == (0, 0, 0, None, "")
    assert log.between(1, 9) == ()
    with pytest.raises(IndexError, match="entries 1 to 0, not 1"):
        log.entry(1)


def test_look_up():
    log = Log([A, B, C])
    assert (log.last_index, log.last_term, log.entry(1), log.entry(3)) == (3, 2, A, C)
    assert [log.term_at(i) for i in (-1, 0, 1, 2, 3, 4)] == [None, 0, 1, 2, 2, None]
    assert log.between(2, 3) == (B, C) and log.between(0, 1) == (A,) and log.between(3, 2) == ()
    assert list(log.terms) == [1, 2, 2] and log.terms[1:] == [2, 2] and repr(log.terms) == "[1, 2, 2]"
    for index in (0, 4, -1):
        with pytest.raises(IndexError):
            log.entry(index)


def test_terms_are_found_by_their_first_and_last_index():
    log = Log(Entry(t) for t in (1, 1, 3, 3, 5))
    assert [log.first_index_of(t) for t in range(7)] == [1, 1, 3, 3, 5, 5, 6]
    assert [log.last_index_of(t) for t in range(7)] == [0, 2, 0, 4, 0, 5, 0]


def test_append_cut_append():
    log = Log([A])
    assert log.append(B) == 2
    log.extend([C, C])
    first = log.chain()
    log.cut_after(1)
    assert log.between(1, 9) == (A,) and list(log.terms) == [1]
    log.extend([B, C, C])
    assert log.chain() == first
    log.cut_after(0)
    assert log.last_index == 0 and log.chain() == ""


def test_what_is_sent_at_once_is_limited_in_bytes_but_never_to_nothing():
    log = Log([Entry(1, "SET", "k", "v" * 9)] * 5)
    assert len(log.between(1, 5, max_bytes=30)) == 3
    assert len(log.between(1, 5, max_bytes=1)) == 1
    assert len(log.between(2, 5, max_bytes=10**6)) == 4


ENTRIES = st.builds(
    Entry,
    st.integers(1, 4),
    st.sampled_from(["SET", "NO-OP"]),
    st.text(max_size=2),
    st.text(max_size=2),
    st.text(max_size=1),
    st.integers(0, 2),
)


@settings(deadline=None, derandomize=True, database=None)
@given(st.lists(st.one_of(ENTRIES, st.integers(0, 6)), max_size=30))
def test_it_is_a_list_and_equal_hashes_mean_equal_logs(changes):
    log, model = Log(), []
    for change in changes:
        if isinstance(change, Entry):
            log.append(change)
            model.append(change)
        else:
            log.cut_after(change)
            del model[change:]
        assert log.between(1, len(model)) == tuple(model)
        assert log.chain() == Log(model).chain()
    assert log.chain() != Log([*model, A]).chain()
    if model and model[0] != A:
        assert log.chain() != Log([A, *model[1:]]).chain()


def test_a_lone_surrogate_from_disk_does_not_stop_the_hash():
    assert len(Log([Entry(1, "SET", "\ud800", "")]).chain()) == 16


def test_an_append_costs_the_same_whatever_the_length(monkeypatch):
    """Counts work, not time: one hash for each new entry, none for the old ones."""
    hashed = []
    monkeypatch.setattr(log_module, "blake2b", lambda *args, **kwargs: hashed.append(1) or blake2b(*args, **kwargs))
    log, work = Log(), []
    for _ in range(4):
        log.extend([A] * 5000)
        log.chain()
        hashed.clear()
        log.append(A)
        log.chain()
        work.append(len(hashed))
    assert work == [1] * 4


blake2b = log_module.blake2b
