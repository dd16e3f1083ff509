"""The table of everything that must hold, each with one sentence as in Figure 3 of the paper.

*Obligations* are what one node owes the others: they are judged turn by turn, and the first wrong step breaks one. *Outcomes* are what
hurts: two leaders, two leases, a lost entry, a stale read; they are judged on the whole. A *duty* is an obligation that leads to no such
outcome: who neglects it stands still, or tells a client something wrong. Adding an invariant is one row here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from raftedu.checker import lease_obligations as lease
from raftedu.checker import log_obligations as log
from raftedu.checker import vote_obligations as vote
from raftedu.checker.machine import Turn, Wake

__all__ = ["INVARIANTS", "OBLIGATIONS", "OUTCOMES", "Broken", "Invariant", "first_broken"]


class Invariant(NamedTuple):
    """One row: ``kind`` is ``"obligation"``, ``"duty"`` or ``"outcome"``; an outcome has no function, for it needs more than one turn.

    ``turns`` names what a turn must begin with for the row to be at stake at all.
    """

    name: str
    sentence: str
    kind: str
    judge: Callable[[Turn], str | None] | None = None
    turns: str = ""


class Broken(NamedTuple):
    """An invariant that does not hold, and why, in a sentence."""

    name: str
    reason: str


def _obligation(name: str, judge: Callable[[Turn], str | None], turns: str) -> Invariant:
    return Invariant(name, (judge.__doc__ or "").strip(), "obligation", judge, turns)


def _duty(name: str, judge: Callable[[Turn], str | None], turns: str) -> Invariant:
    return _obligation(name, judge, turns)._replace(kind="duty")


MESSAGES = "RequestVote VoteReply AppendEntries AppendReply"
TURNS = f"{MESSAGES} ClientRequest campaign heartbeat pass restart"
RUNNING = TURNS.removesuffix(" restart")
LEADING = "VoteReply AppendReply ClientRequest heartbeat pass"  # and "campaign" in a cluster of one


OUTCOMES = (
    Invariant("Election Safety", "At most one leader can be elected in a given term (§5.2).", "outcome"),
    Invariant("Log Matching", "Two logs with an entry of the same index and term are identical up to it (§5.3).", "outcome"),
    Invariant("Leader Completeness", "What is committed in a term is in the logs of the leaders of all higher terms (§5.4).", "outcome"),
    Invariant("State Machine Safety", "No two nodes commit different entries at the same index (§5.4.3).", "outcome"),
    Invariant("Lease Disjoint", "No two nodes hold a valid lease at the same instant.", "outcome"),
    Invariant("No Stale Read", "A GET sees every SET that was acknowledged before it was asked.", "outcome"),
)

OBLIGATIONS = (
    _obligation("One Vote a Term", vote.one_vote_a_term, RUNNING),
    _obligation("Vote of This Term", vote.vote_of_this_term, "RequestVote"),
    _obligation("Vote Log Check", vote.log_check, "RequestVote"),
    _obligation("Durable Vote", vote.durable_vote, "RequestVote campaign"),
    _obligation("Distinct Voters", vote.distinct_voters, RUNNING),
    _obligation("Candidate Votes for Itself", vote.candidate_votes_for_itself, f"{MESSAGES} campaign"),
    _duty("Grants a Vote", vote.grants_a_vote, "RequestVote"),
    _obligation("Term Hygiene", vote.adopts_terms, MESSAGES),
    _duty("Own Term in Replies", vote.own_term_in_replies, "RequestVote AppendEntries"),
    _obligation("One Leader Followed", vote.refuses_other_leaders, "AppendEntries"),
    _duty("Leader Followed", vote.follows_the_leader, "AppendEntries"),
    _duty("Timer Reset", vote.resets_timer, "RequestVote AppendEntries"),
    _duty("Random Timeouts", vote.random_timeouts, TURNS),
    _duty("Campaigns", vote.campaigns, "campaign"),
    _duty("Takes Office", vote.takes_office, "VoteReply campaign"),
    _duty("Heartbeat at Once", vote.heartbeat_at_once, "VoteReply campaign"),
    _obligation("Leader Append-Only", log.leader_append_only, RUNNING),
    _duty("NO-OP First", log.no_op, "VoteReply campaign"),
    _obligation("Sound Acknowledgement", log.ack_is_sound, "AppendEntries"),
    _duty("Accepts What Fits", log.accepts_what_fits, "AppendEntries"),
    _obligation("Durable Acknowledgement", log.durable_ack, "AppendEntries"),
    _obligation("Cuts Only Conflicts", log.cuts_only_conflicts, "AppendEntries"),
    _duty("Sends What Is Missing", log.sends_what_is_missing, "heartbeat"),
    _obligation("Match Is Sound", log.match_is_sound, LEADING),
    _duty("Match Never Falls", log.match_never_falls, LEADING),
    _duty("Next Above Match", log.next_above_match, LEADING),
    _duty("Backs Up", log.backs_up, "AppendReply"),
    _obligation("Commit Never Falls", log.commit_never_falls, RUNNING),
    _obligation("Commit Justified", log.commit_justified, LEADING),
    _duty("Commits What It Can", log.commits_what_it_can, "AppendReply"),
    _obligation("Follower Commit", log.follower_commit, "AppendEntries"),
    _duty("Follower Learns Commits", log.follower_learns_commits, "AppendEntries"),
    _obligation("Applies What Is Committed", log.applies_committed, TURNS),
    _duty("Applies All", log.applies_all, TURNS),
    _duty("Exactly Once", log.exactly_once, TURNS),
    _obligation("Leader Takes Writes", log.leader_takes_writes, "ClientRequest"),
    _duty("Fail Means Never", log.fail_means_never, RUNNING),
    _obligation("Success Is Committed", log.success_is_committed, RUNNING),
    _duty("Applied Is Answered", log.answers_applied, RUNNING),
    _obligation("Promise Before Ack", lease.promise_before_ack, "AppendEntries"),
    _obligation("Promise Never Falls", lease.promise_never_falls, RUNNING),
    _obligation("Promise at Restart", lease.promise_at_restart, "restart"),
    _obligation("Vote Carries Promise", lease.vote_carries_promise, "RequestVote"),
    _obligation("Wait Covers Promises", lease.wait_covers_promises, "VoteReply campaign"),
    _obligation("Lease From a Send", lease.lease_backed, LEADING),
    _duty("Expired Leader Steps Down", lease.expired_leader_steps_down, LEADING),
    Invariant("Lease by the Clock", "A lease is valid for a leader, from the end of its wait until its expiry, and at no other time [R6].",
              "obligation"),
    Invariant("Read Under Lease", "A GET is answered under a valid lease, with an own-term commit, when all committed is applied [R8].",
              "obligation"),
    Invariant("Something Happens", "Somewhere a leader is elected, an entry committed, a lease held, a GET answered.", "duty"),
    Invariant("Read Answers the Value", "A GET that is served answers the value of its key, the empty string if none.", "duty"),
)  # fmt: skip

INVARIANTS = {row.name: row for row in (*OUTCOMES, *OBLIGATIONS)}

_GRAVEST_FIRST = sorted(OBLIGATIONS, key=lambda row: row.kind == "duty")
_JUDGED = {
    kind: [(row.name, row.judge) for row in _GRAVEST_FIRST if row.judge is not None and kind in row.turns.split()] for kind in TURNS.split()
}


def first_broken(turn: Turn) -> Broken | None:
    """Return the first obligation that this turn breaks."""
    kind = turn.happens.what if isinstance(turn.happens, Wake) else type(turn.happens).__name__
    for name, judge in _JUDGED[kind]:
        reason = judge(turn)
        if reason is not None:
            return Broken(name, reason)
    return None
