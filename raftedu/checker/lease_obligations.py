"""What each node owes the others for the lease to be safe (rules R1 to R10 of docs/protocol.md).

As in `raftedu.checker.vote_obligations`: one turn in, the reason out if an obligation is broken.
"""

from __future__ import annotations

from raftedu.checker.machine import RESTART, Turn
from raftedu.checker.turns import NEARLY, append_received, append_reply, elected, granted, leads_on, moment, reply_received, woken
from raftedu.core.rules import must_step_down
from raftedu.core.types import Role, Seconds
from raftedu.core.views import StepDownView

__all__ = [
    "expired_leader_steps_down", "lease_backed", "lease_renewed", "promise_at_restart", "promise_before_ack", "promise_never_falls",
    "promises_no_more_than_due", "reports_no_more_than_owed", "starts_owing_no_more", "valid_leader_stays", "vote_carries_promise",
    "wait_covers_promises", "wait_ends", "waits_no_longer_than_owed",
]  # fmt: skip


def promise_before_ack(t: Turn) -> str | None:
    """Whoever answers its leader has promised it a full lease from now, longer by the drift margin [R1]."""
    m, answered = append_received(t), append_reply(t)
    if m is None or answered is None or m.term < t.old.term or t.new.role is Role.LEADER or not t.new.config.has_lease:
        return None
    lacks = t.now + t.new.config.promise - t.new.promise_until
    if lacks <= NEARLY:
        return None
    has, due = max(0.0, t.new.promise_until - t.now), t.new.config.promise
    return f"node {t.node} answered its leader {m.sender} and has promised to wait {has:.0f} s; {due:.0f} s are due"


def promise_never_falls(t: Turn) -> str | None:
    """A promise is never replaced by a shorter one [R1, U10]."""
    lost = moment(t, t.old.promise) - t.new.promise_until
    if woken(t, RESTART) or lost <= NEARLY or t.old.promise <= 0:
        return None
    return f"node {t.node} had promised to wait {lost:.0f} s longer than it does now"


def promise_at_restart(t: Turn) -> str | None:
    """A promise outlives a crash: a full one from now on is always enough [R10]."""
    kept = t.new.promise_until - t.now
    lost = min(t.old.promise - t.passed, max(t.new.config.promise, t.old.promised)) - kept
    if not woken(t, RESTART) or lost <= NEARLY or t.old.promise <= 0:
        return None
    return f"node {t.node} had promised its leader {kept + lost:.0f} s more when it crashed, and started again {lost:.0f} s short of it"


def vote_carries_promise(t: Turn) -> str | None:
    """A vote reports all that is left of the voter's promise to an older leader [R3]."""
    vote = granted(t)
    if vote is None:
        return None
    owed = max(0.0, t.new.promise_until - t.now)
    if vote[1].remaining >= owed - NEARLY:
        return None
    return f"node {t.node} voted for {vote[0].sender} and reported {vote[1].remaining:.0f} s left of its promise; it owes {owed:.0f} s"


def wait_covers_promises(t: Turn) -> str | None:
    """A new leader waits for its own promise and for what every vote that counted reported [R4]."""
    if not elected(t):
        return None
    s = t.new
    owed = [(s.promise_until, t.node)] + [(b.received_at + b.remaining, b.voter) for b in s.ballots if b.granted and b.term == s.term]
    until, whose = max(owed)
    if until <= t.now + NEARLY or s.wait_until >= until - NEARLY:
        return None
    return f"node {t.node} waits {max(0.0, s.wait_until - t.now):.0f} s; the promise of node {whose} lasts {until - t.now:.0f} s"


def lease_backed(t: Turn) -> str | None:
    """A lease ends L after the sending of rounds that a majority has answered in this term: never dated from anything later [R2]."""
    s = t.new
    if s.role is not Role.LEADER or s.lease_expiry is None:
        return None
    sent = sorted([t.now, *(answer.sent_at for answer in s.answered.values())], reverse=True)
    until = sent[s.majority - 1] + s.config.lease if len(sent) >= s.majority else None
    if leads_on(t) and t.old.lease is not None:
        until = max(until or 0.0, moment(t, t.old.lease))
    if until is None:
        return f"node {t.node} took a lease in term {s.term} that no majority has answered for"
    if s.lease_expiry > until + NEARLY:
        return (
            f"node {t.node} takes its lease to last {s.lease_expiry - t.now:.0f} s more; by what a majority has answered it lasts "
            f"{max(0.0, until - t.now):.0f} s"
        )
    return None


