"""Every rule by itself: a table of what it sees and what it returns, after the sentence of the paper or of docs/protocol.md."""

from __future__ import annotations

import pytest

from raftedu.core import views as v
from raftedu.core.rules import RULES, Rules, rule_names
from raftedu.core.types import Entry, Role

F, C, L = Role.FOLLOWER, Role.CANDIDATE, Role.LEADER
NEVER = float("-inf")


def ballot(voter, term=2, granted=True, remaining=0.0, at=10.0):
    return v.Ballot(voter, term, granted, remaining, at)


def vote(term=2, voted_for=None, candidate=2, candidate_term=2, up_to_date=True, role=F):
    return v.VoteView(1, term, voted_for, candidate, candidate_term, up_to_date, 1, 1, 1, 1, role)


def reply(success=False, *, next_index=5, match=0, acknowledged=0, prev=None, conflict=(None, 0), mine=0, fast=True):
    prev = next_index - 1 if prev is None else prev
    return v.ReplyView(next_index, match, 9, success, acknowledged, prev, *conflict, mine, fast)


def lease(answered, now=10.0, expiry=None, majority=2):
    rounds = {peer: v.Round(sent, sent + 0.1) for peer, sent in answered.items()}
    return v.LeaseView(8.0, expiry, rounds, majority, now, now, NEVER, 1.002)


def step_down(now, expiry=None, wait_until=0.0, elected_at=0.0, busy=None):
    return v.StepDownView(now, 8.0, expiry, wait_until, elected_at, 10.0, busy)


def read(mode="lease", role=L, valid=True, commit_term=2, commit=4, applied=4, wait_until=0.0, index=4, confirmed=False):
    return v.ReadView(mode, role, valid, 2, commit_term, commit, applied, 1.0, wait_until, 8.0, index, confirmed)


def confirm(answered, after_round=7, majority=2):
    return v.ConfirmView(5.0, after_round, {peer: v.Round(0.0, 9.0, "", number) for peer, number in answered.items()}, majority)


def plain_raft(now, heard_at, busy=None):
    return v.StepDownView(now, 8.0, None, 0.0, 0.0, 10.0, busy, "no-lease", heard_at)


def entries(*terms, key="k"):
    return tuple(Entry(term, "SET", key, str(term)) for term in terms)


def merge(mine, theirs):
    return v.MergeView(3, mine, theirs)


NEW_LEADER = v.NewLeaderView(1, 2, (2, 3), 4, 3, {2: 9}, {2: 8}, True)

