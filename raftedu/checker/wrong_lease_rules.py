"""Wrong rules of the lease and of reads under it: rows LS and RD of the catalogue."""

from __future__ import annotations

from functools import partial
from time import sleep

from raftedu.checker.wrong_rule import WrongRule, add
from raftedu.core import rules as right
from raftedu.core import views as v
from raftedu.core.types import NO_OP, Role

__all__ = ["ROWS"]

ROWS: list[WrongRule] = []
_add = partial(add, ROWS)

# fmt: off
# ---- lease and reads

_add("LS-01", "the lease counts from the acknowledgement", "Lease From a Send", "Lease Disjoint",
     "When did the follower begin to count?", "hashicorp#108",
     lease_expiry=lambda w: right.lease_expiry(
         w._replace(answered={node: r._replace(sent_at=r.received_at) for node, r in w.answered.items()})))
_add("LS-02", "the lease is renewed by sending", "Lease From a Send", "Lease Disjoint",
     "What does a leader that is cut off know?", "the seed", lease_expiry=lambda w: w.last_sent_at + w.lease)
_add("LS-03", "the first lease needs no answer", "Lease From a Send", "Lease Disjoint",
     "Who has promised anything yet?", "the seed",
     lease_expiry=lambda w: right.lease_expiry(w) if w.lease_expiry is not None else max(w.now, w.wait_until) + w.lease)
_add("LS-06", "acknowledges an older leader, in its own term", "One Leader Followed", "Lease Disjoint",
     "Whose promise is that?", "LeaseGuard's simulator", "a pair",
     follows_leader=lambda w: w.role != Role.LEADER, reply_term=lambda w: w.request_term)
_add("LS-07", "promises until a moment of the leader's clock", "Promise Before Ack", "Lease Disjoint",
     "Whose clock is that?", "the assignment's text", lease_promise=lambda w: max(w.promise_until, w.leader_sent_at + w.promise_length))
_add("LS-08", "a shorter promise replaces a longer one", "Promise Before Ack", "Lease Disjoint",
     "A promise is a promise.", "Yugabyte D42229", lease_promise=lambda w: w.now + w.promise_length / 2)
_add("LS-10", "reports nothing of its promise", "Vote Carries Promise", "Lease Disjoint",
     "What must the new leader know?", "LeaseGuard's simulator", remaining_promise=lambda w: 0.0)
_add("LS-10b", "forgets its own promise", "Wait Covers Promises", "Lease Disjoint",
     "The candidate may have promised too.", "LeaseGuard's simulator",
     lease_wait=lambda w: right.lease_wait(w._replace(promise_until=w.now)))
_add("LS-11", "does not wait", "Wait Covers Promises", "Lease Disjoint",
     "The old leader may still hold its lease.", "LeaseGuard's simulator", lease_wait=lambda w: w.now)
_add("LS-11b", "waits for the last vote only", "Wait Covers Promises", "Lease Disjoint",
     "Which of the votes reported the most?", "LeaseGuard's simulator",
     lease_wait=lambda w: w.ballots[-1].received_at + w.ballots[-1].remaining)
_add("LS-11c", "waits for the shortest promise", "Wait Covers Promises", "Lease Disjoint",
     "Which of the votes reported the most?", "LeaseGuard's simulator",
     lease_wait=lambda w: min(b.received_at + b.remaining for b in w.ballots if b.granted))
_add("LS-11d", "waits only for those who refused", "Wait Covers Promises", "Lease Disjoint",
     "Whose promise can be to the old leader?", "LeaseGuard's simulator",
     lease_wait=lambda w: max([w.now, w.promise_until, *(b.received_at + b.remaining for b in w.ballots if not b.granted)]))
_add("LS-12", "commits during the wait", "Commit Justified", "No Stale Read",
     "The old leader still answers.", "LeaseGuard's CommitEntry guard", "policy deferred-commit", may_commit_now=lambda w: True)
_add("LS-13", "forgets its promise in a crash", "Promise at Restart", "Lease Disjoint",
     "What may a node have promised before it crashed?", "CockroachDB persists it", promise_at_restart=lambda w: w.now)
_add("LS-17", "never steps down", "Expired Leader Steps Down", "clients stay with a dead leader",
     "What is a leader without a majority?", "jraft#34, etcd/raft#166", must_step_down=lambda w: False)
_add("LS-17b", "steps down at every look at the clock", "Valid Leader Stays", "liveness",
     "May a leader with a valid lease give up?", "students", must_step_down=lambda w: True)
_add("LS-19", "promises only when there are entries", "Promise Before Ack", "Lease Disjoint",
     "An idle leader renews its lease too.", "the seed; tikv hibernate#6427",
     lease_promise=lambda w: right.lease_promise(w) if any(e.op == NO_OP for e in w.entries) else w.promise_until)
_add("LS-23", "promises without the drift margin", "Promise Before Ack", "Lease Disjoint",
     "Two clocks may run at different rates.", "Chubby", lease_promise=lambda w: max(w.promise_until, w.now + w.lease))
