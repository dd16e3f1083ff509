"""Mistakes that a sound neighbour hides: alone they break nothing, beside a weakened neighbour they do, and the right rule does not."""

from __future__ import annotations

import pytest

from raftedu.checker.hunt import Hunt, without_collector
from raftedu.checker.masked import NEIGHBOURS, hidden, neighbours
from raftedu.checker.profiles import profiles_for
from raftedu.core.rules import RULES, rule_names
from raftedu.core.types import Role


def caught_beside(rules, names):
    """Return the words of the neighbour beside which something breaks, and what."""
    with without_collector():
        found = hidden(rules, names)
    assert found.catch is not None
    return found.words, {broken.name for broken in (found.catch.obligation, found.catch.outcome) if broken is not None}


def read_without_lease(w):
    return w.role == Role.LEADER and w.commit_term == w.term


def read_until_the_end(w):
    return w.role == Role.LEADER and w.lease_expiry is not None and w.wait_until <= w.now <= w.lease_expiry and w.commit_term == w.term


def read_in_the_wait(w):
    return w.role == Role.LEADER and w.lease_expiry is not None and w.now < w.lease_expiry and w.commit_term == w.term


def read_before_it_is_applied(w):
    return w.lease_is_valid and w.commit_term == w.term


def valid_as_a_flag(w):
    return w.role == Role.LEADER and w.lease_expiry is not None and w.now >= w.wait_until


def valid_at_the_last_instant(w):
    return w.role == Role.LEADER and w.lease_expiry is not None and w.wait_until <= w.now <= w.lease_expiry


def commit_as_far_as_the_leader_says(w):
    return max(w.commit_index, min(w.leader_commit, w.last_log_index))


def merge_without_what_is_the_same(w):
    for i, (mine, theirs) in enumerate(zip(w.mine, w.entries, strict=False)):
        if mine.term != theirs.term:
            return w.entries[i:]
    return w.mine + w.entries[len(w.mine) :]


def merge_by_the_last_entry(w):
    last = len(w.entries) - 1
    same = last < 0 or (last < len(w.mine) and w.mine[last].term == w.entries[last].term)
    return w.mine if same else w.entries


def follows_as_a_leader_too(w):
    return w.message_term == w.term


HIDDEN = [
    ("may_serve_read", read_without_lease, "does not notice", ("Read Under Lease", "No Stale Read")),
    ("may_serve_read", read_until_the_end, "does not notice", ("Read Under Lease", "No Stale Read")),
    ("may_serve_read", read_in_the_wait, "during its wait", ("Read Under Lease", "No Stale Read")),
    ("may_serve_read", read_before_it_is_applied, "an entry at a time", ("Read Under Lease", "No Stale Read")),
    ("lease_is_valid", valid_as_a_flag, "does not notice", ("Lease by the Clock", "Lease Disjoint", "No Stale Read")),
    ("lease_is_valid", valid_at_the_last_instant, "does not notice", ("Lease by the Clock", "Lease Disjoint", "No Stale Read")),
    ("follower_commit_index", commit_as_far_as_the_leader_says, "begins with entry 1", ("Follower Commit", "State Machine Safety")),
    ("merged_log", merge_without_what_is_the_same, "begins with entry 1", ("Sound Acknowledgement", "Leader Completeness")),
    ("follows_leader", follows_as_a_leader_too, "less than a majority", ("One Leader Followed", "Leader Followed")),
]


@pytest.mark.parametrize(("name", "rule", "words", "breaks"), HIDDEN, ids=[rule.__name__ for _, rule, _, _ in HIDDEN])
def test_a_hidden_mistake_is_found_beside_a_weakened_neighbour(name, rule, words, breaks):
    found = caught_beside(RULES.but(**{name: rule}), [name])
    assert words in found[0]
    assert found[1] & set(breaks)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "rule"), [row[:2] for row in HIDDEN[1:]], ids=[row[1].__name__ for row in HIDDEN[1:]])
def test_alone_it_breaks_nothing(name, rule):
    near, _ = profiles_for([name])
    with without_collector():
        catch = Hunt(RULES.but(**{name: rule})).run(near, 30_000)
    assert catch is None


@pytest.mark.parametrize("neighbour", NEIGHBOURS, ids=[n.words for n in NEIGHBOURS])
def test_the_right_rules_beside_it_break_nothing_more(neighbour):
    with without_collector():
        assert Hunt(neighbour.beside(RULES)).run(neighbour.profiles, 2_000) is None


@pytest.mark.slow
@pytest.mark.parametrize("neighbour", NEIGHBOURS, ids=[n.words for n in NEIGHBOURS])
def test_the_right_rules_beside_it_break_nothing_more_further_out(neighbour):
    with without_collector():
        assert Hunt(neighbour.beside(RULES)).run(neighbour.profiles, 100_000) is None


def test_where_nothing_is_hidden_nothing_is_found():
    assert hidden(RULES, ["grant_vote"]) is None
    with without_collector():
        assert hidden(RULES, ["follows_leader"]).catch is None


def test_a_neighbour_is_no_rule_that_is_tried():
    assert neighbours(["grant_vote"]) == ()
    assert neighbours(["may_serve_read"]) != ()
    assert all(set(n.replaced) & {"must_step_down"} == set() for n in neighbours(["may_serve_read", "must_step_down"]))
    assert all(set(n.hides) | set(n.replaced) <= set(rule_names()) for n in NEIGHBOURS)
