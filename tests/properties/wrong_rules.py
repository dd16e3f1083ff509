"""Wrong rules from real mistakes, to show that the invariants can fail. The names are those of the project's list of mistakes."""

from __future__ import annotations

from raftedu.core import rules
from raftedu.core.rules import RULES, Rules
from raftedu.core.types import Role
from raftedu.core.views import Adopted, Campaign, Progress, Result

__all__ = ["WRONG"]


def _vote_kept_but_role_too(view):
    return Adopted(max(view.term, view.message_term), view.role, view.voted_for if view.message_term <= view.term else None)


def _commits_on_first_answer(view):
    held_by_one = sorted(view.match_index.values(), reverse=True)[0]
    return max(view.commit_index, held_by_one) if view.term_at(held_by_one) == view.term else view.commit_index


def _cleans_up(view):
    return rules.become_leader(view)._replace(keep_log_to=view.commit_index)


def _counts_what_was_not_sent(view):
    if not view.success:
        return rules.after_append_reply(view)
    return Progress(view.last_log_index + 1, view.last_log_index)


WRONG: dict[str, Rules] = {
    "EL-08 counts votes of older terms": RULES.but(
        wins_election=lambda v: len({b.voter for b in v.ballots if b.granted}) >= v.majority - 1
    ),
    "EL-11 campaigns in the old term": RULES.but(start_election=lambda v: Campaign(max(v.term, 1), v.node)),
    "UP-02 compares terms only": RULES.but(log_is_up_to_date=lambda v: v.candidate_last_term >= v.last_log_term),
    "UP-07 compares no logs": RULES.but(log_is_up_to_date=lambda v: True),
    "TM-02 takes the term and stays leader": RULES.but(on_higher_term=_vote_kept_but_role_too),
    "AE-01 checks nothing before the new entries": RULES.but(accepts_append=lambda v: True),
    "AE-04 cuts all that follows": RULES.but(merged_log=lambda v: v.entries),
    "AE-05 never cuts": RULES.but(merged_log=lambda v: v.mine + v.entries[len(v.mine) :]),
    "AE-07 appends again": RULES.but(merged_log=lambda v: v.mine + v.entries),
    "RP-03 counts what was appended meanwhile": RULES.but(after_append_reply=_counts_what_was_not_sent),
    "RP-10 a new leader cleans up": RULES.but(become_leader=_cleans_up),
    "CM-07 the commit falls": RULES.but(follower_commit_index=lambda v: min(v.leader_commit, v.last_new_index)),
    "CM-08 commits on the first answer": RULES.but(leader_commit_index=_commits_on_first_answer),
    "AP-01 applies before the commit": RULES.but(applicable=lambda v: v.last_log_index),
    "CL-04 what was appended has failed": RULES.but(
        client_outcome=lambda v: Result("fail") if v.stage == "appended" else rules.client_outcome(v)
    ),
    "LS-11 nobody waits": RULES.but(lease_wait=lambda v: v.now),
    "RD-01 needs no lease": RULES.but(may_serve_read=lambda v: v.role == Role.LEADER, must_step_down=lambda v: False),
    "RD-05 followers answer": RULES.but(may_serve_read=lambda v: True),
}