CASES = {
    "election_timeout_range": [(v.TimeoutView(1, 5.0, 10.0), (5.0, 10.0))],
    "start_election": [(v.CampaignView(1, 4, 2, F), v.Campaign(5, 1)), (v.CampaignView(0, 4, 0, C), v.Campaign(5, 0))],
    "log_is_up_to_date": [  # mine: term, index; theirs: term, index
        (v.LogView(1, 1, 1, 1), True),
        (v.LogView(1, 1, 1, 2), True),
        (v.LogView(1, 2, 1, 1), False),
        (v.LogView(1, 1, 2, 1), True),
        (v.LogView(1, 2, 2, 1), True),
        (v.LogView(2, 1, 1, 1), False),
        (v.LogView(2, 1, 1, 2), False),
        (v.LogView(2, 2, 1, 1), False),
        (v.LogView(0, 0, 0, 0), True),
        (v.LogView(0, 0, 1, 1), True),
        (v.LogView(1, 1, 0, 0), False),
    ],
    "grant_vote": [
        (vote(), True),
        (vote(voted_for=2), True),
        (vote(voted_for=3), False),
        (vote(voted_for=0), False),
        (vote(up_to_date=False), False),
        (vote(candidate_term=1), False),
        (vote(candidate_term=1, voted_for=2), False),
        (vote(role=L, voted_for=1), False),
        (vote(candidate=0, voted_for=0), True),
    ],
    "wins_election": [
        (v.TallyView(2, (ballot(1), ballot(2)), 2, 3), True),
        (v.TallyView(2, (ballot(1),), 2, 3), False),
        (v.TallyView(2, (ballot(1), ballot(2), ballot(2)), 3, 5), False),
        (v.TallyView(2, (ballot(1), ballot(2, term=1)), 2, 3), False),
        (v.TallyView(2, (ballot(1), ballot(2, granted=False)), 2, 3), False),
        (v.TallyView(2, (ballot(1), ballot(2)), 3, 4), False),
        (v.TallyView(2, (ballot(1),), 1, 1), True),
    ],
    "on_higher_term": [
        *((v.TermView(2, role, 1, 3, is_reply), v.Adopted(3, F, None)) for role in Role for is_reply in (True, False)),
        *((v.TermView(2, role, 1, 2, True), v.Adopted(2, role, 1)) for role in Role),
        *((v.TermView(2, role, 1, 1, False), v.Adopted(2, role, 1)) for role in Role),
    ],
    "reply_term": [(v.ReplyTermView(5, 3), 5), (v.ReplyTermView(5, 5), 5)],
    "resets_election_timer": [
        (v.ResetView("RequestVote", True, False), True),
        (v.ResetView("RequestVote", False, False), False),
        (v.ResetView("AppendEntries", False, True), True),
        (v.ResetView("AppendEntries", False, False), False),
    ],
    "become_leader": [
        (NEW_LEADER, v.NewLeader({2: 5, 3: 5}, {2: 0, 3: 0}, True, True, 4)),
        (NEW_LEADER._replace(no_op_on_election=False, last_log_index=0), v.NewLeader({2: 1, 3: 1}, {2: 0, 3: 0}, False, True, 0)),
    ],
    "follows_leader": [
        (v.FollowView(2, F, None, 3, 2), True),
        (v.FollowView(2, C, None, 3, 2), True),
        (v.FollowView(2, L, 1, 3, 2), False),
        (v.FollowView(2, F, 3, 3, 1), False),
        (v.FollowView(2, F, 3, 2, 2), True),
    ],
    "accepts_append": [
        (v.AppendView(0, 0, 0, 0, 1), True),
        (v.AppendView(3, 2, 2, 5, 0), True),
        (v.AppendView(3, 2, 1, 5, 1), False),
        (v.AppendView(3, 2, None, 2, 1), False),
        (v.AppendView(3, 2, None, 2, 0), False),
        (v.AppendView(3, 2, 3, 5, 1), False),
    ],
    "merged_log": [
        (merge((), entries(1, 2)), entries(1, 2)),
        (merge(entries(1, 2), ()), entries(1, 2)),
        (merge(entries(1, 2, 2), entries(1)), entries(1, 2, 2)),
        (merge(entries(1, 2), entries(1, 2, 3)), entries(1, 2, 3)),
        (merge(entries(1, 2, 2), entries(1, 3)), entries(1, 3)),
        (merge(entries(2, 2), entries(1)), entries(1)),
        (merge(entries(1, 1), entries(1, 1)), entries(1, 1)),
    ],
    "acknowledged_index": [
        (v.AckView(True, 3, 2, 9), 5),
        (v.AckView(True, 3, 0, 9), 3),
        (v.AckView(False, 3, 2, 9), None),
        (v.AckView(True, 0, 0, 9), 0),
    ],
    "entries_to_send": [
        (v.SendView(3, 5, 512), (3, 5)),
        (v.SendView(3, 5, 2), (3, 4)),
        (v.SendView(5, 5, 1), (5, 5)),
        (v.SendView(6, 5, 512), (6, 5)),
        (v.SendView(1, 0, 512), (1, 0)),
    ],
    "after_append_reply": [
        (reply(True, acknowledged=7), v.Progress(8, 7)),
        (reply(True, acknowledged=4), v.Progress(5, 4)),
        (reply(True, acknowledged=2, match=4), v.Progress(5, 4)),  # a late answer
        (reply(True, acknowledged=9, next_index=12, match=9, prev=8), v.Progress(12, 9)),
        (reply(fast=False), v.Progress(4, 0)),
        (reply(fast=False, match=4), v.Progress(5, 4)),  # never below match + 1
        (reply(conflict=(None, 2)), v.Progress(2, 0)),  # its log is too short
        (reply(conflict=(2, 2)), v.Progress(2, 0)),  # a term that the leader does not have
        (reply(conflict=(2, 2), mine=3), v.Progress(4, 0)),  # the leader's last entry of that term
        (reply(conflict=(2, 1), mine=8), v.Progress(4, 0)),  # but always back
        (reply(conflict=(None, 1), prev=2), v.Progress(5, 0)),  # an answer to an older question
        (reply(conflict=(None, 0)), v.Progress(1, 0)),
    ],
    "must_persist_first": [
        *((v.PersistView(kind, True, True, True, True), True) for kind in ("RequestVote", "VoteReply", "AppendReply")),
        (v.PersistView("AppendEntries", False, False, True, False), False),
        (v.PersistView("AppendReply", False, False, False, False), True),
    ],
    "may_commit_now": [(v.CommitTimeView(9.9, 10.0), False), (v.CommitTimeView(10.0, 10.0), True), (v.CommitTimeView(11.0, 10.0), True)],
    "leader_commit_index": [
        (v.CommitView.example(term=3, log_terms=[1, 3], match={1: 2, 2: 2, 3: 0}), 2),
        (v.CommitView.example(term=3, log_terms=[1, 3], match={1: 2, 2: 1, 3: 0}), 0),
        (v.CommitView.example(term=4, log_terms=[1, 2, 4], match={1: 3, 2: 2, 3: 2, 4: 1, 5: 1}), 0),
        (v.CommitView.example(term=4, log_terms=[1, 2, 4], match={1: 3, 2: 3, 3: 3, 4: 1, 5: 1}), 3),
        (v.CommitView.example(term=1, log_terms=[1, 1, 1], match={1: 3, 2: 2, 3: 1, 4: 0}), 1),
        (v.CommitView.example(term=1, log_terms=[1, 1, 1], match={1: 3}), 3),
        (v.CommitView.example(term=1, log_terms=[], match={1: 0, 2: 0, 3: 0}), 0),
        (v.CommitView.example(term=1, log_terms=[1, 1], match={1: 2, 2: 1, 3: 1}, commit_index=2), 2),
    ],
    "follower_commit_index": [
        (v.FollowerCommitView(1, 5, 3, 9), 3),
        (v.FollowerCommitView(1, 2, 3, 9), 2),
        (v.FollowerCommitView(4, 2, 3, 9), 4),
        (v.FollowerCommitView(0, 9, 0, 9), 0),
    ],
    "applicable": [(v.ApplyView(1, 4, 9), 4), (v.ApplyView(5, 5, 9), 5)],
    "apply_once": [
        (v.DedupView("anna", 1, None, True), True),
        (v.DedupView("anna", 2, 1, False), True),
        (v.DedupView("anna", 1, 1, True), False),
        (v.DedupView("anna", 1, 2, False), False),
        (v.DedupView("anna", 0, None, False), True),
        (v.DedupView("anna", 0, 0, False), False),
        (v.DedupView("", 0, None, True), True),
    ],
    "client_outcome": [
        (v.OutcomeView("SET", "applied", False, ""), v.Result("success")),
        (v.OutcomeView("SET", "appended", False, ""), v.Result("unknown")),
        (v.OutcomeView("SET", "outdated", False, ""), v.Result("unknown")),
        (v.OutcomeView("SET", "refused", False, ""), v.Result("fail")),
        (v.OutcomeView("GET", "read", True, "1"), v.Result("success", "1")),
        (v.OutcomeView("GET", "read", False, ""), v.Result("success", "")),
        (v.OutcomeView("GET", "refused", True, "1"), v.Result("fail")),
    ],
    "accepts_client_write": [
        (v.WriteView(L, 10.0, 10.0, "wait-then-append"), True),
        (v.WriteView(L, 9.9, 10.0, "wait-then-append"), False),
        (v.WriteView(L, 9.9, 10.0, "deferred-commit"), True),
        (v.WriteView(F, 11.0, 10.0, "deferred-commit"), False),
        (v.WriteView(C, 11.0, 10.0, "wait-then-append"), False),
    ],
    "read_is_confirmed": [
        (confirm({2: 8}), True),
        (confirm({2: 9}), True),  # a later one is as good
        (confirm({2: 7}), False),  # it was on its way when the GET arrived
        (confirm({2: 7, 3: 6}), False),
        (confirm({}), False),
        (confirm({2: 8, 3: 7}, majority=3), False),
        (confirm({2: 8, 3: 7, 4: 9}, majority=3), True),
        (confirm({}, majority=1), True),
    ],
    "may_serve_read": [
        (read(), True),
        (read(index=0, commit=5), False),
        (read("read-index", valid=False, confirmed=True), True),
        (read("read-index", confirmed=False), False),
        (read("read-index", confirmed=True, commit_term=1), False),
        (read("read-index", confirmed=True, applied=3), False),
        (read("read-index", confirmed=True, applied=4, commit=6), True),  # what came later it need not see
        (read("read-index", confirmed=True, role=F), False),
        (read("read-index", confirmed=True, wait_until=2.0), False),
        (read("log"), False),
        (read("log", confirmed=True), False),
        (read(valid=False), False),
        (read(commit_term=1), False),
        (read(applied=3), False),
        (read(role=F, valid=False), False),
        (read("unsafe", valid=False, commit_term=1), True),
        (read("unsafe", role=F), False),
        (read("unsafe", role=C), False),
    ],
    "lease_promise": [
        (v.PromiseView(0.0, 10.0, 8.016, 8.0, (), 9.0), 18.016),
        (v.PromiseView(20.0, 10.0, 8.016, 8.0, (), 9.0), 20.0),
        (v.PromiseView(0.0, 10.0, 8.016, 8.0, entries(1), 9e9), 18.016),
    ],
    "promise_at_restart": [
        (v.RestartView(100.0, True, 0.0, 8.016, 8.0, 3), 108.016),
        (v.RestartView(100.0, True, 20.0, 8.016, 8.0, 3), 120.0),
        (v.RestartView(100.0, False, 0.0, 8.016, 8.0, 3), 100.0),
        (v.RestartView(100.0, True, 20.0, 8.016, 8.0, 1), 100.0),
    ],
    "remaining_promise": [(v.RemainingView(18.0, 10.0, 8.0), 8.0), (v.RemainingView(9.0, 10.0, 8.0), 0.0)],
    "lease_wait": [
        (v.WaitView(10.0, 0.0, 2, (ballot(1), ballot(2, remaining=5.0, at=9.0))), 14.0),
        (v.WaitView(10.0, 16.0, 2, (ballot(1), ballot(2, remaining=5.0, at=9.0))), 16.0),
        (v.WaitView(10.0, 0.0, 2, (ballot(2, remaining=80.0), ballot(3))), 90.0),
        (v.WaitView(10.0, 0.0, 2, (ballot(2), ballot(3, remaining=80.0, granted=False))), 10.0),
        (v.WaitView(10.0, 0.0, 2, (ballot(2), ballot(3, term=1, remaining=80.0))), 10.0),
        (v.WaitView(10.0, 0.0, 2, (ballot(1), ballot(2, remaining=0.5, at=9.0))), 10.0),
    ],
    "lease_expiry": [
        (lease({}), None),
        (lease({2: 9.0}), 17.0),
        (lease({2: 9.0, 3: 4.0}), 17.0),
        (lease({2: 9.0, 3: 9.5}), 17.5),
        (lease({2: 9.0}, majority=3), None),
        (lease({2: 9.0, 3: 4.0, 4: 6.0}, majority=3), 14.0),
        (lease({}, majority=1), 18.0),
        (lease({2: 9.0}, expiry=20.0), 20.0),
        (lease({}, expiry=12.0), 12.0),
    ],
    "lease_is_valid": [
        (v.ValidView(L, 10.0, 10.0, 18.0), True),
        (v.ValidView(L, 9.9, 10.0, 18.0), False),
        (v.ValidView(L, 18.0, 10.0, 18.0), False),
        (v.ValidView(L, 17.9, 10.0, 18.0), True),
        (v.ValidView(F, 12.0, 10.0, 18.0), False),
        (v.ValidView(L, 12.0, 10.0, None), False),
        (v.ValidView(C, 12.0, 10.0, 18.0), False),
    ],
    "must_step_down": [
        (step_down(9.9, expiry=10.0), False),
        (step_down(10.0, expiry=10.0), True),
        (step_down(10.0, expiry=10.0, wait_until=50.0), True),
        (step_down(19.9, wait_until=10.0), False),
        (step_down(20.0, wait_until=10.0), True),
        (step_down(10.0), True),
        (step_down(9.9), False),
        (step_down(9.0, expiry=20.0, busy=1.0), True),
        (step_down(8.9, expiry=20.0, busy=1.0), False),
        (plain_raft(17.9, heard_at=8.0), False),
        (plain_raft(18.0, heard_at=8.0), True),
        (plain_raft(18.0, heard_at=17.0, busy=9.0), False),
        (plain_raft(18.0, heard_at=17.0, busy=8.0), True),
    ],
}


