"""A leadership from its first moment to its last: taking office, the wait, heartbeats, giving up. Below: replication and lease."""

from __future__ import annotations

from raftedu.core.leases import check_lease, lease_deadline, renew, start_wait
from raftedu.core.replication import append, heartbeat, send_round, try_commit
from raftedu.core.state import ELECTION, LEADER, State, arm, disarm, say, set_role
from raftedu.core.types import SET, Entry, Role, Seconds
from raftedu.core.views import NewLeaderView

__all__ = ["become_leader", "check_deadlines", "plan_wake_up"]


def become_leader(s: State, now: Seconds) -> None:
    """Take office: know nothing of the followers, find out how long to wait, send heartbeats meanwhile [R4, R5]."""
    set_role(s, Role.LEADER, f"a majority voted for it in term {s.term}")
    s.leader = s.node
    disarm(s, ELECTION)
    _begin_replication(s)
    start_wait(s, now)
    _say_elected(s, now)
    if s.config.lease_policy == "deferred-commit" or s.wait_until <= now:
        _append_no_op(s)
    if s.next_heartbeat_at <= now:
        heartbeat(s, now)
    if s.wait_until <= now:
        _after_wait(s, now)


def _begin_replication(s: State) -> None:
    view = NewLeaderView(
        s.node, s.term, s.peers, s.log.last_index, s.commit_index, s.next_index, s.match_index, s.config.no_op_on_election,
    )  # fmt: skip
    new = s.rules.become_leader(view)
    s.next_index, s.match_index = dict(new.next_index), dict(new.match_index)
    s.owes_no_op = new.append_no_op
    s.next_heartbeat_at = float("-inf") if new.heartbeat_at_once else float("inf")
    s.commit_blocked = True
    s.in_flight.clear()
    s.waiters.clear()
    if new.keep_log_to < s.log.last_index:
        s.log.cut_after(new.keep_log_to)
        s.saved_index = min(s.saved_index, new.keep_log_to)
        s.changed_from, s.truncated = new.keep_log_to + 1, True
        say(s, "entries_truncated", index=new.keep_log_to, from_index=new.keep_log_to + 1)
    unapplied = enumerate(s.log.between(s.last_applied + 1, s.log.last_index), s.last_applied + 1)
    s.appended = {(entry.client, entry.request): i for i, entry in unapplied if entry.client and entry.op == SET}


def _say_elected(s: State, now: Seconds) -> None:
    counted = [b for b in s.ballots if b.granted and b.term == s.term]
    votes = [[b.voter, b.msg, b.remaining] for b in counted]
    say(s, "leader_elected", votes=votes, last_index=s.log.last_index, wait_until=s.wait_until, now=now)
    if s.wait_until > now:
        owed = [[s.node, max(0.0, s.promise_until - now)]]
        owed += [[b.voter, max(0.0, b.received_at + b.remaining - now)] for b in counted if b.voter != s.node]
        say(s, "lease_wait_started", wait_until=s.wait_until, because=owed, now=now)


def _append_no_op(s: State) -> None:
    if s.owes_no_op:
        s.owes_no_op = False
        append(s, [Entry(s.term)])


def _after_wait(s: State, now: Seconds) -> None:
    """Do what the wait held back: the NO-OP of this term, the lease, the commit [R5]."""
    s.waiting = False
    if s.owes_no_op:
        _append_no_op(s)
        send_round(s, now, s.peers)
    renew(s, now)
    try_commit(s, now)


def check_deadlines(s: State, now: Seconds) -> None:
    """Compare, for a leader, every deadline with the clock; a timer only wakes the node, it decides nothing [R6, R9]."""
    if not check_lease(s, now):
        return
    if s.waiting and now >= s.wait_until:
        say(s, "lease_wait_ended", wait_until=s.wait_until, now=now)
        _after_wait(s, now)
    if now >= s.next_heartbeat_at:
        heartbeat(s, now)


def plan_wake_up(s: State, now: Seconds) -> None:
    """Ask for a leader to be woken at the next deadline that is still to come."""
    if s.next_heartbeat_at == float("inf"):
        s.next_heartbeat_at = now + s.config.heartbeat  # the rule chose to begin with silence
    due = s.next_heartbeat_at
    for deadline in (lease_deadline(s, now), s.wait_until if s.waiting else now):
        if now < deadline and (deadline < due or due <= now):
            due = deadline
    if due != s.leader_due:
        s.leader_due = due
        arm(s, LEADER, max(0.0, due - now), max(0.0, due - now))
