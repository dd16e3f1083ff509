"""What a student is asked for each rule, and what the words in its view mean: the text of the stubs. One row is one line in every stub.

A row ``View.field`` is for one view, a row ``field`` for all others. Where a row gives only an example, the docstring of the view says what
the field means. Knows no rule's answer. A new rule has a row in ``QUESTIONS``, a new field one in ``FIELDS``.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from raftedu.core.types import SET, Entry, Role
from raftedu.core.views import Ballot, Round

__all__ = ["FIELDS", "QUESTIONS", "Field"]


class Field(NamedTuple):
    """A field of a view: an example, and what it means, empty if the view's docstring tells."""

    example: Any
    means: str = ""


QUESTIONS = {
    "election_timeout_range": "From which range does a node draw how long it waits for its leader before it campaigns?",
    "start_election": "This node has not heard of a leader for too long. Does it campaign, in which term, and whom does it vote for?",
    "log_is_up_to_date": "Is the candidate's log at least as up to date as mine, so that it may become my leader?",
    "grant_vote": "A candidate asks this node for its vote. Does it get it?",
    "wins_election": "These answers have come in so far. Is this candidate the leader now?",
    "on_higher_term": "A message names a term. What are this node's term, role and vote after it has looked at that?",
    "reply_term": "This node answers a request. Which term does the reply carry?",
    "resets_election_timer": "A request came. Does this node now wait a full timeout anew before it campaigns?",
    "become_leader": "This node has won. What does it know of the others, and what does it do first?",
    "follows_leader": "An AppendEntries came. Is its sender the leader that this node follows?",
    "accepts_append": "A leader sends entries that follow one that it names. Do they fit this node's log?",
    "merged_log": "The new entries fit. What follows the entry at prev_log_index in this node's log from now on?",
    "acknowledged_index": "Up to which index may this node now say: my log is the same as yours?",
    "entries_to_send": "Which entries does the leader send to this follower now, from which index to which?",
    "after_append_reply": "A follower has answered. What does the leader send it next, and up to where do their logs match?",
    "must_persist_first": "A message is ready to leave. Must it wait until this node's disk has everything?",
    "may_commit_now": "Entries lie on a majority. May this leader commit at this moment?",
    "leader_commit_index": "Up to which index is the log committed, so that no future leader can lose it?",
    "follower_commit_index": "The leader says how far it has committed. How far may this follower commit?",
    "applicable": "Up to which index may this node's state machine go on?",
    "apply_once": "A committed entry is about to be applied. Does it take effect, or has it done so before?",
    "client_outcome": "An operation is at its end, as far as this node can tell. What may the client be told?",
    "accepts_client_write": "A client sends a SET to this node. May it be appended to the log?",
    "read_is_confirmed": "A GET came a while ago. Has a majority shown since then that this node still leads?",
    "may_serve_read": "A client sends a GET to this node. May it answer at once, from its own state machine?",
    "lease_promise": "A leader's AppendEntries has come. Until when does this follower promise to help nobody else?",
    "promise_at_restart": "This node starts. Until when must it behave as one that has promised?",
    "remaining_promise": "This node votes. How many seconds of its promise to an older leader does it report?",
    "lease_wait": "This node has won. Until when must it wait, since an older leader may still hold its lease?",
    "lease_expiry": "Followers have answered some rounds. Until when does this leader's lease run?",
    "lease_is_valid": "Does this node hold a valid lease at this very moment?",
    "must_step_down": "Must this leader give up now?",
}
"""Each rule as a question, in the student's words."""

_LOG = (Entry(1), Entry(2, SET, "x", "1", "ann", 1))
_BALLOTS = (Ballot(1, 3, True, 0.0, 20.0), Ballot(2, 3, True, 2.5, 20.1), Ballot(4, 3, False, 5.0, 20.2))

