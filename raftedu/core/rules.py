"""Every decision of Raft and of its lease, one small function each: the page that a student reads, and replaces.

A rule sees one frozen view (`raftedu.core.views`) and returns a plain value. It knows no clock but ``view.now``, sends
nothing, changes nothing: `raftedu.core.node` does what the rule decided. ``RULES.but(grant_vote=mine)`` is the same table
with one rule replaced. [Rn] and [Un] are the lease rules and the points of care in docs/protocol.md; § is the paper.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

from raftedu.core import views as v
from raftedu.core.types import Entry, Index, Role, Seconds, Term

__all__ = ["RULES", "Rules", "rule_names"]


# ---- elections (§5.2)


def election_timeout_range(view: v.TimeoutView) -> tuple[Seconds, Seconds]:
    """Return the range from which each election timeout is drawn anew; a *range*, or votes split for ever (§5.2)."""
    return (view.election_min, view.election_max)


def start_election(view: v.CampaignView) -> v.Campaign | None:
    """Return the term and the vote of a new candidacy: one term up, and a vote for oneself (§5.2). ``None``: do not campaign."""
    return v.Campaign(term=view.term + 1, voted_for=view.node)


def log_is_up_to_date(view: v.LogView) -> bool:
    """Return whether the candidate's log is at least as up to date as this node's: last term first, then length (§5.4.1)."""
    mine = (view.last_log_term, view.last_log_index)
    theirs = (view.candidate_last_term, view.candidate_last_index)
    return theirs >= mine


def grant_vote(view: v.VoteView) -> bool:
    """Return whether the candidate gets the vote: of this term, one vote a term, and an up-to-date log (§5.2, §5.4.1).

    The same candidate may be told yes twice: its first reply may have been lost.
    """
    if view.candidate_term < view.term:
        return False
    return view.voted_for in (None, view.candidate) and view.candidate_log_is_up_to_date


def wins_election(view: v.TallyView) -> bool:
    """Return whether a majority of *different* nodes voted for this candidate in *this* term (§5.2)."""
    voters = {ballot.voter for ballot in view.ballots if ballot.granted and ballot.term == view.term}
    return len(voters) >= view.majority


def on_higher_term(view: v.TermView) -> v.Adopted:
    """Return term, role and vote after looking at the term of any message, reply or request (§5.1).

    A higher term makes anyone a follower of that term that has not voted in it. The same term changes nothing: stepping
    down within a term keeps the vote [U17].
    """
    if view.message_term > view.term:
        return v.Adopted(view.message_term, Role.FOLLOWER, None)
    return v.Adopted(view.term, view.role, view.voted_for)


def reply_term(view: v.ReplyTermView) -> Term:
    """Return the term that a reply carries: this node's own, so that an outdated sender learns of it (§5.1)."""
    return view.term


def resets_election_timer(view: v.ResetView) -> bool:
    """Return whether a request restarts the election timer: a granted vote or the current leader, nothing else (§5.2)."""
    return view.granted or view.from_leader


def become_leader(view: v.NewLeaderView) -> v.NewLeader:
    """Return how a leader begins: it knows nothing of its followers, keeps its log, and adds a NO-OP (§5.3, §8)."""
    return v.NewLeader(
        next_index=dict.fromkeys(view.peers, view.last_log_index + 1),
        match_index=dict.fromkeys(view.peers, 0),
        append_no_op=view.no_op_on_election,
        heartbeat_at_once=True,  # or the followers time out during the wait [U6]
        keep_log_to=view.last_log_index,
    )


# ---- replication (§5.3)


def follows_leader(view: v.FollowView) -> bool:
    """Return whether the sender of an AppendEntries is the leader of this term, to be followed (§5.1, §5.2).

    A candidate yields to it. A leader never does: two leaders in one term cannot be.
    """
    return view.message_term == view.term and view.role != Role.LEADER


def accepts_append(view: v.AppendView) -> bool:
    """Return whether this log holds the entry before the new ones, with the same term; for heartbeats too (§5.3)."""
    return view.term_at_prev == view.prev_log_term


