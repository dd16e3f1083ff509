"""The table of everything that must hold, each with one sentence as in Figure 3 of the paper.

*Obligations* are what one node owes the others: they are judged turn by turn, and the first wrong step breaks one. *Outcomes* are what
hurts: two leaders, two leases, a lost entry, a stale read; they are judged on the whole. A *duty* is an obligation that leads to no such
outcome: who neglects it stands still, or tells a client something wrong. Who goes beyond a *bound* is safe and slower than need be: no
search stops at it, it is only remarked. Adding an invariant is one row here.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from typing import NamedTuple

from raftedu.checker import lease_obligations as lease
from raftedu.checker import log_obligations as log
from raftedu.checker import read_obligations as read
from raftedu.checker import vote_obligations as vote
from raftedu.checker.machine import Turn, Wake

__all__ = ["BOUNDS", "INVARIANTS", "OBLIGATIONS", "OUTCOMES", "Broken", "Invariant", "first_broken", "remarks"]


class Invariant(NamedTuple):
    """One row: ``kind`` is ``"obligation"``, ``"duty"``, ``"bound"`` or ``"outcome"``; only an outcome has no function.

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


def _bound(name: str, judge: Callable[[Turn], str | None], turns: str) -> Invariant:
    return _obligation(name, judge, turns)._replace(kind="bound")


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
    _duty("Nothing Appended Is Fail", log.nothing_appended_is_fail, "ClientRequest"),
    _obligation("Success Is Committed", log.success_is_committed, RUNNING),
    _duty("Applied Is Answered", log.answers_applied, RUNNING),
    _obligation("Promise Before Ack", lease.promise_before_ack, "AppendEntries"),
    _obligation("Promise Never Falls", lease.promise_never_falls, RUNNING),
    _obligation("Promise at Restart", lease.promise_at_restart, "restart"),
    _obligation("Vote Carries Promise", lease.vote_carries_promise, "RequestVote"),
    _obligation("Wait Covers Promises", lease.wait_covers_promises, "VoteReply campaign"),
    _obligation("Lease From a Send", lease.lease_backed, LEADING),
    _duty("Lease Is Renewed", lease.lease_renewed, "AppendReply"),
    _duty("Wait Ends", lease.wait_ends, "VoteReply campaign"),
    _duty("Expired Leader Steps Down", lease.expired_leader_steps_down, LEADING),
    _duty("Valid Leader Stays", lease.valid_leader_stays, LEADING),
    _obligation("Read After a Round", read.read_after_a_round, RUNNING),
    _obligation("Read Through the Log", read.read_through_the_log, RUNNING),
    _duty("Confirmed Read Is Answered", read.answers_confirmed, RUNNING),
    Invariant("Lease by the Clock", "A lease is valid for a leader, from the end of its wait until its expiry, and at no other time [R6].",
              "obligation"),
    Invariant("Read Under Lease", "A GET is answered under a valid lease, with an own-term commit, when all committed is applied [R8].",
              "obligation"),
    Invariant("GET Is Answered", "Whoever may answer a GET answers it.", "duty"),
    Invariant("Node Goes On", "No rule leads a node to where it can do nothing more, such as a leader that knows of no followers.", "duty"),
    Invariant("Progress After Healing", "When all is mended and a majority is up, clients are answered again within a bound.", "duty"),
    Invariant("Stable Leader", "A leader that reaches the others in time stays in office.", "duty"),
    Invariant("A Rule Only Decides", "A rule answers at once, the same to the same view, and changes nothing.", "duty"),
    Invariant("Any Id Is Somebody", "A node may be called 0; nobody is None, and nothing else.", "duty"),
    Invariant("Something Happens", "Somewhere a leader is elected, an entry committed, a lease held, a GET answered.", "duty"),
    Invariant("Read Answers the Value", "A GET that is served answers the value of its key, the empty string if none.", "duty"),
)  # fmt: skip

BOUNDS = (
    _bound("Waits No Longer Than Owed", lease.waits_no_longer_than_owed, "VoteReply campaign"),
    _bound("Reports No More Than Owed", lease.reports_no_more_than_owed, "RequestVote"),
    _bound("Starts Owing No More", lease.starts_owing_no_more, "restart"),
    _bound("Promises No More Than Due", lease.promises_no_more_than_due, "AppendEntries"),
)

INVARIANTS = {row.name: row for row in (*OUTCOMES, *OBLIGATIONS, *BOUNDS)}

_GRAVEST_FIRST = sorted(OBLIGATIONS, key=lambda row: row.kind == "duty")


def _by_kind(rows: Iterable[Invariant]) -> dict[str, list[tuple[str, Callable[[Turn], str | None]]]]:
    return {kind: [(row.name, row.judge) for row in rows if row.judge is not None and kind in row.turns.split()] for kind in TURNS.split()}


_JUDGED, _BOUNDED = _by_kind(_GRAVEST_FIRST), _by_kind(BOUNDS)


def _kind(turn: Turn) -> str:
    return turn.happens.what if isinstance(turn.happens, Wake) else type(turn.happens).__name__


def first_broken(turn: Turn, overlooked: Container[str] = ()) -> Broken | None:
    """Return the first obligation that this turn breaks, of those that are not overlooked."""
    for name, judge in _JUDGED[_kind(turn)]:
        reason = judge(turn)
        if reason is not None and name not in overlooked:
            return Broken(name, reason)
    return None


def remarks(turn: Turn) -> list[Broken]:
    """Return which bounds this turn goes beyond."""
    judged = ((name, judge(turn)) for name, judge in _BOUNDED[_kind(turn)])
    return [Broken(name, reason) for name, reason in judged if reason is not None]
