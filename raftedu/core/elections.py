"""Elections: campaigning, voting, counting (§5.2, §5.4.1). Above replication, for a winner begins to lead at once."""

from __future__ import annotations

from raftedu.core.leadership import become_leader
from raftedu.core.leases import remaining
from raftedu.core.messages import RequestVote, VoteReply
from raftedu.core.state import State, arm_election_timer, say, send, set_role
from raftedu.core.types import Role, Seconds
from raftedu.core.views import Ballot, CampaignView, LogView, ReplyTermView, ResetView, TallyView, VoteView

__all__ = ["campaign", "count_own_vote", "on_request_vote", "on_vote_reply"]


def campaign(s: State, now: Seconds) -> None:
    """Begin an election, as a follower or as a candidate whose last one came to nothing (§5.2)."""
    arm_election_timer(s)
    new = s.rules.start_election(CampaignView(s.node, s.term, s.voted_for, s.role))
    if new is None:
        return
    say(s, "election_started", why="no leader was heard of before the election timer ran out", for_term=new.term, now=now)
    old, s.term, s.voted_for = s.term, new.term, new.voted_for
    s.leader = None
    set_role(s, Role.CANDIDATE, "its election timer ran out")
    if new.term != old:
        say(s, "term_changed", old=old, new=s.term, why="it starts an election")
    s.ballots.clear()
    s.campaign_seq = s.seq + (s.hard != s.written)
    for peer in s.peers:
        send(s, peer, RequestVote(s.term, s.node, s.log.last_index, s.log.last_term, s.told_lease))


def count_own_vote(s: State, now: Seconds) -> None:
    """Count a candidate's vote for itself, once it is on disk like anybody's."""
    if s.role != Role.CANDIDATE or s.campaign_seq > s.seq - len(s.unsynced) or any(b.voter == s.node for b in s.ballots):
        return
    _count(s, Ballot(s.node, s.term, True, 0.0, now), now)


def on_request_vote(s: State, m: RequestVote, now: Seconds, msg: str) -> None:
    """Vote or not, and report what is left of the promise to an older leader [R3]."""
    up_to_date = s.rules.log_is_up_to_date(LogView(s.log.last_term, s.log.last_index, m.last_log_term, m.last_log_index))
    view = VoteView(
        s.node, s.term, s.voted_for, m.sender, m.term, up_to_date, s.log.last_term, s.log.last_index, m.last_log_term, m.last_log_index,
        s.role,
    )  # fmt: skip
    granted = s.rules.grant_vote(view)
    say(
        s, "vote_granted" if granted else "vote_denied", peer=m.sender, for_term=m.term, mine=[s.log.last_term, s.log.last_index],
        theirs=[m.last_log_term, m.last_log_index], why=_why(view, granted), msg=msg,
    )  # fmt: skip
    if granted:
        s.voted_for = m.sender
    if s.role != Role.LEADER and s.rules.resets_election_timer(ResetView("RequestVote", granted, from_leader=False)):
        arm_election_timer(s)
    term = s.rules.reply_term(ReplyTermView(s.term, m.term))
    send(s, m.sender, VoteReply(term, s.node, granted, remaining(s, now)))


def _why(view: VoteView, granted: bool) -> str:
    logs = f"(last term {view.candidate_last_term}, index {view.candidate_last_index}; mine {view.last_log_term}, {view.last_log_index})"
    if granted:
        return f"its log is at least as up to date {logs}, and no other node has this vote (§5.2, §5.4.1)"
    if view.candidate_term < view.term:
        return f"term {view.candidate_term} is older than {view.term} (§5.1)"
    if view.voted_for not in (None, view.candidate):
        return f"node {view.voted_for} has my vote in term {view.term} (§5.2)"
    if not view.candidate_log_is_up_to_date:
        return f"its log is less up to date {logs} (§5.4.1)"
    return "the rule grant_vote says no"


def on_vote_reply(s: State, m: VoteReply, now: Seconds, msg: str) -> None:
    """Count a reply; the rule `wins_election` says which ones matter."""
    if s.role == Role.CANDIDATE:
        _count(s, Ballot(m.sender, m.term, m.granted, m.remaining, now, msg), now)


def _count(s: State, ballot: Ballot, now: Seconds) -> None:
    s.ballots.append(ballot)
    if s.rules.wins_election(TallyView(s.term, tuple(s.ballots), s.config.majority, len(s.config.nodes))):
        become_leader(s, now)