FIELDS = {
    "node": Field(2, "this node's id"),
    "peers": Field((1, 3), "the ids of all others"),
    "term": Field(3, "this node's current term"),
    "role": Field(Role.FOLLOWER, 'what this node is: "follower", "candidate" or "leader"'),
    "voted_for": Field(None, "whom this node voted for in its current term; None: nobody yet"),
    "leader": Field(None, "the leader of this term, as far as this node knows; None: it knows none"),
    "sender": Field(1, "who sent the message"),
    "majority": Field(2, "how many nodes make a majority"),
    "cluster_size": Field(3, "how many nodes there are, this one among them"),
    "message_term": Field(4, "the term that the message names"),
    "request_term": Field(2, "the term of the request that is answered"),
    "is_reply": Field(False, "whether the message answers one of this node's"),
    "election_min": Field(5.0, "seconds: no node may campaign earlier"),
    "election_max": Field(10.0, "seconds: the longest that a node waits"),
    "candidate": Field(1, "who asks for the vote"),
    "candidate_term": Field(3, "the term that the candidate campaigns in"),
    "candidate_log_is_up_to_date": Field(True, "what log_is_up_to_date has answered"),
    "last_log_term": Field(2, "the term of the last entry in this node's log; 0 if it is empty"),
    "last_log_index": Field(2, "the index of the last entry in this node's log; 0 if it is empty"),
    "candidate_last_term": Field(2, "the term of the last entry in the candidate's log"),
    "candidate_last_index": Field(3, "the index of the last entry in the candidate's log"),
    "ballots": Field(_BALLOTS, "the answers since the candidacy began, in the order of arrival, late ones of older terms too"),
    "ResetView.request": Field("RequestVote"),
    "granted": Field(True, "whether the vote was given"),
    "from_leader": Field(False, "whether the sender is the leader of this node's term"),
    "commit_index": Field(1, "up to here this node knows the log to be committed"),
    "no_op_on_election": Field(True, "a setting: whether a new leader appends a NO-OP"),
    "NewLeaderView.next_index": Field({1: 2}),
    "NewLeaderView.match_index": Field({1: 1}),
    "next_index": Field(3, "the next index that the leader will send to this follower"),
    "match_index": Field(1, "up to here the follower's log is known to be the leader's"),
    "CommitView.match_index": Field({1: 3, 2: 3, 3: 1},
                                    "for each node, the leader too: up to here its disk is known to hold the leader's log"),
    "CommitView.last_log_index": Field(3, "the index of the last entry in this leader's log"),
    "log_terms": Field((1, 2, 3), "the terms of all entries, from index 1 on; term_at(index) looks one up"),
    "prev_log_index": Field(2, "the index of the entry just before the new ones"),
    "prev_log_term": Field(2, "the term of that entry in the leader's log"),
    "ReplyView.prev_log_index": Field(2, "the index that the request named, of the entry before the new ones"),
    "term_at_prev": Field(2, "the term of this node's own entry at that index, 0 at index 0; None: it has none there"),
    "entry_count": Field(1, "how many entries the message has; 0 for a heartbeat"),
    "mine": Field((Entry(1),), "this node's entries after prev_log_index"),
    "entries": Field(_LOG, "the entries in the message"),
    "accepted": Field(True, "what accepts_append has answered"),
    "AckView.last_log_index": Field(5),
    "batch_size": Field(512, "a setting: how many entries one message may have"),
    "SendView.last_log_index": Field(5, "the index of the last entry in the leader's log"),
    "ReplyView.last_log_index": Field(5, "the index of the last entry in the leader's log"),
    "success": Field(False, "whether the follower accepted the entries"),
    "acknowledged": Field(0, "if so: up to where its log now matches"),
    "conflict_term": Field(1, "if not: the term of its entry at prev_log_index; None: it has none there"),
    "conflict_index": Field(1, "if not: the first index of that term in its log, or where its log ends"),
    "last_index_of_conflict_term": Field(1, "the leader's own last entry of that term; 0 if it has none"),
    "fast_backup": Field(True, "a setting: whether to go back by whole terms, not by single entries"),
    "message": Field("VoteReply", '"RequestVote", "VoteReply", "AppendEntries" or "AppendReply"'),
    "term_unsaved": Field(False, "whether this node's term is not on its disk yet"),
    "vote_unsaved": Field(True, "whether its vote is not"),
    "entries_unsaved": Field(False, "whether some of its entries are not"),
    "promise_unsaved": Field(False, "whether its promise is not"),
    "leader_commit": Field(3, "how far the leader has committed, as its message says"),
    "last_new_index": Field(2),
    "last_applied": Field(1, "the last entry that the state machine has taken in"),
    "client": Field("ann", "who asked; empty: unknown"),
    "request": Field(4, "the number of its request"),
    "last_request": Field(3),
    "is_leader": Field(True, "whether this node leads"),
    "op": Field("SET", '"SET" or "GET"'),
    "stage": Field("appended"),
    "found": Field(True, "whether the key exists"),
    "value": Field("1", "the value of the key"),
    "lease_policy": Field("wait-then-append",
                          'a setting: "wait-then-append"; "deferred-commit": append in the wait, commit after it; "no-lease"'),
    "read_mode": Field("lease", 'a setting, how GETs are answered: "lease", "read-index", "log" or "unsafe"'),
    "WriteView.role": Field(Role.LEADER, 'what this node is: "follower", "candidate" or "leader"'),
    "ReadView.role": Field(Role.LEADER, 'what this node is: "follower", "candidate" or "leader"'),
    "ValidView.role": Field(Role.LEADER, 'what this node is: "follower", "candidate" or "leader"'),
    "lease_is_valid": Field(True, "what lease_is_valid has answered"),
    "commit_term": Field(3),
    "read_index": Field(1, "what commit_index was when the GET came"),
    "confirmed": Field(False, "in mode \"read-index\": what read_is_confirmed has answered"),
    "asked_at": Field(19.5, "when the GET came, on this node's own clock"),
    "after_round": Field(7, "the number of the last round of AppendEntries that was sent before the GET came"),
    "heard_at": Field(19.0, "for policy no-lease: when the latest rounds that a majority has answered were sent"),
    "now": Field(20.0, "this moment on the node's own clock, in seconds"),
    "wait_until": Field(18.0, "until then this leader has to wait for the lease of an older one"),
    "lease": Field(8.0, "the length of a lease in seconds, the same for all nodes"),
    "lease_expiry": Field(24.0, "when this leader's lease ends; None: it has had none yet"),
    "promise_until": Field(22.0, "until then this node has promised to help no other leader"),
    "promise_length": Field(8.016, "the length of a promise in seconds: a lease, and a margin for clocks that differ"),
    "leader_sent_at": Field(19.5),
    "ran_before": Field(True, "whether this node has run before, so that it may have promised something"),
    "promised": Field(8.016),
    "answered": Field({1: Round(19.0, 19.2), 3: Round(18.0, 18.4)}, "by peer, the latest round that it has answered in this term"),
    "last_sent_at": Field(20.0),
    "kappa": Field(1.002, "by how much a promise is longer than a lease, since clocks differ"),
    "elected_at": Field(15.0, "when this node was elected"),
    "disk_busy_since": Field(None),
}  # fmt: skip