@pytest.mark.parametrize(("name", "view", "answer"), [(name, *case) for name, cases in CASES.items() for case in cases])
def test_rule(name, view, answer):
    returned = getattr(RULES, name)(view)
    assert returned == pytest.approx(answer) if isinstance(answer, float) else returned == answer


def test_every_rule_has_its_table():
    assert list(CASES) == list(rule_names())


@pytest.mark.parametrize("name", CASES)
def test_the_table_can_tell_a_rule_from_a_constant(name):
    """A table with one answer only could not fail for most wrong rules; few rules have only one answer."""
    answers = {repr(answer) for _, answer in CASES[name]}
    assert len(answers) > 1 or name == "election_timeout_range" or name == "reply_term"


def test_a_rule_is_replaced_by_name_and_the_table_stays_as_it_was():
    mine = RULES.but(grant_vote=len)
    assert mine.grant_vote is len and RULES.grant_vote is not len
    assert Rules() == RULES and mine.but(grant_vote=RULES.grant_vote) == RULES


def test_an_unknown_rule_is_refused_with_the_names_there_are():
    with pytest.raises(TypeError, match="there is no rule 'grant_votes'; the rules are: election_timeout_range, start_election"):
        RULES.but(grant_votes=len)
    with pytest.raises(TypeError, match="grant_vote must be a function of one view, not 7"):
        RULES.but(grant_vote=7)


def test_a_rule_has_a_docstring_that_says_what_comes_back():
    assert [name for name in rule_names() if not (getattr(RULES, name).__doc__ or "").startswith("Return ")] == []


@pytest.mark.parametrize("name", CASES)
def test_a_view_cannot_be_changed(name):
    view = CASES[name][0][0]
    with pytest.raises(AttributeError):
        setattr(view, view._fields[0], None)
