"""Wrong rules of elections, terms, timers and the disk: rows EL, UP, TM, TO and PE of the catalogue."""

from __future__ import annotations

from functools import partial

from raftedu.checker.wrong_rule import WrongRule, add
from raftedu.core import rules as right
from raftedu.core import views as v
from raftedu.core.types import Role

__all__ = ["ROWS"]

ROWS: list[WrongRule] = []
_add = partial(add, ROWS)

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

# ---- more of the same kinds

_add("EL-31", "counts every answer, a no too", "Distinct Voters", "Election Safety",
     "What did the voter say?", "students",
     wins_election=lambda w: len({b.voter for b in w.ballots if b.term == w.term}) >= w.majority)
_add("EL-32", "wants more than a majority", "Takes Office", "liveness",
     "How many of three are a majority?", "students",
     wins_election=lambda w: len({b.voter for b in w.ballots if b.granted and b.term == w.term}) > w.majority)
_add("EL-33", "takes one refusal for the end", "Takes Office", "liveness",
     "How many of three may say no?", "students",
     wins_election=lambda w: all(b.granted for b in w.ballots) and right.wins_election(w))
_add("EL-34", "changes its vote to the candidate with the lower id", "One Vote a Term", "Election Safety",
     "When may a node change its mind?", "students",
     grant_vote=lambda w: w.candidate_term >= w.term and w.candidate_log_is_up_to_date
     and (w.voted_for is None or w.candidate <= w.voted_for))
_add("EL-35", "a candidate votes for others too", "One Vote a Term", "Election Safety",
     "Whose vote has a candidate given away already?", "students",
     grant_vote=lambda w: right.grant_vote(w._replace(voted_for=None) if w.role == Role.CANDIDATE else w))
_add("EL-36", "`if not voted_for`: node 0 is nobody", "Any Id Is Somebody", "Election Safety",
     "What is `not 0`?", "students; PE-04 of the runtime is the same in a file",
     grant_vote=lambda w: w.candidate_term >= w.term and (not w.voted_for or w.voted_for == w.candidate) and w.candidate_log_is_up_to_date)
_add("EL-37", "campaigns once and never again", "Campaigns", "liveness",
     "What if nobody wins?", "students",
     start_election=lambda w: right.start_election(w) if w.term == 0 else None)
_add("UP-31", "compares lengths first, then terms", "Vote Log Check", "Leader Completeness",
     "Which of the two is looked at first?", "students",
     log_is_up_to_date=lambda w: (w.candidate_last_index, w.candidate_last_term) >= (w.last_log_index, w.last_log_term))
_add("UP-32", "a later term or a longer log, either is enough", "Vote Log Check", "Leader Completeness",
     "What if the term is older and the log longer?", "students",
     log_is_up_to_date=lambda w: w.candidate_last_term > w.last_log_term or w.candidate_last_index >= w.last_log_index)
_add("UP-33", "compares the candidate's term, not that of its last entry", "Vote Log Check", "Leader Completeness",
     "Whoever campaigns has a high term.", "students",
     grant_vote=lambda w: right.grant_vote(w._replace(candidate_log_is_up_to_date=w.candidate_term >= w.last_log_term)))
_add("TM-08", "answers in the term of the request, and takes every no for a conflict of logs", "Own Term in Replies", "liveness",
     "A no because of the term is no conflict.", "Students' Guide to Raft; butane#32",
     reply_term=lambda w: w.request_term,
     after_append_reply=lambda w: right.after_append_reply(w) if w.success
     else v.Progress(max(w.match_index + 1, w.next_index - 1), w.match_index))
_add("TM-31", "takes over lower terms too", "Term Hygiene", "Election Safety",
     "Terms only grow.", "students",
     on_higher_term=lambda w: v.Adopted(w.message_term, Role.FOLLOWER, None) if w.message_term != w.term
     else v.Adopted(w.term, w.role, w.voted_for))
_add("TM-32", "a leader keeps its term and its office", "Term Hygiene", "an old leader goes on until its lease ends",
     "Who is the leader of the higher term?", "students",
     on_higher_term=lambda w: v.Adopted(w.term, w.role, w.voted_for) if w.role == Role.LEADER else right.on_higher_term(w))
_add("TM-33", "goes back to follower at every message of its own term", "Something Happens", "liveness",
     "A candidate hears of its own term all the time.", "students",
     on_higher_term=lambda w: v.Adopted(w.message_term, Role.FOLLOWER, None if w.message_term > w.term else w.voted_for)
     if w.message_term >= w.term else v.Adopted(w.term, w.role, w.voted_for))
_add("TO-31", "a refused candidate restarts the timer as well", "Timer Reset", "liveness",
     "A node that cannot win must not silence those who can.", "students",
     resets_election_timer=lambda w: True)
_add("TO-32", "waits a thousand times too long", "Random Timeouts", "liveness",
     "How long is a cluster without a leader?", "students; milliseconds for seconds",
     election_timeout_range=lambda w: (w.election_min * 1000, w.election_max * 1000))
_add("TO-33", "campaigns before a heartbeat can come", "Random Timeouts", "liveness",
     "How often does a leader send?", "students",
     election_timeout_range=lambda w: (0.0, w.election_min))
_add("PE-31", "waits for the disk only when entries are not saved", "Durable Vote", "Election Safety",
     "What else is on the disk?", "students", must_persist_first=lambda w: w.entries_unsaved)
_add("PE-32", "waits for its vote, not for its term", "Durable Vote", "Election Safety",
     "A vote counts in a term.", "students",
     must_persist_first=lambda w: w.message != "AppendEntries" and (w.vote_unsaved or w.entries_unsaved or w.promise_unsaved))
_add("PE-33", "acknowledges before its promise is on disk", "Durable Acknowledgement", "a promise that a crash forgets",
     "What does a node know of its promise after a crash?", "students",
     must_persist_first=lambda w: w.message != "AppendEntries" and (w.term_unsaved or w.vote_unsaved or w.entries_unsaved))
# fmt: on


def _with_own_log(w: v.CommitView) -> dict[int, int]:
    """Take the smallest for the leader's own: with its disk behind, it is."""
    me = min(w.match_index, key=lambda node: (w.match_index[node], -node))
    return {**w.match_index, me: w.last_log_index}
