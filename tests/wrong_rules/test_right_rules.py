"""No false alarms: the reference in every profile, and right rules that are written otherwise."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce

import pytest

from raftedu.checker.guided import run_guided
from raftedu.checker.hunt import Hunt, without_collector
from raftedu.checker.masked import hidden
from raftedu.checker.probes import run_probes
from raftedu.checker.profiles import PROFILES, profiles_for
from raftedu.checker.search import Search
from raftedu.checker.walks import run_walks
from raftedu.core.rules import RULES
from raftedu.core.types import Role
from raftedu.core.views import CommitView

pytestmark = pytest.mark.slow  # the wrong ones are found in `make test`; that the right ones are not takes longer


def search_on(profile, limit):
    with without_collector():
        search = Search(profile, RULES)
        while not search.exhausted and not search.found and search.transitions < limit:
            for _ in search.go_deeper():
                if search.transitions >= limit:
                    break
    return search


@pytest.mark.parametrize("profile", PROFILES, ids=[p.name for p in PROFILES])
def test_the_reference_raises_no_alarm(profile):
    search = search_on(profile, 5_000)
    assert search.cold_feet is None
    assert search.found == []
    assert search.exhausted or search.transitions >= 5_000


@pytest.mark.slow
@pytest.mark.parametrize("profile", PROFILES, ids=[p.name for p in PROFILES])
def test_the_reference_raises_no_alarm_further_out(profile):
    assert search_on(profile, 150_000).found == []


# ---- the same rules in other words


def vote_by_cases(view):
    if view.term > view.candidate_term:
        return False
    if view.voted_for is not None and view.voted_for != view.candidate:
        return False
    return (view.candidate_last_term, view.candidate_last_index) >= (view.last_log_term, view.last_log_index)


def vote_in_one(view):
    return view.term == view.candidate_term and view.voted_for in (None, view.candidate) and view.candidate_log_is_up_to_date


def vote_negated(view):
    return not (view.candidate_term < view.term or view.voted_for not in {None, view.candidate} or not view.candidate_log_is_up_to_date)


def vote_by_list(view):
    return all(
        [view.candidate_term >= view.term, view.voted_for is None or view.voted_for == view.candidate, view.candidate_log_is_up_to_date]
    )


def vote_early(view):
    match view.voted_for:
        case None:
            return view.candidate_term == view.term and view.candidate_log_is_up_to_date
        case other:
            return other == view.candidate and view.candidate_term == view.term and view.candidate_log_is_up_to_date


def log_by_cases(view):
    if view.candidate_last_term != view.last_log_term:
        return view.candidate_last_term > view.last_log_term
    return view.candidate_last_index >= view.last_log_index


def log_negated(view):
    return not (view.last_log_term, view.last_log_index) > (view.candidate_last_term, view.candidate_last_index)


def log_by_max(view):
    theirs = (view.candidate_last_term, view.candidate_last_index)
    return max(theirs, (view.last_log_term, view.last_log_index)) == theirs


def log_by_or(view):
    later = view.candidate_last_term > view.last_log_term
    same = view.candidate_last_term == view.last_log_term
    return later or (same and not view.candidate_last_index < view.last_log_index)


def log_by_sum(view):
    return view.candidate_last_term * 10**6 + view.candidate_last_index >= view.last_log_term * 10**6 + view.last_log_index


def commit_by_search(view):
    for index in range(view.last_log_index, view.commit_index, -1):
        if view.term_at(index) == view.term and sum(m >= index for m in view.match_index.values()) >= view.majority:
            return index
    return view.commit_index


def commit_upwards(view):
    commit = view.commit_index
    for index in range(commit + 1, view.last_log_index + 1):
        holders = [node for node, match in view.match_index.items() if match >= index]
        if len(holders) >= view.majority and view.log_terms[index - 1] == view.term:
            commit = index
    return commit


def commit_by_median(view):
    held = sorted(view.match_index.values())[-view.majority]
    return held if held > view.commit_index and view.term_at(held) == view.term else view.commit_index


def commit_by_filter(view):
    fits = [
        i
        for i, term in enumerate(view.log_terms, 1)
        if term == view.term and sum(m >= i for m in view.match_index.values()) >= view.majority
    ]
    return max([view.commit_index, *fits])


def commit_one_at_a_time(view):
    own = [i for i, term in enumerate(view.log_terms, 1) if term == view.term and i > view.commit_index]
    held = [i for i in own if sum(m >= i for m in view.match_index.values()) >= view.majority]
    return held[0] if held else view.commit_index


def expiry_by_count(view):
    times = [r.sent_at for r in view.answered.values()] + [view.now]
    if len(times) < view.majority:
        return view.lease_expiry
    new = sorted(times)[-view.majority] + view.lease
    return new if view.lease_expiry is None or new > view.lease_expiry else view.lease_expiry


def expiry_by_search(view):
    times = [view.now, *(r.sent_at for r in view.answered.values())]
    backed = [t for t in times if sum(other >= t for other in times) >= view.majority]
    ends = [t + view.lease for t in backed] + ([] if view.lease_expiry is None else [view.lease_expiry])
    return max(ends) if ends else None


def expiry_shorter(view):
    times = sorted((r.sent_at for r in view.answered.values()), reverse=True)
    others = view.majority - 1
    end = times[others - 1] + view.lease if len(times) >= others > 0 else None
    return end if view.lease_expiry is None else max(view.lease_expiry, end or view.lease_expiry)


def wait_by_reduce(view):
    counted = (b.received_at + b.remaining for b in view.ballots if b.granted and b.term == view.term)
    return reduce(max, counted, max(view.now, view.promise_until))


def wait_always_whole(view):
    return max([view.now, view.promise_until, *(b.received_at + b.remaining for b in view.ballots)])


RIGHT = {
    "grant_vote": [vote_by_cases, vote_in_one, vote_negated, vote_by_list, vote_early],
    "log_is_up_to_date": [log_by_cases, log_negated, log_by_max, log_by_or, log_by_sum],
    "leader_commit_index": [commit_by_search, commit_upwards, commit_by_median, commit_by_filter, commit_one_at_a_time],
    "lease_expiry": [expiry_by_count, expiry_by_search, expiry_shorter],
    "lease_wait": [wait_by_reduce, wait_always_whole],
    "lease_is_valid": [
        lambda v: v.role is Role.LEADER and v.lease_expiry is not None and not v.now >= v.lease_expiry and not v.now < v.wait_until
    ],
    "lease_promise": [lambda v: v.now + v.promise_length if v.now + v.promise_length > v.promise_until else v.promise_until],
    "promise_at_restart": [lambda v: v.now + max(v.promised, v.promise_length), lambda v: v.now + 2 * v.promise_length],
    "remaining_promise": [lambda v: v.promise_until - v.now if v.promise_until > v.now else 0.0, lambda v: v.promise_length],
    "must_persist_first": [lambda v: True, lambda v: v.message in {"RequestVote", "VoteReply", "AppendReply"}],
    "merged_log": [
        lambda v: v.mine if v.mine[: len(v.entries)] == v.entries else v.entries if v.mine[:1] != v.entries[:1] else RULES.merged_log(v)
    ],
    "follower_commit_index": [
        lambda v: v.leader_commit if v.commit_index < v.leader_commit < v.last_new_index else RULES.follower_commit_index(v)
    ],
    "wins_election": [lambda v: 2 * len({b.voter for b in v.ballots if b.granted and b.term == v.term}) > v.cluster_size],
}


@pytest.mark.parametrize(("name", "rule"), [(name, rule) for name, rules in RIGHT.items() for rule in rules])
def test_a_right_rule_in_other_words_raises_no_alarm(name, rule):
    near, _ = profiles_for([name])
    with without_collector():
        assert Hunt(RULES.but(**{name: rule})).run(near, 6_000) is None


@pytest.mark.parametrize(("name", "rule"), [(name, rule) for name, rules in RIGHT.items() for rule in rules])
def test_a_right_rule_in_other_words_weathers_storms_walks_and_stories(name, rule):
    rules = RULES.but(**{name: rule})
    assert run_guided(rules, [name], range(12)).failure is None
    assert run_walks(rules, [name], range(20)).failure is None
    assert run_probes(rules, [name], range(1)).failure is None
    with without_collector():
        beside = hidden(rules, [name])
    assert beside is None or beside.catch is None


def test_the_commit_rules_above_agree_with_the_reference_on_figure_8():
    view = CommitView.example(term=3, log_terms=[1, 3], match={1: 2, 2: 2, 3: 0})
    for rule in RIGHT["leader_commit_index"]:
        assert rule(view) == 2
        assert rule(replace_term(view)) == 0


def replace_term(view):
    return view._replace(match_index={1: 2, 2: 1, 3: 0})


def test_alarms_are_possible_here():
    with without_collector():
        assert Hunt(RULES.but(grant_vote=lambda v: True)).run(profiles_for(["grant_vote"])[0], 6_000) is not None


def test_profiles_are_small_and_named_once():
    assert len({p.name for p in PROFILES}) == len(PROFILES)
    assert all(p.n <= 5 and p.entries <= 4 for p in PROFILES)
    assert replace(PROFILES[0], warm=True).name == PROFILES[0].name
