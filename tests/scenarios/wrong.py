"""Wrong rules that scripts name: ``cluster ... rules=NAME``."""

from __future__ import annotations

from raftedu.core import views as v
from raftedu.core.rules import lease_expiry


def dated_from_the_reply(view: v.LeaseView) -> float | None:
    answered = {node: round_._replace(sent_at=round_.received_at) for node, round_ in view.answered.items()}
    return lease_expiry(view._replace(answered=answered))


def without_margin(view: v.PromiseView) -> float:
    return max(view.promise_until, view.now + view.lease)


def forgotten(view: v.RestartView) -> float:
    return view.now


def last_reply_only(view: v.WaitView) -> float:
    return view.now + view.ballots[-1].remaining


def any_term(view: v.CommitView) -> int:
    held = sorted(view.match_index.values(), reverse=True)[view.majority - 1]
    return max(view.commit_index, held)


def stays_in_office(view: v.StepDownView) -> bool:
    return False


def before_the_round(view: v.ConfirmView) -> bool:
    return True


def any_answer_from_now_on(view: v.ConfirmView) -> bool:
    return 1 + sum(round_.received_at >= view.asked_at for round_ in view.answered.values()) >= view.majority


RULES = {
    "lease-from-reply": {"lease_expiry": dated_from_the_reply},
    "no-margin": {"lease_promise": without_margin},
    "forgotten-promise": {"promise_at_restart": forgotten},
    "last-reply": {"lease_wait": last_reply_only},
    "stays-in-office": {"must_step_down": stays_in_office},
    "commit-any-term": {"leader_commit_index": any_term},
    "before-the-round": {"read_is_confirmed": before_the_round},
    "any-answer": {"read_is_confirmed": any_answer_from_now_on},
}