def lease_renewed(t: Turn) -> str | None:
    """A leader that a majority answers holds its lease, for no less than half of what those answers allow [R2]."""
    s = t.new
    sent = sorted([t.now, *(answer.sent_at for answer in s.answered.values())], reverse=True)
    if not leads_on(t) or reply_received(t) is None or len(sent) < s.majority:
        return None
    due = sent[s.majority - 1] + s.config.lease
    if not s.config.has_lease or (s.lease_expiry is not None and s.lease_expiry > due - s.config.lease / 2):
        return None
    has = "none at all" if s.lease_expiry is None else f"one that ends {due - s.lease_expiry:.0f} s earlier"
    return f"a majority answered node {t.node}, which may hold its lease for {due - t.now:.0f} s and has {has}"


def wait_ends(t: Turn) -> str | None:
    """A new leader waits no longer than any promise can last [R4]."""
    if not elected(t):
        return None
    longest = max(t.now + t.new.config.promise, _owed(t))
    if t.new.wait_until <= longest + NEARLY:
        return None
    return f"node {t.node} waits {t.new.wait_until - t.now:.0f} s; no promise lasts longer than {longest - t.now:.0f} s"


def expired_leader_steps_down(t: Turn) -> str | None:
    """A leader whose lease has run out, or that never got one, or whose disk is stuck, gives up [R9]."""
    if not leads_on(t) or not must_step_down(_deadlines(t)):
        return None
    why = "its lease never came" if t.old.lease is None else "its lease has run out"
    if t.old.lease is not None and t.old.lease > t.passed:
        why = "its disk is stuck"
    return f"node {t.node} leads term {t.new.term} on; {why}"


def valid_leader_stays(t: Turn) -> str | None:
    """A leader gives up for no other reason: neither before its lease has run out, nor before it can have got one [R9]."""
    gave_up = t.old.role is Role.LEADER and t.new.role is not Role.LEADER and t.new.term == t.old.term
    if not gave_up or must_step_down(_deadlines(t)):
        return None
    left = f"its lease lasts {t.old.lease - t.passed:.0f} s more" if t.old.lease is not None else "its lease may yet come"
    return f"node {t.node}, leader of term {t.old.term}, gave up, though {left}"


def _deadlines(t: Turn) -> StepDownView:
    """Return what a leader had to look at when this turn began."""
    old, c = t.old, t.new.config
    expiry = None if old.lease is None else moment(t, old.lease)
    busy = None if old.disk is None else moment(t, old.disk.pending[0][1].since)
    elected_at = moment(t, old.elected)
    sent = sorted([t.now, *(moment(t, answer[0]) for answer in old.answered if answer is not None)], reverse=True)
    heard_at = max(elected_at, sent[t.new.majority - 1]) if len(sent) >= t.new.majority else elected_at
    return StepDownView(t.now, c.lease, expiry, moment(t, old.wait), elected_at, c.election_max, busy, c.lease_policy, heard_at)


# ---- what is safe and slow


def waits_no_longer_than_owed(t: Turn) -> str | None:
    """A new leader need not wait when nobody has promised anything to an older one [R4]."""
    if not elected(t) or t.new.wait_until <= _owed(t) + NEARLY:
        return None
    return f"node {t.node} waits {t.new.wait_until - t.now:.0f} s; the promises of its voters are over in {_owed(t) - t.now:.0f} s"


def _owed(t: Turn) -> Seconds:
    """Return when the last promise is over that a new leader knows of."""
    s = t.new
    return max([t.now, s.promise_until, *(b.received_at + b.remaining for b in s.ballots if b.granted and b.term == s.term)])


def reports_no_more_than_owed(t: Turn) -> str | None:
    """A vote reports no more than what is left of the voter's promise [R3]."""
    vote = granted(t)
    owed = max(0.0, t.new.promise_until - t.now)
    if vote is None or vote[1].remaining <= owed + NEARLY:
        return None
    return f"node {t.node} reported {vote[1].remaining:.0f} s with its vote for {vote[0].sender}; of its promise {owed:.0f} s are left"


def starts_owing_no_more(t: Turn) -> str | None:
    """A node that starts again owes one full promise, and nothing where there is no other node to lead [R10]."""
    c = t.new.config
    owes, due = t.new.promise_until - t.now, max(t.new.promised, c.promise) if len(c.nodes) > 1 else 0.0
    if not woken(t, RESTART) or owes <= due + NEARLY:
        return None
    return f"node {t.node} starts again and helps nobody for {owes:.0f} s; {due:.0f} s are enough"


def promises_no_more_than_due(t: Turn) -> str | None:
    """A promise is no longer than a full one from now [R1]."""
    due = max(moment(t, t.old.promise), t.now + t.new.config.promise)
    if append_received(t) is None or t.new.promise_until <= due + NEARLY:
        return None
    return f"node {t.node} promised {t.new.promise_until - t.now:.0f} s; {due - t.now:.0f} s are enough"
