"""What each node owes the others for the lease to be safe (rules R1 to R10 of docs/protocol.md).

As in `raftedu.checker.vote_obligations`: one turn in, the reason out if an obligation is broken.
"""

from __future__ import annotations

from raftedu.checker.machine import RESTART, Turn
from raftedu.checker.turns import NEARLY, append_received, append_reply, elected, granted, leads_on, moment, woken
from raftedu.core.rules import must_step_down
from raftedu.core.types import Role
from raftedu.core.views import StepDownView

__all__ = [
    "expired_leader_steps_down", "lease_backed", "promise_at_restart", "promise_before_ack", "promise_never_falls", "vote_carries_promise",
    "wait_covers_promises",
]  # fmt: skip


def promise_before_ack(t: Turn) -> str | None:
    """Whoever answers its leader has promised it a full lease from now, longer by the drift margin [R1]."""
    m, answered = append_received(t), append_reply(t)
    if m is None or answered is None or m.term < t.old.term or t.new.role is Role.LEADER:
        return None
    lacks = t.now + t.new.config.promise - t.new.promise_until
    if lacks <= NEARLY:
        return None
    return (
        f"node {t.node} answered {m.sender} with a promise that ends {lacks:.0f} s too early: {t.new.config.promise:.0f} s from now are due"
    )


def promise_never_falls(t: Turn) -> str | None:
    """A promise is never replaced by a shorter one [R1, U10]."""
    lost = moment(t, t.old.promise) - t.new.promise_until
    if woken(t, RESTART) or lost <= NEARLY or t.old.promise <= 0:
        return None
    return f"node {t.node} had promised to wait {lost:.0f} s longer than it does now"


def promise_at_restart(t: Turn) -> str | None:
    """A promise outlives a crash [R10]."""
    lost = moment(t, t.old.promise) - t.new.promise_until
    if not woken(t, RESTART) or lost <= NEARLY or t.old.promise <= 0:
        return None
    return f"node {t.node} had promised its leader {t.old.promise:.0f} s more when it crashed, and started again {lost:.0f} s short of it"


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
            f"node {t.node} holds its lease for {s.lease_expiry - t.now:.0f} s; what a majority answered was sent for {until - t.now:.0f} s"
        )
    return None


def expired_leader_steps_down(t: Turn) -> str | None:
    """A leader whose lease has run out, or that never got one, or whose disk is stuck, gives up [R9]."""
    if not leads_on(t):
        return None
    old, c = t.old, t.new.config
    expiry = None if old.lease is None else moment(t, old.lease)
    view = StepDownView(t.now, c.lease, expiry, moment(t, old.wait), moment(t, old.elected), c.election_max, None)
    if not must_step_down(view):
        return None
    return f"node {t.node} leads term {t.new.term} on; its lease {'has run out' if expiry is not None else 'never came'}"
