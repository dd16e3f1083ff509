"""The lease: promises given as a follower, the wait of a new leader, renewal, expiry. Rules R1 to R10 decide, here it is done."""

from __future__ import annotations

from itertools import takewhile

from raftedu.core.state import State, say, tell
from raftedu.core.terms import step_down
from raftedu.core.types import Entry, NodeId, Seconds, make
from raftedu.core.views import LeaseView, PromiseView, RemainingView, RestartView, Round, StepDownView, ValidView, WaitView

__all__ = ["check_lease", "lease_deadline", "lease_is_valid", "promise", "promise_at_restart", "remaining", "renew", "start_wait"]


def promise_at_restart(s: State, now: Seconds) -> None:
    """Begin with the promise that an earlier life of this node may have given [R10]."""
    c = s.config
    s.promise_until = s.rules.promise_at_restart(RestartView(now, s.ran_before, s.promised, c.promise, c.lease, len(c.nodes)))


def promise(s: State, leader: NodeId, entries: tuple[Entry, ...], sent_at: Seconds, now: Seconds, msg: str) -> None:
    """Promise the leader to help no other while its lease may run, before it is answered [R1]."""
    old, length = s.promise_until, s.promise_length
    if not s.has_lease:
        if s.promised and now >= old:
            s.promised = 0.0  # a promise of an earlier life, when this cluster had leases, is over for good
        return
    s.promise_until = s.rules.lease_promise(make(PromiseView, (old, now, length, s.config.lease, entries, sent_at)))
    # Saved once in a lifetime, before the first reply: a later life may run with a shorter lease [R10].
    if s.promised < length:
        s.promised = length
    if s.listening:
        tell(s, "lease_promised", leader, None, {"old_until": old, "until": s.promise_until, "msg": msg, "now": now})


def remaining(s: State, now: Seconds) -> Seconds:
    """Return what this node reports with its vote [R3]."""
    return s.rules.remaining_promise(RemainingView(s.promise_until, now, s.config.promise))


def start_wait(s: State, now: Seconds) -> None:
    """Compute how long a leader just elected must wait, and begin without a lease [R4]."""
    s.elected_at = now
    s.wait_until = s.rules.lease_wait(WaitView(now, s.promise_until, s.term, tuple(s.ballots)))
    s.waiting = True
    s.lease_expiry, s.lease_told = None, False
    s.rounds.clear()
    s.answered.clear()


def lease_is_valid(s: State, now: Seconds) -> bool:
    """Return whether this node holds a valid lease at this very moment [R6]."""
    return s.rules.lease_is_valid(ValidView(s.role, now, s.wait_until, s.lease_expiry))


def renew(s: State, now: Seconds) -> None:
    """Let the rule `lease_expiry` look at the rounds and their answers, and say what came of it [R2]."""
    if not s.has_lease:
        return
    sent_at = s.rounds.get(s.round, s.elected_at)
    view = make(LeaseView, (
        s.config.lease, s.lease_expiry, dict(s.answered), s.majority, now, sent_at, s.wait_until, s.kappa,
    ))  # fmt: skip
    old, s.lease_expiry = s.lease_expiry, s.rules.lease_expiry(view)
    if not s.lease_told:
        if lease_is_valid(s, now):
            s.lease_told = True
            _say_lease(s, "lease_acquired", None, now)
    elif s.lease_expiry != old:
        _say_lease(s, "lease_renewed", old, now)


def _say_lease(s: State, event: str, old: Seconds | None, now: Seconds) -> None:
    if not s.listening:
        return
    by_age = sorted(s.answered.items(), key=lambda item: -item[1].sent_at)[: s.config.majority - 1]
    basis = min([now, *(round_.sent_at for _, round_ in by_age)])
    ackers = [[node, round_.msg, round_.sent_at] for node, round_ in by_age]
    say(s, event, old_expiry=old, expiry=s.lease_expiry, basis_sent_at=basis, ackers=ackers, now=now)


def note_answer(s: State, follower: NodeId, round_: int, now: Seconds, msg: str) -> None:
    """Remember the latest round that a follower answered in this term; what renews a lease is when it was *sent* [U2]."""
    sent_at = s.rounds.get(round_)
    known = s.answered.get(follower)
    if sent_at is not None and (known is None or round_ > known.number):
        s.answered[follower] = make(Round, (sent_at, now, msg, round_))


def forget_old_rounds(s: State, now: Seconds) -> None:
    """Forget rounds that can renew nothing any more; they are in the order of sending."""
    # Looked up first and removed after: to ask a dict for its first key again and again would pass over all that was removed.
    for round_ in list(takewhile(lambda round_: s.rounds[round_] + 2 * _patience(s) <= now, s.rounds)):
        del s.rounds[round_]


def lease_deadline(s: State, now: Seconds) -> Seconds:
    """Return when this leader has to look again whether it must give up [R9]."""
    if not s.has_lease:
        deadline = _heard_at(s, now) + s.config.election_max
    elif s.lease_expiry is not None:
        deadline = s.lease_expiry
    else:
        deadline = max(s.wait_until, s.elected_at) + s.config.election_max
    return min(deadline, s.unsynced[0].since + _patience(s)) if s.unsynced else deadline


def _patience(s: State) -> Seconds:
    """Return how long an answer, or the own disk, may take until nothing rests on it any more."""
    return s.config.lease if s.has_lease else s.config.election_max


def _heard_at(s: State, now: Seconds) -> Seconds:
    """Return when the latest rounds that a majority has answered were sent; the election if there is none in this term."""
    sent = sorted([now, *(round_.sent_at for round_ in s.answered.values())], reverse=True)
    return max(s.elected_at, sent[s.majority - 1]) if len(sent) >= s.majority else s.elected_at


def check_lease(s: State, now: Seconds) -> bool:
    """Step down if the rule says so; return whether this leader goes on [R9]."""
    busy_since = s.unsynced[0].since if s.unsynced else None
    c = s.config
    heard_at = s.elected_at if s.has_lease else _heard_at(s, now)
    view = make(StepDownView, (
        now, c.lease, s.lease_expiry, s.wait_until, s.elected_at, c.election_max, busy_since, c.lease_policy, heard_at,
    ))  # fmt: skip
    if not s.rules.must_step_down(view):
        return True
    if busy_since is not None and now >= busy_since + _patience(s):
        why = f"its disk has been busy for {now - busy_since:.3f} s"
    elif s.lease_expiry is None and heard_at == s.elected_at:
        why = f"no majority answered within {now - s.elected_at:.3f} s of its election"
    elif s.lease_expiry is None:
        why = f"no majority answered a round sent after {heard_at:.3f}"
    else:
        why = f"no majority answered a round sent after {s.lease_expiry - c.lease:.3f}"
    step_down(s, now, why, "lease_expired")
    return False
