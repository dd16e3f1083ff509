"""Wrong rules from real mistakes, to show that the invariants can fail. The names are those of the project's list of mistakes."""

from __future__ import annotations

from dataclasses import replace

from raftedu.core import rules
from raftedu.core.rules import RULES, Rules
from raftedu.core.types import Role
from raftedu.core.views import Adopted, Campaign, NewLeader, Progress, Result

__all__ = ["WRONG"]


def _vote_kept_but_role_too(view):
    return Adopted(max(view.term, view.message_term), view.role, view.voted_for if view.message_term <= view.term else None)


def _counts_old_terms(view):
    held_by_majority = sorted(view.match_index.values(), reverse=True)[view.majority - 1]
    return max(view.commit_index, held_by_majority)


def _commits_on_first_answer(view):
    held_by_one = sorted(view.match_index.values(), reverse=True)[0]
    return max(view.commit_index, held_by_one) if view.term_at(held_by_one) == view.term else view.commit_index


def _counts_its_unsynced(view):
    return rules.leader_commit_index(view._replace(match_index=dict(sorted(view.match_index.items()))))


def _from_receipt(view):
    at = sorted([view.now, *(answer.received_at for answer in view.answered.values())], reverse=True)
    return view.lease_expiry if len(at) < view.majority else max(view.lease_expiry or 0.0, at[view.majority - 1] + view.lease)


def _keeps_old_matches(view):
    new = rules.become_leader(view)
    return new._replace(match_index={**new.match_index, **view.match_index})


def _cleans_up(view):
    return rules.become_leader(view)._replace(keep_log_to=view.commit_index)


def _counts_what_was_not_sent(view):
    if not view.success:
        return rules.after_append_reply(view)
    return Progress(view.last_log_index + 1, view.last_log_index)


WRONG: dict[str, Rules] = {
    "EL-01 votes without looking at its vote": RULES.but(grant_vote=lambda v: v.candidate_term >= v.term and v.candidate_log_is_up_to_date),
    "EL-02 a message of the same term clears the vote": RULES.but(
        on_higher_term=lambda v: Adopted(v.term, v.role, None) if v.message_term == v.term else rules.on_higher_term(v)
    ),
    "EL-07 counts a voter twice": RULES.but(wins_election=lambda v: sum(b.granted and b.term == v.term for b in v.ballots) >= v.majority),
    "EL-08 counts votes of older terms": RULES.but(wins_election=lambda v: len({b.voter for b in v.ballots if b.granted}) >= v.majority - 1),
    "EL-11 campaigns in the old term": RULES.but(start_election=lambda v: Campaign(max(v.term, 1), v.node)),
    "EL-12 does not vote for itself": RULES.but(start_election=lambda v: Campaign(v.term + 1, None)),
    "UP-01 compares lengths only": RULES.but(log_is_up_to_date=lambda v: v.candidate_last_index >= v.last_log_index),
    "UP-02 compares terms only": RULES.but(log_is_up_to_date=lambda v: v.candidate_last_term >= v.last_log_term),
    "UP-07 compares no logs": RULES.but(log_is_up_to_date=lambda v: True),
    "TM-02 takes the term and stays leader": RULES.but(on_higher_term=_vote_kept_but_role_too),
    "TM-04 accepts an old leader": RULES.but(follows_leader=lambda v: v.role != Role.LEADER),
    "PE-01 answers before the disk has it": RULES.but(must_persist_first=lambda v: False),
    "AE-01 checks nothing before the new entries": RULES.but(accepts_append=lambda v: True),
    "AE-02 checks the index, not the term": RULES.but(accepts_append=lambda v: v.term_at_prev is not None),
    "AE-04 cuts all that follows": RULES.but(merged_log=lambda v: v.entries),
    "AE-05 never cuts": RULES.but(merged_log=lambda v: v.mine + v.entries[len(v.mine) :]),
    "AE-07 appends again": RULES.but(merged_log=lambda v: v.mine + v.entries),
    "AE-09 acknowledges its whole log": RULES.but(acknowledged_index=lambda v: v.last_log_index if v.accepted else None),
    "RP-01 keeps what it knew of followers": RULES.but(become_leader=_keeps_old_matches),
    "RP-03 counts what was appended meanwhile": RULES.but(after_append_reply=_counts_what_was_not_sent),
    "RP-10 a new leader cleans up": RULES.but(become_leader=_cleans_up),
    "CM-05 commits what was not compared": RULES.but(follower_commit_index=lambda v: max(v.commit_index, min(v.leader_commit, v.last_log_index))),
    "CM-07 the commit falls": RULES.but(follower_commit_index=lambda v: min(v.leader_commit, v.last_new_index)),
    "CM-08 commits on the first answer": RULES.but(leader_commit_index=_commits_on_first_answer),
    "AP-01 applies before the commit": RULES.but(applicable=lambda v: v.last_log_index),
    "CL-01 a retry takes effect again": RULES.but(apply_once=lambda v: True),
    "CL-04 what was appended has failed": RULES.but(
        client_outcome=lambda v: Result("fail") if v.stage == "appended" else rules.client_outcome(v)
    ),
    "LS-01 the lease runs from the receipt": RULES.but(lease_expiry=_from_receipt),
    "LS-02 sending renews the lease": RULES.but(lease_expiry=lambda v: None if rules.lease_expiry(v) is None else v.last_sent_at + v.lease),
    "LS-03 the first lease is taken alone": RULES.but(
        lease_expiry=lambda v: v.now + v.lease if v.lease_expiry is None else rules.lease_expiry(v)
    ),
    "LS-10 reports no promise": RULES.but(remaining_promise=lambda v: 0.0),
    "LS-11 nobody waits": RULES.but(lease_wait=lambda v: v.now),
    "LS-12 commits during the wait": RULES.but(may_commit_now=lambda v: True),
    "LS-13 forgets its promise": RULES.but(promise_at_restart=lambda v: v.now),
    "RD-01 needs no lease": RULES.but(may_serve_read=lambda v: v.role == Role.LEADER, must_step_down=lambda v: False),
    "RD-02 needs no commit of its term": RULES.but(may_serve_read=lambda v: v.lease_is_valid),
    "RD-05 followers answer": RULES.but(may_serve_read=lambda v: True),
}
_ = (NewLeader, replace, _counts_its_unsynced)
