"""Wrong rules of replication, commit, apply and clients: rows AE, RP, CM, AP, NO and CL of the catalogue."""

from __future__ import annotations

from functools import partial

from raftedu.checker.wrong_rule import WrongRule, add
from raftedu.core import rules as right
from raftedu.core import views as v
from raftedu.core.types import Entry

__all__ = ["ROWS"]

ROWS: list[WrongRule] = []
_add = partial(add, ROWS)

# fmt: off
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

# ---- more of the same kinds

_add("AE-31", "accepts an older term before the new entries", "Sound Acknowledgement", "Log Matching",
     "Is it the same entry?", "students",
     accepts_append=lambda w: w.term_at_prev is not None and w.term_at_prev <= w.prev_log_term)
_add("AE-32", "compares nothing near the beginning of the log", "Sound Acknowledgement", "Leader Completeness",
     "Index 1 is an entry like any other.", "students; 0- and 1-based indexes mixed",
     accepts_append=lambda w: w.prev_log_index <= 1 or right.accepts_append(w))
_add("AE-33", "wants the entry before to be its last", "Accepts What Fits", "liveness",
     "A message may arrive twice.", "students",
     accepts_append=lambda w: w.prev_log_index == w.last_log_index and right.accepts_append(w))
_add("AE-34", "keeps its own log if it is longer", "Sound Acknowledgement", "Leader Completeness",
     "Longer is not right.", "students", merged_log=lambda w: w.mine if len(w.mine) > len(w.entries) else w.entries)
_add("AE-35", "a heartbeat cuts off what follows", "Cuts Only Conflicts", "Leader Completeness",
     "What conflicts with nothing?", "students", merged_log=lambda w: right.merged_log(w) if w.entries else ())
_add("AE-36", "replaces what conflicts and keeps what follows it", "Cuts Only Conflicts", "Log Matching",
     "What follows a conflict conflicts too.", "students", merged_log=lambda w: w.entries + w.mine[len(w.entries):])
_add("AE-37", "compares values, not terms", "Sound Acknowledgement", "Leader Completeness",
     "Two leaders may have been asked for the same.", "students", merged_log=lambda w: _by_value(w))
_add("AE-38", "acknowledges how many entries came", "Accepts What Fits", "liveness",
     "A count is no index.", "students", acknowledged_index=lambda w: w.entry_count if w.accepted else None)
_add("AE-39", "refuses by acknowledging nothing", "Sound Acknowledgement", "nothing: the leader waits for ever",
     "Is 0 a no?", "students", acknowledged_index=lambda w: w.prev_log_index + w.entry_count if w.accepted else 0)
_add("RP-08", "a new leader writes its NO-OP over its last entry", "Leader Append-Only", "Leader Completeness",
     "What does a leader do with its own log?", "§5.3, Figure 3", 
     become_leader=lambda w: right.become_leader(w)._replace(keep_log_to=max(0, w.last_log_index - 1)))
_add("RP-31", "believes that everybody holds what is committed", "Match Is Sound", "liveness",
     "A majority is not everybody.", "students",
     become_leader=lambda w: right.become_leader(w)._replace(match_index=dict.fromkeys(w.peers, w.commit_index)))
_add("RP-32", "asks for what its own log does not hold", "Next Above Match", "a delay",
     "What is the first entry that a follower may lack?", "students",
     become_leader=lambda w: right.become_leader(w)._replace(next_index=dict.fromkeys(w.peers, w.last_log_index + 2)))
_add("RP-33", "counts one more than was acknowledged", "Match Is Sound", "Leader Completeness",
     "What was acknowledged is an index.", "students",
     after_append_reply=lambda w: v.Progress(w.acknowledged + 2, w.acknowledged + 1) if w.success else right.after_append_reply(w))
_add("RP-34", "takes the place of a conflict for what is held", "Match Is Sound", "liveness",
     "What does a no say?", "students",
     after_append_reply=lambda w: right.after_append_reply(w) if w.success or w.conflict_index <= w.match_index + 1
     else v.Progress(w.conflict_index, w.conflict_index - 1))
