"""The wrong-rule catalogue as data: real mistakes of students and of production systems, each one function in the place of another.

A row says what it breaks, what to tell a student, and where the mistake was seen. Only data: the tests and the command line run it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from raftedu.core import rules as right
from raftedu.core import views as v
from raftedu.core.rules import RULES, Rules
from raftedu.core.types import NO_OP, Role

__all__ = ["CATALOGUE", "WrongRule", "find"]


class WrongRule(NamedTuple):
    """One row. ``breaks`` names the invariant by which it is found; ``hurts`` the outcome, or what becomes of liveness.

    ``replaced`` has one function for most rows, several where a sound neighbour would hide the mistake. ``needs`` names what else must be
    so, empty if nothing.
    """

    id: str
    what: str
    breaks: str
    hurts: str
    hint: str
    source: str
    replaced: dict[str, Callable[[Any], Any]]
    needs: str = ""
    profile: str = ""  # the only one in which it is found in reasonable time

    @property
    def rules(self) -> Rules:
        """The table of rules with this mistake in it."""
        return RULES.but(**self.replaced)


CATALOGUE: list[WrongRule] = []


def find(id: str) -> WrongRule:
    """Return the row of this id.

    Raises
    ------
    LookupError
        There is no such row.
    """
    for row in CATALOGUE:
        if row.id == id:
            return row
    raise LookupError(f"there is no wrong rule {id!r}; the catalogue has {', '.join(row.id for row in CATALOGUE)}")


def _add(
    id: str, what: str, breaks: str, hurts: str, hint: str, source: str, needs: str = "", *, profile: str = "",
    **replaced: Callable[[Any], Any],
) -> None:  # fmt: skip
    CATALOGUE.append(WrongRule(id, what, breaks, hurts, hint, source, replaced, needs, profile))


# fmt: off
# ---- elections and votes

_add("EL-01", "votes without looking at its vote", "One Vote a Term", "Election Safety",
     "How many votes has a node in one term?", "akka-raft#47, kerala#18; §5.2",
     grant_vote=lambda w: w.candidate_term >= w.term and w.candidate_log_is_up_to_date)
_add("EL-02", "a message of the same term clears the vote", "One Vote a Term", "Election Safety",
     "When may a node forget whom it voted for?", "akka-raft#56, camunda#5356, CCF#8094, Hazelcast#16643",
     on_higher_term=lambda w: v.Adopted(w.term, w.role, None) if w.message_term == w.term else right.on_higher_term(w))
_add("EL-04", "a higher term does not clear the vote", "Term Hygiene", "liveness",
     "A new term is a new ballot.", "Students' Guide to Raft",
     on_higher_term=lambda w: v.Adopted(w.message_term, Role.FOLLOWER, w.voted_for) if w.message_term > w.term else right.on_higher_term(w))
_add("EL-05", "refuses a candidate whose term it has just taken over", "Term Hygiene", "liveness",
     "First step down, then look at the request.", "Students' Guide to Raft",
     on_higher_term=lambda w: v.Adopted(w.message_term, Role.FOLLOWER, w.voted_for if w.voted_for is not None else None)
     if w.message_term > w.term else right.on_higher_term(w))
_add("EL-07", "counts a voter twice", "Distinct Voters", "Election Safety",
     "The same reply may arrive twice.", "akka-raft#45; Yugabyte's VoteCounter",
     wins_election=lambda w: sum(b.granted and b.term == w.term for b in w.ballots) >= w.majority)
_add("EL-08", "counts votes of older terms", "Distinct Voters", "Election Safety",
     "For which term was that vote?", "akka-raft#46, #47",
     wins_election=lambda w: len({b.voter for b in w.ballots if b.granted}) >= w.majority)
_add("EL-09", "takes half of the nodes for a majority", "Distinct Voters", "Election Safety",
     "Two halves make two leaders.", "CCF: incorrect election quorum tally",
     wins_election=lambda w: len({b.voter for b in w.ballots if b.granted and b.term == w.term}) >= w.cluster_size / 2)
_add("EL-09b", "takes the majority of those who answered", "Distinct Voters", "Election Safety",
     "A majority of all nodes, not of those who are there.", "generic",
     wins_election=lambda w: 2 * len({b.voter for b in w.ballots if b.granted and b.term == w.term}) > len({b.voter for b in w.ballots}))
_add("EL-11", "campaigns in the old term", "Campaigns", "Election Safety",
     "What does a candidate do first?", "students",
     start_election=lambda w: v.Campaign(max(w.term, 1), w.node))
_add("EL-12", "does not vote for itself", "Durable Vote", "Election Safety",
     "Whose vote has a candidate given away already?", "students",
     start_election=lambda w: v.Campaign(w.term + 1, None))
_add("EL-14", "a candidate ignores the leader of its term", "Promise Before Ack", "liveness",
     "What does a candidate learn from an AppendEntries of its own term?", "influxdb#1663",
     follows_leader=lambda w: w.message_term == w.term and w.role == Role.FOLLOWER)
_add("EL-15", "a leader accepts another leader of its term", "Distinct Voters", "hides two leaders",
     "Two leaders in a term cannot be: what must have gone wrong before?", "advice to assert", "with EL-01",
     follows_leader=lambda w: w.message_term == w.term,
     wins_election=lambda w: len({b.voter for b in w.ballots if b.granted and b.term == w.term}) >= w.majority - 1)
_add("EL-17", "a candidate does not campaign again", "Campaigns", "liveness",
     "What if votes split?", "Students' Guide to Raft",
     start_election=lambda w: None if w.role == Role.CANDIDATE else right.start_election(w))

# ---- whose log is up to date

_add("UP-01", "compares lengths only", "Vote Log Check", "Leader Completeness",
     "Is a longer log always the better one?", "Students' Guide to Raft; noraft#22",
     log_is_up_to_date=lambda w: w.candidate_last_index >= w.last_log_index)
_add("UP-02", "compares terms only", "Vote Log Check", "Leader Completeness",
     "And if the last terms are the same?", "liferaft#6",
     log_is_up_to_date=lambda w: w.candidate_last_term >= w.last_log_term)
_add("UP-03", "wants both term and index to be at least its own", "Grants a Vote", "liveness",
     "A later last term wins, whatever the length.", "hashicorp#94, neo4j#6289, LeaseGuard's simulator",
     log_is_up_to_date=lambda w: w.candidate_last_term >= w.last_log_term and w.candidate_last_index >= w.last_log_index)
_add("UP-04", "wants the candidate's log to be longer", "Grants a Vote", "liveness",
     "All logs are equal at the beginning.", "students",
     log_is_up_to_date=lambda w: (w.candidate_last_term, w.candidate_last_index) > (w.last_log_term, w.last_log_index))
_add("UP-07", "compares no logs", "Vote Log Check", "Leader Completeness",
     "May anyone become leader?", "jgroups-raft#14", log_is_up_to_date=lambda w: True)

# ---- terms and messages

_add("TM-01", "ignores a higher term in replies", "Term Hygiene", "an old leader goes on until its lease ends",
     "How does an old leader learn that it is old?", "hashicorp: heartbeat() never checks resp.Term",
     on_higher_term=lambda w: v.Adopted(w.term, w.role, w.voted_for) if w.is_reply else right.on_higher_term(w))
_add("TM-02", "takes the term over and keeps the role", "Candidate Votes for Itself", "Election Safety",
     "Who elected the leader of the new term?", "students; camunda#5360",
     on_higher_term=lambda w: v.Adopted(max(w.term, w.message_term), w.role, w.voted_for if w.message_term <= w.term else None))
_add("TM-04", "accepts an older leader", "One Leader Followed", "Log Matching",
     "What comes first when an AppendEntries arrives?", "Figure 2, rule 1; CCF#5674",
     follows_leader=lambda w: w.role != Role.LEADER)
_add("TM-07", "answers with the term of the request", "Own Term in Replies", "liveness",
     "How does an old leader learn that it is old?", "redpanda#31547", reply_term=lambda w: w.request_term)
_add("TM-09", "counts its term up at every higher one it hears", "Term Hygiene", "liveness",
     "Terms are made by candidates.", "MIT 6.824 questions",
     on_higher_term=lambda w: v.Adopted(w.message_term + 1, Role.FOLLOWER, None) if w.message_term > w.term else right.on_higher_term(w))

# ---- timers

_add("TO-01", "any vote request restarts the timer", "Timer Reset", "liveness",
     "A node that cannot win must not silence those who can.", "Students' Guide to Raft",
     resets_election_timer=lambda w: w.request == "RequestVote" or w.from_leader)
_add("TO-03", "a granted vote does not restart the timer", "Timer Reset", "a delay",
     "Give whom you voted for the time to win.", "akka#43, hashicorp#91, jgroups#45",
     resets_election_timer=lambda w: w.from_leader)
_add("TO-05", "the same timeout for all", "Random Timeouts", "liveness",
     "Why does the paper draw timeouts at random?", "braft#464, EastGuard#120",
     election_timeout_range=lambda w: (w.election_min, w.election_min))
_add("TO-08", "the first heartbeat comes one interval late", "Heartbeat at Once", "a delay",
     "Who tells the others that the election is over?", "students",
     become_leader=lambda w: right.become_leader(w)._replace(heartbeat_at_once=False))

# ---- the disk

_add("PE-01", "votes before the vote is on disk", "Durable Vote", "Election Safety",
     "What does a node know of its vote after a crash?", "NodeDB#161, robustmq#2039, cornerstone#65",
     must_persist_first=lambda w: w.message not in ("AppendEntries", "VoteReply"))
_add("PE-02", "campaigns before its term is on disk", "Durable Vote", "Election Safety",
     "What does a node know of its term after a crash?", "raft-java#57",
     must_persist_first=lambda w: w.message not in ("AppendEntries", "RequestVote"))
_add("PE-05", "acknowledges entries before they are on disk", "Durable Acknowledgement", "Leader Completeness",
     "What does an acknowledgement promise?", "Dragonboat#201, NATS#7567",
     must_persist_first=lambda w: w.message not in ("AppendEntries", "AppendReply"))
_add("PE-06", "counts what its own disk does not hold yet", "Commit Justified", "State Machine Safety",
     "Does the leader's own copy survive a crash?", "d-engine#446",
     leader_commit_index=lambda w: right.leader_commit_index(w._replace(match_index=_with_own_log(w))))

# ---- the follower's log

_add("AE-01", "checks nothing for heartbeats", "Sound Acknowledgement", "State Machine Safety",
     "A heartbeat is an AppendEntries like any other.", "Students' Guide to Raft",
     accepts_append=lambda w: w.entry_count == 0 or right.accepts_append(w))
_add("AE-02", "checks the index, not the term", "Sound Acknowledgement", "Log Matching",
     "The same index may hold entries of two terms.", "Figure 2, rule 2",
     accepts_append=lambda w: w.term_at_prev is not None)
_add("AE-04", "always cuts after the entry before", "Cuts Only Conflicts", "Leader Completeness",
     "A late, shorter message may arrive.", "Students' Guide to Raft; akka#66; CCF#5991", merged_log=lambda w: w.entries)
_add("AE-05", "never cuts", "Sound Acknowledgement", "Log Matching",
     "What becomes of an entry that conflicts?", "Figure 2, rule 3", merged_log=lambda w: w.mine + w.entries[len(w.mine):])
_add("AE-07", "appends all that came once more", "Sound Acknowledgement", "Log Matching",
     "A message may arrive twice.", "barge#74", merged_log=lambda w: w.mine + w.entries)
_add("AE-09", "acknowledges its whole log", "Sound Acknowledgement", "State Machine Safety",
     "What lies beyond the message was not compared.", "CCF#6016",
     acknowledged_index=lambda w: w.last_log_index if w.accepted else None)
_add("AE-10", "says yes although the check failed", "Sound Acknowledgement", "State Machine Safety",
     "After `reply false` comes `return`.", "Students' Guide to Raft",
     acknowledged_index=lambda w: w.prev_log_index + w.entry_count)

# ---- what the leader knows

_add("RP-01", "keeps what it knew as an earlier leader", "Match Is Sound", "State Machine Safety",
     "Followers may have changed their logs since.", "LeaseGuard's simulator; students",
     become_leader=lambda w: right.become_leader(w)._replace(match_index={**right.become_leader(w).match_index, **w.match_index}))
_add("RP-03", "counts what was appended since the message was sent", "Match Is Sound", "State Machine Safety",
     "What does this reply answer?", "Students' Guide to Raft; adjoint#86",
     after_append_reply=lambda w: v.Progress(w.last_log_index + 1, w.last_log_index) if w.success else right.after_append_reply(w))
_add("RP-04", "a late reply lowers what a follower holds", "Match Never Falls", "liveness",
     "Replies may overtake each other.", "raft.tla#18, PySyncObj",
     after_append_reply=lambda w: v.Progress(w.acknowledged + 1, w.acknowledged) if w.success else right.after_append_reply(w))
_add("RP-05", "a late refusal makes it send what is known to be there", "Next Above Match", "liveness",
     "What is acknowledged need not be asked again.", "little-raft#18, Truxify#8670, CCF#5991",
     after_append_reply=lambda w: right.after_append_reply(w)
     if w.success else v.Progress(max(1, min(w.prev_log_index, w.next_index - 1)), w.match_index))
_add("RP-07", "never sends the last entry", "Sends What Is Missing", "liveness",
     "`<` or `<=`?", "copycat#92", 
     entries_to_send=lambda w: (w.next_index, min(w.last_log_index - 1, w.next_index + w.batch_size - 1)))
_add("RP-10", "a new leader deletes what is not committed", "Leader Append-Only", "Leader Completeness",
     "The entry may be committed, and the new leader does not know it.", "students",
     become_leader=lambda w: right.become_leader(w)._replace(keep_log_to=w.commit_index))

# ---- commit and apply

_add("CM-01", "commits entries of older terms by counting", "Commit Justified", "Leader Completeness",
     "Figure 8 of the paper.", "logcabin#44, canonical#220, async-raft#108, PySyncObj#169, NATS#7955, LeaseGuard's simulator",
     leader_commit_index=lambda w: max(w.commit_index, sorted(w.match_index.values(), reverse=True)[w.majority - 1]))
_add("CM-02", "is off by one", "Commit Justified", "State Machine Safety",
     "Does a majority hold that very entry?", "students",
     leader_commit_index=lambda w: min(w.last_log_index, right.leader_commit_index(w) + 1))
_add("CM-04", "stops at the first entry of an older term", "Commits What It Can", "liveness",
     "Look further up.", "raftos#30", leader_commit_index=lambda w: _stops_early(w))
_add("CM-05", "a follower commits as far as the leader says", "Follower Commit", "State Machine Safety",
     "How much of the log has this message compared?", "Students' Guide to Raft; copycat#265, scylla#9965, etcd#1203, tinykv#191",
     "a pair: a leader that begins with index 1, which is right and slow, and sends an entry at a time", profile="long tails",
     become_leader=lambda w: right.become_leader(w)._replace(next_index=dict.fromkeys(w.peers, 1)),
     follower_commit_index=lambda w: max(w.commit_index, min(w.leader_commit, w.last_log_index)))
_add("CM-07", "the commit index may go down", "Commit Never Falls", "commit goes back",
     "Messages may overtake each other.", "raft.tla#19, #22", follower_commit_index=lambda w: min(w.leader_commit, w.last_new_index))
_add("CM-08", "commits what one node holds", "Commit Justified", "State Machine Safety",
     "One copy is lost with one node.", "students",
     leader_commit_index=lambda w: max([w.commit_index, *(i for i in w.match_index.values() if w.term_at(i) == w.term)]))
_add("CM-10", "a follower commits only when the leader has nothing older", "Follower Learns Commits", "liveness",
     "Followers take the leader's word.", "Ratis-1161",
     follower_commit_index=lambda w: w.commit_index if w.leader_commit < w.last_new_index else right.follower_commit_index(w))
_add("AP-01", "applies what is not committed", "Applies What Is Committed", "State Machine Safety",
     "An entry may vanish again.", "RedisRaft", applicable=lambda w: w.last_log_index)
_add("AP-04", "applies an entry when the next one is there", "Applies All", "liveness",
     "And if nothing follows?", "Students' Guide to Raft",
     applicable=lambda w: w.commit_index if w.last_log_index > w.commit_index else w.last_applied)

# ---- no-op and clients

_add("NO-01", "a new leader appends no NO-OP", "NO-OP First", "liveness",
     "What commits the entries that came before?", "RedisRaft#18, #19, adjoint#54, dledger#305",
     become_leader=lambda w: right.become_leader(w)._replace(append_no_op=False))
_add("CL-01", "does every request, a retry too", "Exactly Once", "a SET takes effect twice",
     "A client asks again when no answer comes.", "§8; RedisRaft#52; etcd#18424", apply_once=lambda w: True)
_add("CL-02", "only the leader knows what was done", "Exactly Once", "state machines differ",
     "The table of requests is part of the state machine.", "curvine#676",
     apply_once=lambda w: not w.is_leader or right.apply_once(w))
_add("CL-04", "answers FAIL for what was appended", "Fail Means Never", "an aborted write that took effect",
     "Can it still be committed?", "RedisRaft#23, redpanda#5090",
     client_outcome=lambda w: v.Result("fail") if w.stage == "appended" else right.client_outcome(w))
_add("CL-07", "anyone takes a SET", "Leader Takes Writes", "Log Matching",
     "Who gives an entry its index?", "RedisRaft#13", accepts_client_write=lambda w: True)
_add("CL-09", "a key that does not exist is an error", "Read Answers the Value", "the answer that was asked for",
     "What is the value of a key that nobody has set?", "students",
     client_outcome=lambda w: v.Result("fail") if w.stage == "read" and not w.found else right.client_outcome(w))

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
_add("LS-17b", "steps down at every look at the clock", "Something Happens", "liveness",
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


# fmt: on


def _with_own_log(w: v.CommitView) -> dict[int, int]:
    """Take the smallest for the leader's own: with its disk behind, it is."""
    me = min(w.match_index, key=lambda node: (w.match_index[node], -node))
    return {**w.match_index, me: w.last_log_index}


def _stops_early(w: v.CommitView) -> int:
    index = w.commit_index
    while index < w.last_log_index and w.term_at(index + 1) == w.term:
        if sum(match > index for match in w.match_index.values()) < w.majority:
            break
        index += 1
    return index
