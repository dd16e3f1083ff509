"""U11 to U20 of docs/protocol.md: the points of care about reads, clocks, clients, disks and logs."""

from __future__ import annotations

from raftedu.core import rules, terms
from raftedu.core.messages import AppendEntries, AppendReply, RequestVote
from raftedu.core.types import Role
from raftedu.core.views import Adopted, Result
from tests.harness import World, require
from tests.points.undone import patched, point, undone

LEASE = 8.0


@point(undone("a lease is enough", may_serve_read=lambda view: view.lease_is_valid))
def test_u11_a_get_needs_a_committed_entry_of_this_term(rules):
    w = World(3, rules=rules, lease=LEASE)
    w.elect(1)
    w.run(0.5)
    w.set(1, "x", "1")
    w.exchange(1, 2)  # committed and acknowledged; node 2 has it, and does not know that it is committed
    w.drop()
    w.crash(1)
    w.elect(2, by=[3])
    w.run(8.4)  # its heartbeats are answered during the wait
    w.cut(2, 3)
    w.run(8.6)  # the wait is over, the lease runs, its NO-OP is on no other node
    require(w.holders() == [2], "node 2 has the lease")
    require(w.get(2, "x").outcome == "fail", "a GET is served before anything of this term is committed")
    w.heal()
    w.run(10.0)
    require(w.get(2, "x").value == "1", "afterwards it sees what was acknowledged")


@point(undone("what stands in the log is applied", applicable=lambda view: view.last_log_index))
def test_u11_a_get_is_answered_from_the_state_machine_not_the_log(rules):
    w = World(3, rules=rules, lease=LEASE)
    w.elect(1)
    w.settle()
    w.set(1, "y", "1")
    w.set(1, "x", "1")  # waits in the log while the first is on its way
    w.exchange(1, 2)
    w.isolate(1)
    require(w.get(1, "x").value == "", "a GET sees what is not committed")
    w.elect(2, by=[3])
    w.run(12.0)
    require(w.get(2, "x").value == "", "the entry is gone")
    w.heal()
    w.run(14.0)


def until_the_leaders_clock_says(view):
    return max(view.promise_until, view.leader_sent_at + view.promise_length)


def end_of_promise(view):
    return view.promise_until


def the_end_times_they_sent(view):
    return max([view.now, view.promise_until, *(b.remaining for b in view.ballots if b.granted and b.term == view.term)])


def hand_over_between_clocks(w: World) -> None:
    w.elect(1, by=[2])
    w.cut(1, 3)
    w.run(1.0)
    w.isolate(1)
    w.run(8.2)  # node 3 owes nothing any more, node 2 does, and the lease of node 1 runs until 9
    w.rise(3, 1)
    w.elect(3, by=[2])
    w.run(11.0)
    require(w.holders() == [3], "the lease went over to node 3")


@point(undone("the promise ends at a moment of the leader's clock", lease_promise=until_the_leaders_clock_says))
def test_u12_a_promise_knows_nothing_of_the_leaders_clock(rules):
    clocks = {1: (100.0, 1.0), 2: (1000.0, 1.0), 3: (5000.0, 1.0)}
    hand_over_between_clocks(World(3, rules=rules, lease=LEASE, clocks=clocks, no_op_on_election=False))


@point(undone("the voter reports the end on its own clock", remaining_promise=end_of_promise, lease_wait=the_end_times_they_sent))
def test_u12_a_vote_carries_a_duration(rules):
    clocks = {1: (5000.0, 1.0), 2: (100.0, 1.0), 3: (9000.0, 1.0)}
    hand_over_between_clocks(World(3, rules=rules, lease=LEASE, clocks=clocks, no_op_on_election=False))


def a_flag(view):
    return view.role == Role.LEADER and view.lease_expiry is not None and view.now >= view.wait_until


@point(patched("a flag that a timer clears", ("node.check_deadlines", lambda s, now: None), lease_is_valid=a_flag))
def test_u13_the_clock_is_compared_at_use(rules):
    w = World(3, rules=rules, lease=LEASE)
    w.elect(1)
    w.set(1, "x", "1")
    w.settle()
    require(w.get(1, "x").value == "1", "node 1 has its lease")
    w.isolate(1)
    w.pause(1)  # no timer of it fires any more
    w.run(9.0)
    w.elect(3, by=[2])
    w.set(3, "x", "2")
    w.run(300.0)
    require(w.get(3, "x").value == "2", "the others went on")
    w.resume(1)
    require(w.get(1, "x").outcome == "fail", "the first GET after a pause is served from a lease long gone")
    require(w.role(1) == Role.FOLLOWER, "it noticed, with no timer fired")