_add("RP-35", "asks the same again after a no", "Backs Up", "liveness",
     "How do two logs find where they part?", "students",
     after_append_reply=lambda w: right.after_append_reply(w) if w.success else v.Progress(w.next_index, w.match_index))
_add("RP-36", "sends the last entry only", "Sends What Is Missing", "liveness",
     "And those before it?", "students", entries_to_send=lambda w: (w.last_log_index, w.last_log_index))
_add("RP-37", "sends all at once, however much", "Sends What Is Missing", "messages without a bound",
     "What is batch_size for?", "students", entries_to_send=lambda w: (w.next_index, w.last_log_index))
_add("CM-31", "commits its whole log once a majority has moved", "Commit Justified", "Leader Completeness",
     "Up to where does a majority hold it?", "students",
     leader_commit_index=lambda w: w.last_log_index if right.leader_commit_index(w) > w.commit_index else w.commit_index)
_add("CM-32", "looks at the term of the last entry", "Commit Justified", "Leader Completeness",
     "Figure 8 of the paper: which entry must be of the leader's term?", "students",
     leader_commit_index=lambda w: right.leader_commit_index(w._replace(log_terms=[w.term] * len(w.log_terms)))
     if w.log_terms and w.log_terms[-1] == w.term else w.commit_index)
_add("CM-33", "waits for every follower", "Commits What It Can", "liveness",
     "How many may be down?", "students",
     leader_commit_index=lambda w: right.leader_commit_index(w._replace(majority=len(w.match_index))))
_add("CM-34", "a follower commits all that it has just got", "Follower Commit", "Leader Completeness",
     "Who knows what is committed?", "students", follower_commit_index=lambda w: max(w.commit_index, w.last_new_index))
_add("AP-31", "applies all but the last committed entry", "Applies All", "liveness",
     "`<` or `<=`?", "students", applicable=lambda w: max(w.last_applied, w.commit_index - 1))
_add("CL-31", "forgets that a client began with request 0", "Exactly Once", "a SET takes effect twice",
     "What is `not 0`?", "students", apply_once=lambda w: not w.last_request or w.request > w.last_request)
_add("CL-32", "takes an older request for a new one", "Success Is Committed", "a SET takes effect twice",
     "Requests of a client may overtake each other.", "students",
     apply_once=lambda w: not w.client or w.request != w.last_request)
_add("CL-33", "wants the request ids without a gap", "Nothing Appended Is Fail", "a SET that never takes effect",
     "Where do the ids of its GETs go?", "students",
     apply_once=lambda w: not w.client or w.last_request is None or w.request == w.last_request + 1)
_add("CL-34", "says SUCCESS as soon as it has appended", "Success Is Committed", "No Stale Read",
     "And if the leader is deposed?", "students",
     client_outcome=lambda w: v.Result("success") if w.stage == "appended" else right.client_outcome(w))
_add("CL-35", "says UNKNOWN although nothing was appended", "Nothing Appended Is Fail", "a client that need not wonder",
     "Can it ever be committed?", "students",
     client_outcome=lambda w: v.Result("unknown") if w.stage == "refused" else right.client_outcome(w))
_add("CL-36", "says FAIL of a request that a later one has overtaken", "Fail Means Never", "an aborted write that took effect",
     "Was it applied before?", "students",
     client_outcome=lambda w: v.Result("fail") if w.stage == "outdated" else right.client_outcome(w))
# fmt: on


def _stops_early(w: v.CommitView) -> int:
    index = w.commit_index
    while index < w.last_log_index and w.term_at(index + 1) == w.term:
        if sum(match > index for match in w.match_index.values()) < w.majority:
            break
        index += 1
    return index


def _by_value(w: v.MergeView) -> tuple[Entry, ...]:
    for i, (mine, theirs) in enumerate(zip(w.mine, w.entries, strict=False)):
        if mine.value != theirs.value:
            return w.mine[:i] + w.entries[i:]
    return w.mine + w.entries[len(w.mine) :]
