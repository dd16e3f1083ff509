"""Terms and roles: adopting a higher term, following a leader, stepping down. Above it stands who decides to."""

from __future__ import annotations

from raftedu.core.answers import give_up_waiters
from raftedu.core.state import LEADER, State, arm_election_timer, disarm, say, set_role
from raftedu.core.types import NodeId, Role, Seconds, Term, make
from raftedu.core.views import TermView

__all__ = ["look_at_term", "step_down"]


def look_at_term(s: State, message_term: Term, sender: NodeId, now: Seconds, *, is_reply: bool) -> None:
    """Let the rule `on_higher_term` look at the term of a message before anything else is done with it (§5.1)."""
    adopted = s.rules.on_higher_term(make(TermView, (s.term, s.role, s.voted_for, message_term, is_reply)))
    if adopted == (s.term, s.role, s.voted_for):
        return
    why = f"node {sender} is in term {message_term}"
    if s.role == Role.LEADER and adopted.role != Role.LEADER:
        # A leader gives its lease up before it can vote for anyone else [R3, U9].
        step_down(s, now, why, "lease_given_up")
    if adopted.term != s.term:
        old, s.term, s.leader = s.term, adopted.term, None
        s.voted_for = adopted.voted_for
        say(s, "term_changed", old=old, new=s.term, why=why)
    s.voted_for = adopted.voted_for
    set_role(s, adopted.role, why)


def step_down(s: State, now: Seconds, why: str, lease_event: str) -> None:
    """Become a follower of the same term that keeps its vote [U17]; nothing of the lease is left.

    ``lease_event`` is ``"lease_expired"`` or ``"lease_given_up"``.
    """
    if s.has_lease:
        say(s, lease_event, why=why, expiry=s.lease_expiry, now=now)
    say(s, "stepped_down", why=why, now=now)
    s.leader = None
    s.lease_expiry, s.waiting, s.lease_told = None, False, False
    set_role(s, Role.FOLLOWER, why)
    disarm(s, LEADER)
    s.leader_due = None
    arm_election_timer(s)
    give_up_waiters(s, f"node {s.node} stepped down: {why}", now)