@point(
    undone(
        "fail, since this leader did not finish it",
        client_outcome=lambda view: Result("fail") if view.stage == "appended" else rules.client_outcome(view),
    )
)
def test_u14_what_was_appended_is_unknown_not_failed(rules):
    w = World(3, rules=rules, lease=LEASE)
    w.elect(1)
    w.run(0.5)
    op = w.set(1, "x", "1")
    w.deliver(w.take(1, 2, AppendEntries))  # node 2 has it, its answer is lost
    w.isolate(1)
    w.drop()
    w.run(9.0)  # node 1 gives up and answers its client
    require(op in w.answers, "a client of a leader that gave up is told so")
    w.elect(2, by=[3])
    w.run(12.0)  # and node 2 commits it
    require(w.get(2, "x").value == "1", "the entry committed after all")
    w.invariants.finish(w)


def on_the_leader_only(view):
    return not view.is_leader or rules.apply_once(view)


@point(undone("every entry takes effect", apply_once=lambda view: True))
def test_u15_a_retry_takes_effect_once(rules):
    w = World(3, rules=rules, lease=LEASE)
    w.elect(1)
    first = w.set(1, "x", "1", client="anna", request=1)
    w.settle()
    w.set(1, "x", "2", client="bert", request=1)
    w.settle()
    retry = w.set(1, "x", "1", client="anna", request=1)  # the answer had been lost
    w.settle()
    require(w.answers[first].outcome == w.answers[retry].outcome == "success", "both attempts are acknowledged")
    require(w.get(1, "x").value == "2", "the retry undid what came after the first attempt")


@point(
    undone("every entry takes effect", apply_once=lambda view: True),
    undone("only the leader looks at its table", apply_once=on_the_leader_only),
)
def test_u15_the_table_is_in_the_state_machine_of_every_node(rules):
    w = World(3, rules=rules, lease=LEASE, no_op_on_election=False)
    w.elect(1)
    w.run(0.5)
    w.set(1, "x", "1", client="anna", request=1)
    w.deliver(w.take(1, 2, AppendEntries))
    w.drop()
    w.crash(1)
    w.elect(2, by=[3])
    w.run(9.0)
    retry = w.set(2, "x", "1", client="anna", request=1)  # no entry of this term was there: it stands in the log twice
    w.set(2, "x", "2", client="bert", request=1)
    w.run(11.0)
    require(w.answers[retry].outcome == "success", "the retry is acknowledged")
    require(w.get(2, "x").value == "2", "the last SET is read")
    require(w.state(3).kv.data == w.state(2).kv.data == {"x": "2"}, "all state machines agree")


def never_out_of_office(view):
    return False


@point(
    undone("a lease has no end", lease_is_valid=a_flag, must_step_down=never_out_of_office),
    undone("no lease is needed", may_serve_read=lambda view: view.role == Role.LEADER, must_step_down=never_out_of_office),
    undone("everybody answers", may_serve_read=lambda view: True),
)
def test_u16_a_deposed_leader_answers_while_its_lease_runs_and_refuses_right_after(rules):
    w = World(3, rules=rules, lease=LEASE)
    w.elect(1)
    w.set(1, "x", "1")
    w.run(1.0)
    w.isolate(1)
    w.elect(3, by=[2])
    w.run(8.999)  # its lease: sent at 1, until 9
    require(w.leaders() == [1, 3] and w.holders() == [1], "two leaders, one lease")
    require(w.get(1, "x").value == "1", "the deposed leader may answer")
    w.run(9.0)
    right_after = w.get(1, "x")
    w.run(9.1)
    w.set(3, "x", "2")
    w.run(11.0)
    require(w.get(3, "x").value == "2", "the new one does")
    require(w.get(1, "x").outcome == "fail", "the old one does not")
    require(right_after.outcome == "fail", "nor did it the moment its lease ended")
    require(all(w.get(i, "x").outcome == "fail" for i in (1, 2)), "followers never answer")
    w.campaign(2)
    require(w.role(2) == Role.CANDIDATE and w.get(2, "x").outcome == "fail", "candidates never answer")


reference_step_down = terms.step_down


