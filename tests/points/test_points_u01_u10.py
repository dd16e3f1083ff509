"""U1 to U10 of docs/protocol.md: the points of care about when a lease begins, and what a new leader waits for."""

from __future__ import annotations

from raftedu.core import clients, leadership, rules
from raftedu.core.messages import AppendReply
from raftedu.core.types import Role
from raftedu.core.views import Adopted
from tests.harness import World, require
from tests.points.undone import patched, point, undone

LEASE = 8.0


def begins_alone(view):
    return view.now + view.lease if view.lease_expiry is None else rules.lease_expiry(view)


def renewed_on_receipt(view):
    at = sorted([view.now, *(answer.received_at for answer in view.answered.values())], reverse=True)
    if len(at) < view.majority:
        return view.lease_expiry
    return max(view.lease_expiry or 0.0, at[view.majority - 1] + view.lease)


def renewed_on_sending(view):
    return None if rules.lease_expiry(view) is None else view.last_sent_at + view.lease


def hand_over_to_3(w: World) -> None:
    """Node 1 leads and is cut off; when the promises are over, node 3 is elected by node 2 and gets its lease."""
    w.elect(3, by=[2])
    w.run(w.now + 2)


@point(undone("the leader starts its first lease alone", lease_expiry=begins_alone))
def test_u1_the_first_lease_also_needs_a_majority(rules):
    w = World(3, rules=rules, lease=LEASE)
    w.elect(3, by=[2])
    w.isolate(3)  # none of its heartbeats arrives
    w.run(1.0)
    w.rise(1, 1)  # where node 2 has voted already
    w.elect(1, by=[2])
    w.run(2.0)
    require(w.holders() == [1], "node 1 has won the lease")


@point(undone("it runs from the receipt of the answer", lease_expiry=renewed_on_receipt))
def test_u2_the_lease_runs_from_the_sending_of_the_round(rules):
    w = World(3, rules=rules, lease=LEASE)
    w.elect(1)
    w.cut(1, 3)
    w.held_links.add((2, 1))
    w.run(1.0)  # node 2 answers the round of second 1; the answer is slow
    w.cut(1, 2)
    w.run(7.5)
    w.deliver(w.take(2, 1, AppendReply))
    w.drop()
    w.run(9.2)
    hand_over_to_3(w)
    require(w.holders() == [3], "the lease went over to node 3")


@point(undone("every round that is sent renews it", lease_expiry=renewed_on_sending))
def test_u3_sending_alone_renews_nothing(rules):
    w = World(3, rules=rules, lease=LEASE)
    w.elect(1)
    w.isolate(1)
    w.run(8.5)
    hand_over_to_3(w)
    require(w.holders() == [3] and w.role(1) == Role.FOLLOWER, "the lease went over to node 3, the isolated leader gave up")


def promised_what_the_leader_has_left(view):
    return max(view.promise_until, view.now + view.promise_length - 1.0)  # its lease is one heartbeat old when it sends


@point(undone("what the leader has left of its lease is promised", lease_promise=promised_what_the_leader_has_left))
def test_u4_a_full_lease_is_promised_not_what_the_leader_has_left(rules):
    w = World(3, rules=rules, lease=LEASE)
    w.elect(1)
    w.cut(1, 3)
    w.run(1.0)  # node 2 answers: the lease runs until 9
    w.isolate(1)
    w.run(8.3)
    hand_over_to_3(w)
    require(w.holders() == [3], "the lease went over to node 3")


@point(undone("the commit does not wait", may_commit_now=lambda view: True))
def test_u5_no_commit_and_no_acknowledgement_during_the_wait(rules):
    w = World(3, rules=rules, lease=LEASE, lease_policy="deferred-commit")
    w.elect(1)
    first = w.set(1, "x", "1")
    w.settle()
    w.isolate(1)
    w.elect(3, by=[2])
    second = w.set(3, "x", "2")
    w.run(4.0)
    require(w.get(1, "x").value == "1", "the old leader serves its lease to the end")
    require(w.answers[first].outcome == "success" and second not in w.answers, "a SET is acknowledged during the wait")
    w.run(10.0)
    require(w.answers[second].outcome == "success", "after the wait it is")


def valid_during_the_wait(view):
    return view.role == Role.LEADER and view.lease_expiry is not None and view.now < view.lease_expiry


@point(undone("the lease counts during the wait", lease_is_valid=valid_during_the_wait))
def test_u5_no_get_during_the_wait(rules):
    w = World(3, rules=rules, lease=LEASE)
    w.elect(1)
    w.isolate(1)
    w.elect(3, by=[2])
    w.run(4.0)
    require(w.get(3, "x").outcome == "fail", "a GET is served during the wait")
    require(w.get(1, "x").outcome == "success", "and refused by the one who may")


was_applied = clients._was_applied


def acknowledged_at_once(s, request, now):
    waiting, s.waiting = s.waiting, False
    known = was_applied(s, request, now)
    s.waiting = waiting
    return known


@point(patched("a retry does not wait", ("clients._was_applied", acknowledged_at_once)))
def test_u5_a_retried_set_is_not_acknowledged_during_the_wait_either(rules):
    w = World(3, rules=rules, lease=LEASE, lease_policy="deferred-commit")
    w.elect(1)
    w.set(1, "x", "1", client="anna", request=1)
    w.run(1.0)  # the followers have applied it
    w.isolate(1)
    w.elect(3, by=[2])
    w.settle()
    retry = w.set(3, "x", "1", client="anna", request=1)
    require(w.answers[retry].outcome == "fail", "a retried SET is acknowledged during the wait")
    require(w.answers[retry].retry_after > 7, "the client is told when to come back")
    w.run(10.0)
    require(w.answers[w.set(3, "x", "1", client="anna", request=1)].outcome == "success", "after the wait it is")