def merged_log(view: v.MergeView) -> tuple[Entry, ...]:
    """Return what follows ``prev_log_index`` afterwards: cut only from the first entry that *conflicts* (§5.3) [U20].

    What merely follows a late, shorter message stays: it may already be acknowledged.
    """
    for i, (mine, theirs) in enumerate(zip(view.mine, view.entries, strict=False)):
        if mine.term != theirs.term:
            return view.mine[:i] + view.entries[i:]
    return view.mine + view.entries[len(view.mine) :]


def acknowledged_index(view: v.AckView) -> Index | None:
    """Return the last index that is now known to match the leader's log, ``None`` to refuse (§5.3).

    Not the end of the own log: what lies beyond the message was not compared.
    """
    if not view.accepted:
        return None
    return view.prev_log_index + view.entry_count


def entries_to_send(view: v.SendView) -> tuple[Index, Index]:
    """Return the first and last index to send; last < first is a heartbeat without entries (§5.3)."""
    return (view.next_index, min(view.last_log_index, view.next_index + view.batch_size - 1))


def after_append_reply(view: v.ReplyView) -> v.Progress:
    """Return what the leader knows of a follower after its reply; ``match_index`` never falls within a term (§5.3)."""
    if view.success:
        match = max(view.match_index, view.acknowledged)
        return v.Progress(max(view.next_index, match + 1), match)
    if view.prev_log_index != view.next_index - 1:
        return v.Progress(view.next_index, view.match_index)  # an answer to an older question
    if not view.fast_backup:
        back_to = view.next_index - 1
    elif view.last_index_of_conflict_term:
        back_to = min(view.last_index_of_conflict_term + 1, view.prev_log_index)
    else:
        back_to = view.conflict_index
    return v.Progress(max(min(back_to, view.prev_log_index), view.match_index + 1), view.match_index)


def must_persist_first(view: v.PersistView) -> bool:
    """Return whether the message must wait for the disk: all that promises or claims something does (§5.1, Figure 2).

    Only a leader's AppendEntries may run ahead of its own disk: its term and vote were saved before it campaigned.
    """
    return view.message != "AppendEntries"


# ---- commit and apply


def may_commit_now(view: v.CommitTimeView) -> bool:
    """Return whether the leader may advance its commit index: not while an older lease may still be valid [R7, U5]."""
    return view.now >= view.wait_until


def leader_commit_index(view: v.CommitView) -> Index:
    """Return the largest index that is now safe to call committed.

    Safe once a majority holds it *and* its entry is of the leader's own term; older entries become safe only by lying below
    one of ours (§5.4.2, Figure 8).

    >>> leader_commit_index(v.CommitView.example(term=3, log_terms=[1, 3], match={1: 2, 2: 2, 3: 0}))
    2
    """
    held_by_majority = sorted(view.match_index.values(), reverse=True)[view.majority - 1]
    # A majority may hold an old entry and still lose it to a candidate with a later last term.
    if view.term_at(held_by_majority) != view.term:
        return view.commit_index
    return max(view.commit_index, held_by_majority)


def follower_commit_index(view: v.FollowerCommitView) -> Index:
    """Return how far a follower may commit: as the leader says, but only over what this message compared (§5.3)."""
    return max(view.commit_index, min(view.leader_commit, view.last_new_index))


def applicable(view: v.ApplyView) -> Index:
    """Return the last index to apply to the state machine now: all that is committed, nothing else (§5.3)."""
    return view.commit_index


def apply_once(view: v.DedupView) -> bool:
    """Return whether an entry is to take effect: a retry of what was applied already must not (§8) [U15].

    Asked on every node, for every entry, or their state machines would differ.
    """
    return not view.client or view.last_request is None or view.request > view.last_request


def client_outcome(view: v.OutcomeView) -> v.Result:
    """Return what the client may conclude. What was appended may yet commit: that is *unknown*, never *fail* [U14].

    A key that does not exist reads as the empty string.
    """
    if view.stage in ("appended", "outdated"):
        return v.Result("unknown")
    if view.stage == "refused":
        return v.Result("fail")
    return v.Result("success", view.value)