def forgets_its_vote(s, now, why, lease_event):
    reference_step_down(s, now, why, lease_event)
    s.voted_for = None


@point(patched("stepping down clears the vote", ("leases.step_down", forgets_its_vote)))
def test_u17_stepping_down_keeps_the_vote(rules):
    w = World(3, rules=rules, lease=LEASE, no_op_on_election=False)
    w.campaign(3)
    late = w.take(3, 1, RequestVote)  # term 1; on its way for a long time
    w.drop()
    w.elect(1, by=[2])
    w.drop()
    w.isolate(1)
    w.run(20.0)
    require(w.role(1) == Role.FOLLOWER and w.state(1).term == 1, "node 1 gave up in its own term")
    w.heal()
    w.deliver(late)
    w.settle()
    require(w.role(3) == Role.CANDIDATE, "node 3 does not lead term 1 as well")


@point(
    undone("a message of the same term clears it", on_higher_term=lambda view: Adopted(max(view.term, view.message_term), view.role, None))
)
def test_u17_a_message_of_the_same_term_keeps_the_vote(rules):
    w = World(3, rules=rules, lease=LEASE)
    w.campaign(2)
    w.campaign(3)
    w.cut(2, 3)
    w.settle()  # both ask node 1 in term 1
    require(len(w.events("leader_elected")) == 1, "one of them wins")


def only_peers_count(view):
    sent = sorted((answer.sent_at for answer in view.answered.values()), reverse=True)
    return sent[view.majority - 1] + view.lease if len(sent) >= view.majority else view.lease_expiry


@point(undone("the leader does not count itself", lease_expiry=only_peers_count))
def test_u18_one_node_is_its_own_majority(rules):
    w = World(1, rules=rules, lease=LEASE)
    w.elect(1)
    w.run(30.0)
    require(w.holders() == [1] and w.state(1).term == 1, "a single node has a lease, and renews it")
    op = w.set(1, "x", "1")
    require(w.answers[op].outcome == "success" and w.get(1, "x").value == "1", "it serves its clients")
    w.crash(1)
    w.restart(1)
    w.elect(1)
    require(w.holders() == [1] and w.get(1, "x").value == "1", "it waits for nobody after a restart")


def blind_for_the_disk(view):
    return rules.must_step_down(view._replace(disk_busy_since=None))


@point(undone("it looks only at the lease", must_step_down=blind_for_the_disk))
def test_u19_a_leader_whose_disk_is_stuck_gives_up(rules):
    w = World(3, rules=rules, lease=LEASE)
    w.elect(1)
    w.run(0.5)
    w.hold_disk(1)
    w.set(1, "x", "1")
    w.run(8.4)
    require(w.holders() == [1], "a short pause is forgiven")
    w.run(8.6)
    require(w.role(1) == Role.FOLLOWER, "a leader whose disk hangs renews its lease for ever")
    w.elect(2, by=[3])
    w.run(18.0)
    require(w.holders() == [2] and w.get(2, "x").value == "1", "another one takes over")


@point(undone("all that follows is cut", merged_log=lambda view: view.entries))
def test_u20_a_late_shorter_message_removes_nothing_that_matches(rules):
    w = World(3, rules=rules, lease=LEASE)
    w.elect(1)
    w.run(0.5)
    w.cut(1, 3)
    w.set(1, "x", "1")
    late = w.copy(w.take(1, 2, AppendEntries))
    w.settle()
    op = w.set(1, "y", "1")
    w.settle()
    require(w.answers[op].outcome == "success", "acknowledged, on nodes 1 and 2")
    w.deliver(late)  # only as far as x
    w.drop_flying(2, 1, AppendReply)
    w.crash(1)
    w.elect(2, by=[3])
    w.run(12.0)
    require(w.get(2, "y").value == "1", "what was acknowledged is still there")


@point(undone("nothing is ever cut", merged_log=lambda view: view.mine + view.entries[len(view.mine) :]))
def test_u20_what_conflicts_is_removed(rules):
    w = World(3, rules=rules, lease=LEASE)
    w.elect(1)
    w.isolate(1)
    w.set(1, "x", "lost")
    w.run(9.0)
    w.elect(2)
    w.run(18.0)
    w.heal()
    w.set(2, "x", "kept")
    w.run(20.0)
    require(w.terms(1) == w.terms(2) == w.terms(3), "all logs are the same")
    require([e for e in w.node(1).log if e[2] == "SET x lost"] == [], "what conflicted is gone")