def silent_during_the_wait(s, now):
    if s.waiting and now < s.wait_until:
        s.next_heartbeat_at = now + s.config.heartbeat
    else:
        leadership_heartbeat(s, now)


leadership_heartbeat = leadership.heartbeat


@point(patched("the wait is silent", ("leadership.heartbeat", silent_during_the_wait)))
def test_u6_heartbeats_go_out_during_the_wait(rules):
    w = World(3, rules=rules, lease=20.0)
    w.elect(1)
    w.isolate(1)
    w.run(0.5)
    w.elect(3)
    w.run(21.0, elections=True)
    require(w.role(3) == Role.LEADER and w.state(3).term == 2, "the followers timed out during the wait")
    require(w.holders() == [3], "and the wait ended with a lease")


@point(
    undone("the promise is forgotten", promise_at_restart=lambda view: view.now),
    undone("only a stored promise counts, as if it had begun long ago", promise_at_restart=lambda view: view.promised),
)
def test_u7_a_restart_does_not_forget_the_promise(rules):
    w = World(3, rules=rules, lease=LEASE)
    w.run(50.0)
    w.elect(1)
    w.cut(1, 3)
    w.run(51.0)
    w.isolate(1)
    w.crash(2)
    w.restart(2)
    w.run(52.0)
    w.elect(3, by=[2])
    w.run(54.0)
    require(w.holders() == [1], "the old lease is the only one")
    w.run(60.0)
    require(w.holders() == [3], "the lease went over when the wait was over")


def test_u7_a_promise_longer_than_todays_lease_survives_the_restart():
    w = World(3, lease=20.0)
    w.elect(1)
    w.isolate(1)
    for i in (2, 3):
        w.crash(i)
        w.restart(i, lease=4.0)
    w.elect(3, by=[2])
    w.run(19.9)
    assert w.holders() == [1]
    w.run(22.0)
    assert w.holders() == [3]


def the_last_reply(view):
    counted = [ballot for ballot in view.ballots if ballot.granted]
    return max(view.now, view.promise_until, counted[-1].received_at + counted[-1].remaining)


@point(
    undone("the last reply decides", lease_wait=the_last_reply),
    undone("nobody waits", lease_wait=lambda view: view.now),
    undone("the shortest promise decides", lease_wait=lambda view: min(b.received_at + b.remaining for b in view.ballots)),
)
def test_u8_the_longest_of_all_counted_promises_is_waited_for(rules):
    w = World(5, rules=rules, lease=LEASE, no_op_on_election=False)
    w.isolate(4, 5)  # they never promise anything
    w.elect(1)  # its lease rests on 2 and 3
    w.isolate(1)
    w.heal()
    w.isolate(1)
    w.run(1.0)
    w.rise(4, 1)
    w.elect(4, by=[2, 5])  # first the voter who owes seven seconds, then the one who owes nothing
    w.run(3.0)
    require(w.holders() == [1], "only the old lease is valid during the wait")
    w.run(12.0)
    require(w.holders() == [4], "the lease went over")


@point(
    undone(
        "a leader takes the new term and stays a leader",
        on_higher_term=lambda view: Adopted(max(view.term, view.message_term), view.role, None),
    )
)
def test_u9_a_voter_that_was_leader_gives_up_first(rules):
    w = World(3, rules=rules, lease=LEASE)
    w.elect(1)
    w.run(0.5)
    w.isolate(3)
    w.run(9.5)  # the promise of node 3 is over, the lease of node 1 goes on, resting on node 2
    w.heal()
    w.cut(1, 2)
    w.cut(2, 3)
    w.elect(3, by=[1])
    w.run(10.5)
    require(w.holders() == [3], "the lease went over with its own vote")
    told = [say.event for say in w.events("lease_given_up", 1) + w.events("vote_granted", 1)]
    require(told == ["lease_given_up", "vote_granted"], "the lease is given up, then the vote is given")


def overwritten(view):
    return view.now + view.promise_length


@point(undone("a shorter promise overwrites a longer one", lease_promise=overwritten))
def test_u10_a_shorter_promise_never_overwrites_a_longer_one(rules):
    w = World(3, rules=rules, lease=20.0, no_op_on_election=False)
    w.cut(1, 3)
    w.elect(1)  # its lease of twenty seconds rests on node 2
    w.drop()
    w.isolate(1)
    for i in (2, 3):  # both come back with a shorter lease; node 3 never promised twenty seconds
        w.crash(i)
        w.hosts[i].ran_before &= i == 2
        w.restart(i, lease=4.0)
    w.rise(3, 1)
    w.elect(3, by=[2])
    w.settle()  # node 2 promises node 3 four seconds
    w.cut(2, 3)
    w.run(5.0)  # node 3 gives up
    w.heal()
    w.isolate(1)
    w.elect(3, by=[2])
    w.run(7.0)
    require(w.holders() == [1], "the first lease is the only one")
    w.run(22.0)
    require(w.holders() == [3], "and node 3 gets its own when that is over")