_add("LS-23b", "starts again without the drift margin", "Promise at Restart", "Lease Disjoint",
     "Two clocks may run at different rates.", "Chubby",
     promise_at_restart=lambda w: w.now + w.lease if w.ran_before else w.now)
_add("LS-23c", "the leader takes the margin for itself", "Lease From a Send", "Lease Disjoint",
     "Whose time must be longer?", "Chubby", lease_expiry=lambda w: right.lease_expiry(w._replace(lease=w.lease * w.kappa)))
_add("RD-01", "answers a GET without a lease", "Read Under Lease", "No Stale Read",
     "Is it still the leader?", "yb#16", "a pair: a leader that does not notice that its lease is over",
     must_step_down=lambda w: False, may_serve_read=lambda w: w.role == Role.LEADER and w.commit_term == w.term)
_add("RD-02", "answers before it has committed anything of its term", "Read Under Lease", "No Stale Read",
     "What does a new leader know of commits?", "etcd#7331, tikv#9239, RedisRaft#19", may_serve_read=lambda w: w.lease_is_valid)
_add("RD-05", "anyone answers a GET", "Read Under Lease", "No Stale Read",
     "How old may a follower's state be?", "generic", may_serve_read=lambda w: True)
_add("RD-04", "a GET sees what is not committed yet", "Applies What Is Committed", "Leader Completeness",
     "Is the end of the log what a client may see?", "the seed; RedisRaft#23", "a pair: only what is applied can be read here",
     applicable=lambda w: w.last_log_index, may_serve_read=lambda w: w.lease_is_valid)

# ---- more of the same kinds

_add("LS-14b", "a lease is a flag, set when it is got", "Lease by the Clock", "Lease Disjoint",
     "Who takes the flag back while the node is stopped?", "tikv#964, jraft#34",
     "a pair: a leader that does not notice that its lease is over",
     lease_is_valid=lambda w: w.role == Role.LEADER and w.lease_expiry is not None and w.now >= w.wait_until,
     must_step_down=lambda w: False)
_add("LS-10c", "reports a whole promise, whatever is left", "Reports No More Than Owed", "a wait for nothing",
     "What is left of a promise that is over?", "LeaseGuard's simulator", "a bound: safe and slow",
     remaining_promise=lambda w: w.promise_length)
_add("LS-10d", "reports a moment of its own clock", "Reports No More Than Owed", "a wait without end",
     "Whose clock is that?", "students", "a bound, and then Wait Ends", remaining_promise=lambda w: w.promise_until)
_add("LS-11e", "adds all promises up", "Wait Ends", "a wait without end",
     "They run at the same time.", "students",
     lease_wait=lambda w: w.now + sum(b.remaining for b in w.ballots) + max(0.0, w.promise_until - w.now))
_add("LS-11f", "waits for its own promise only", "Wait Covers Promises", "Lease Disjoint",
     "Whom did the voters promise?", "students", lease_wait=lambda w: max(w.now, w.promise_until))
_add("LS-11g", "waits until a majority of the promises is over", "Wait Covers Promises", "Lease Disjoint",
     "One promise is enough to keep the old lease alive.", "students", lease_wait=lambda w: _median_promise(w))
_add("LS-26", "sleeps until the wait is over", "A Rule Only Decides", "no heartbeats, another election",
     "What else must a leader do meanwhile?", "the seed", "the first look at a rule, before any search", lease_wait=lambda w: _sleeps(w))
_add("LS-31", "takes the latest answer for a majority's", "Lease From a Send", "Lease Disjoint",
     "How many must have answered that round?", "students",
     lease_expiry=lambda w: right.lease_expiry(w) if not w.answered else max(r.sent_at for r in w.answered.values()) + w.lease)
_add("LS-32", "a lease from now on, once a majority has ever answered", "Lease From a Send", "Lease Disjoint",
     "When was that?", "students", lease_expiry=lambda w: w.now + w.lease if len(w.answered) + 1 >= w.majority else w.lease_expiry)
_add("LS-33", "adds a lease at every answer", "Lease From a Send", "Lease Disjoint",
     "Two answers to one round are no two leases.", "students",
     lease_expiry=lambda w: w.lease_expiry + w.lease if w.lease_expiry is not None else right.lease_expiry(w))
_add("LS-34", "counts itself twice", "Lease From a Send", "Lease Disjoint",
     "How many others must have answered?", "students",
     lease_expiry=lambda w: right.lease_expiry(w._replace(majority=w.majority - 1)))
_add("LS-35", "wants all followers to have answered", "Lease Is Renewed", "liveness",
     "How many may be down?", "students",
     lease_expiry=lambda w: min([w.now, *(r.sent_at for r in w.answered.values())]) + w.lease if w.answered else w.lease_expiry)