# ---- clients


def accepts_client_write(view: v.WriteView) -> bool:
    """Return whether a SET may be appended: by a leader, after the wait; under ``deferred-commit`` at once [R5].

    In read mode ``log`` a GET is appended too, by the same right.
    """
    if view.role != Role.LEADER:
        return False
    return view.lease_policy == "deferred-commit" or view.now >= view.wait_until


def read_is_confirmed(view: v.ConfirmView) -> bool:
    """Return whether a majority has answered a round that was *sent after* the GET arrived; the leader counts itself (§8).

    An answer that comes now may be to a round of before, and says nothing of what has happened since.
    """
    later = [round_ for round_ in view.answered.values() if round_.number > view.after_round]
    return 1 + len(later) >= view.majority


def may_serve_read(view: v.ReadView) -> bool:
    """Return whether a GET may be answered from the state machine now [R8].

    By a leader that has committed an entry of its own term (before, it does not know what is committed) and has applied all that
    was committed when the GET arrived. That it still leads it knows by a valid lease, or in mode ``read-index`` by a round that
    confirms it (§8). In mode ``log`` never: a GET is answered when an entry of its own is applied. In mode ``unsafe`` any leader
    answers: the stale read of the lectures.
    """
    if view.read_mode == "unsafe":
        return view.role == Role.LEADER
    if view.read_mode == "log":
        return False
    if view.read_mode == "read-index":
        leads, wanted = view.role == Role.LEADER and view.now >= view.wait_until and view.confirmed, view.read_index
    else:
        leads, wanted = view.lease_is_valid, view.commit_index
    return leads and view.commit_term == view.term and view.last_applied >= wanted


# ---- the lease


def lease_promise(view: v.PromiseView) -> Seconds:
    """Return until when this follower promises its leader to help no other: a full lease from *now*, never less than before [R1].

    Longer than the lease by the margin ``kappa``, so that it outlasts the lease on any two clocks.
    """
    return max(view.promise_until, view.now + view.promise_length)


def promise_at_restart(view: v.RestartView) -> Seconds:
    """Return the promise with which a node starts: as if it had promised a full lease just before it crashed [R10, U7]."""
    if not view.ran_before or view.cluster_size == 1:
        return view.now
    return view.now + max(view.promised, view.promise_length)


def remaining_promise(view: v.RemainingView) -> Seconds:
    """Return how many seconds are left of this voter's promise; a duration, no moment of anybody's clock [R3, U12]."""
    return max(0.0, view.promise_until - view.now)


def lease_wait(view: v.WaitView) -> Seconds:
    """Return until when a new leader must wait: its own promise, and what every vote that counted reported [R4, U8, U10]."""
    owed = [b.received_at + b.remaining for b in view.ballots if b.granted and b.term == view.term]
    return max([view.now, view.promise_until, *owed])


def lease_expiry(view: v.LeaseView) -> Seconds | None:
    """Return until when the lease runs: L after the *sending* of the latest rounds that a majority answered [R2, U1-U4].

    The leader counts as having answered a round sent now. ``None`` while there is no majority yet.
    """
    sent = sorted([view.now, *(r.sent_at for r in view.answered.values())], reverse=True)
    if len(sent) < view.majority:
        return view.lease_expiry
    expiry = sent[view.majority - 1] + view.lease
    return expiry if view.lease_expiry is None else max(view.lease_expiry, expiry)


def lease_is_valid(view: v.ValidView) -> bool:
    """Return whether the lease is valid at this very moment, by the clock, never by a flag [R6, U13]."""
    return view.role == Role.LEADER and view.lease_expiry is not None and view.wait_until <= view.now < view.lease_expiry


def must_step_down(view: v.StepDownView) -> bool:
    """Return whether a leader must give up: lease run out, never obtained in time, or its disk is stuck [R9, U3, U19].

    Where nobody holds a lease: when no majority has answered for an election timeout (Ongaro's dissertation, §6.2).
    """
    patience = view.election_max if view.lease_policy == "no-lease" else view.lease
    if view.disk_busy_since is not None and view.now >= view.disk_busy_since + patience:
        return True
    if view.lease_policy == "no-lease":
        return view.now >= view.heard_at + view.election_max
    if view.lease_expiry is None:
        return view.now >= max(view.wait_until, view.elected_at) + view.election_max
    return view.now >= view.lease_expiry


@dataclass(frozen=True, slots=True)
class Rules:
    """The table of all rules; each field is a plain function, by default the one of this module."""

    election_timeout_range: Callable[[v.TimeoutView], tuple[Seconds, Seconds]] = election_timeout_range
    start_election: Callable[[v.CampaignView], v.Campaign | None] = start_election
    log_is_up_to_date: Callable[[v.LogView], bool] = log_is_up_to_date
    grant_vote: Callable[[v.VoteView], bool] = grant_vote
    wins_election: Callable[[v.TallyView], bool] = wins_election
    on_higher_term: Callable[[v.TermView], v.Adopted] = on_higher_term
    reply_term: Callable[[v.ReplyTermView], Term] = reply_term
    resets_election_timer: Callable[[v.ResetView], bool] = resets_election_timer
    become_leader: Callable[[v.NewLeaderView], v.NewLeader] = become_leader
    follows_leader: Callable[[v.FollowView], bool] = follows_leader
    accepts_append: Callable[[v.AppendView], bool] = accepts_append
    merged_log: Callable[[v.MergeView], tuple[Entry, ...]] = merged_log
    acknowledged_index: Callable[[v.AckView], Index | None] = acknowledged_index
    entries_to_send: Callable[[v.SendView], tuple[Index, Index]] = entries_to_send
    after_append_reply: Callable[[v.ReplyView], v.Progress] = after_append_reply
    must_persist_first: Callable[[v.PersistView], bool] = must_persist_first
    may_commit_now: Callable[[v.CommitTimeView], bool] = may_commit_now
    leader_commit_index: Callable[[v.CommitView], Index] = leader_commit_index
    follower_commit_index: Callable[[v.FollowerCommitView], Index] = follower_commit_index
    applicable: Callable[[v.ApplyView], Index] = applicable
    apply_once: Callable[[v.DedupView], bool] = apply_once
    client_outcome: Callable[[v.OutcomeView], v.Result] = client_outcome
    accepts_client_write: Callable[[v.WriteView], bool] = accepts_client_write
    read_is_confirmed: Callable[[v.ConfirmView], bool] = read_is_confirmed
    may_serve_read: Callable[[v.ReadView], bool] = may_serve_read
    lease_promise: Callable[[v.PromiseView], Seconds] = lease_promise
    promise_at_restart: Callable[[v.RestartView], Seconds] = promise_at_restart
    remaining_promise: Callable[[v.RemainingView], Seconds] = remaining_promise
    lease_wait: Callable[[v.WaitView], Seconds] = lease_wait
    lease_expiry: Callable[[v.LeaseView], Seconds | None] = lease_expiry
    lease_is_valid: Callable[[v.ValidView], bool] = lease_is_valid
    must_step_down: Callable[[v.StepDownView], bool] = must_step_down

    def but(self, **replaced: Callable[[Any], Any]) -> Rules:
        """Return the same table with some rules replaced: ``RULES.but(grant_vote=mine)``.

        Raises
        ------
        TypeError
            If there is no rule of that name, or what is given cannot be called.
        """
        for name, rule in replaced.items():
            if name not in rule_names():
                raise TypeError(f"there is no rule {name!r}; the rules are: {', '.join(rule_names())}")
            if not callable(rule):
                raise TypeError(f"{name} must be a function of one view, not {rule!r}")
        return replace(self, **replaced)


def rule_names() -> tuple[str, ...]:
    """Return the names of all rules, in the order of the paper's chapters."""
    return tuple(field.name for field in fields(Rules))


RULES = Rules()
"""The reference rules."""