_add("LS-36", "never has a lease", "Lease Is Renewed", "liveness",
     "What do the answers say?", "students", lease_expiry=lambda w: None)
_add("LS-37", "a lease is valid in the wait too", "Lease by the Clock", "Lease Disjoint",
     "Who may still hold one?", "students",
     lease_is_valid=lambda w: w.role == Role.LEADER and w.lease_expiry is not None and w.now < w.lease_expiry)
_add("LS-38", "every leader holds a lease", "Lease by the Clock", "Lease Disjoint",
     "What if nobody answers it?", "students", lease_is_valid=lambda w: w.role == Role.LEADER)
_add("LS-39", "a lease that was never got is valid", "Lease by the Clock", "Lease Disjoint",
     "What does None mean?", "students",
     lease_is_valid=lambda w: w.role == Role.LEADER and w.wait_until <= w.now and (w.lease_expiry is None or w.now < w.lease_expiry))
_add("LS-40", "promises again only when the last promise is over", "Promise Before Ack", "Lease Disjoint",
     "What did the leader renew by this answer?", "students",
     lease_promise=lambda w: w.promise_until if w.promise_until > w.now else w.now + w.promise_length)
_add("LS-41", "promises nothing for a heartbeat without entries", "Promise Before Ack", "Lease Disjoint",
     "An idle leader renews its lease too.", "students",
     lease_promise=lambda w: right.lease_promise(w) if w.entries else w.promise_until)
_add("LS-42", "a promise without end", "Promises No More Than Due", "waits that grow",
     "From when on does it count?", "students", "a bound: safe and slow",
     lease_promise=lambda w: max(w.promise_until, w.now) + w.promise_length)
_add("LS-43", "a promise may be replaced by a shorter one", "Promise Never Falls", "Lease Disjoint",
     "The lease may have been longer in an earlier life.", "Yugabyte D42229", lease_promise=lambda w: w.now + w.promise_length)
_add("LS-44", "starts again with today's promise, whatever it promised before", "Promise at Restart", "Lease Disjoint",
     "The lease may have been longer in an earlier life.", "students",
     promise_at_restart=lambda w: w.now + w.promise_length if w.ran_before else w.now)
_add("LS-45", "takes the stored promise for a moment", "Promise at Restart", "Lease Disjoint",
     "A clock may begin anew with the node.", "students", promise_at_restart=lambda w: max(w.now, w.promised))
_add("LS-46", "gives up only in the look after its lease is over", "Expired Leader Steps Down", "clients stay with a dead leader",
     "`>` or `>=`?", "students",
     must_step_down=lambda w: right.must_step_down(w) and w.now != w.lease_expiry)
_add("LS-47", "waits for a first lease for ever", "Expired Leader Steps Down", "clients stay with a dead leader",
     "What if no majority ever answers?", "students", must_step_down=lambda w: w.lease_expiry is not None and w.now >= w.lease_expiry)
_add("LS-48", "gives up if it has no lease yet", "Valid Leader Stays", "liveness",
     "Who could have answered by now?", "students", must_step_down=lambda w: w.lease_expiry is None or w.now >= w.lease_expiry)
_add("LS-49", "goes on with a disk that is stuck", "Expired Leader Steps Down", "writes hang, and nobody else may lead",
     "Heartbeats need no disk.", "CRDB#136834, Yugabyte#32630",
     must_step_down=lambda w: right.must_step_down(w._replace(disk_busy_since=None)))
_add("LS-50", "gives up at every write", "Valid Leader Stays", "liveness",
     "How long may a write take?", "students", must_step_down=lambda w: w.disk_busy_since is not None or right.must_step_down(w))
_add("RD-31", "answers if what is committed is of its own term or an older one", "Read Under Lease", "No Stale Read",
     "Which entry tells a new leader what is committed?", "students",
     may_serve_read=lambda w: w.lease_is_valid and w.commit_term <= w.term and w.last_applied >= w.commit_index)
_add("RD-32", "a lease or an entry of its own, either is enough", "Read Under Lease", "No Stale Read",
     "What does each of the two say?", "students", may_serve_read=lambda w: w.lease_is_valid or w.commit_term == w.term)
_add("RD-33", "answers in the wait", "Read Under Lease", "No Stale Read",
     "Who may still be writing?", "students", "a pair: a leader that commits in its wait",
     may_serve_read=lambda w: w.role == Role.LEADER and w.lease_expiry is not None and w.now < w.lease_expiry and w.commit_term == w.term,
     may_commit_now=lambda w: True)
_add("RD-34", "never answers", "GET Is Answered", "liveness",
     "What is a lease for?", "students", may_serve_read=lambda w: False)
# fmt: on


def _median_promise(w: v.WaitView) -> float:
    owed = sorted([w.promise_until, *(b.received_at + b.remaining for b in w.ballots if b.granted and b.term == w.term)])
    return max(w.now, owed[len(owed) // 2])


def _sleeps(w: v.WaitView) -> float:
    sleep(0.3)
    return w.now
