"""What each node owes the others in elections: one vote a term, on disk before it is told, to a log that is no older (§5.1, §5.2, §5.4.1).

Each function looks at one turn of one node and returns, if an obligation is broken, the reason in a sentence; otherwise nothing. It judges
what the node did, never how its rules came to it.
"""

from __future__ import annotations

from raftedu.checker.machine import CAMPAIGN, RESTART, Turn, Wake
from raftedu.checker.turns import append_received, append_reply, appends, elected, granted, vote_reply, voters, woken
from raftedu.core.messages import AppendEntries, AppendReply, RequestVote, VoteReply
from raftedu.core.state import ELECTION
from raftedu.core.types import Role

__all__ = [
    "adopts_terms", "campaigns", "candidate_votes_for_itself", "distinct_voters", "durable_vote", "follows_the_leader",
    "grants_a_vote", "heartbeat_at_once", "log_check", "one_vote_a_term", "own_term_in_replies", "random_timeouts",
    "refuses_other_leaders", "resets_timer", "takes_office", "vote_of_this_term",
]  # fmt: skip


PATIENCE = 10
"""So many times the longest timeout is too long to wait for an election."""


def one_vote_a_term(t: Turn) -> str | None:
    """At most one vote in a term, and a vote once given stays given (§5.2)."""
    old, new = t.old, t.new
    if woken(t, RESTART) or new.term != old.term or old.voted_for is None or new.voted_for == old.voted_for:
        return None
    if new.voted_for is None:
        return f"node {t.node} forgot in term {new.term} that it had voted for {old.voted_for}"
    return f"node {t.node} voted for {old.voted_for} and for {new.voted_for} in term {new.term}"


def log_check(t: Turn) -> str | None:
    """A vote goes only to a candidate whose log is at least as up to date (§5.4.1)."""
    vote = granted(t)
    if vote is None:
        return None
    mine = (t.old.log[-1].term if t.old.log else 0, len(t.old.log))
    theirs = (vote[0].last_log_term, vote[0].last_log_index)
    if theirs >= mine:
        return None
    return (
        f"node {t.node} voted for {vote[0].sender}, whose log ends with (term {theirs[0]}, index {theirs[1]}); "
        f"its own ends with (term {mine[0]}, index {mine[1]})"
    )


def grants_a_vote(t: Turn) -> str | None:
    """Whoever has not voted in a term votes for the first candidate whose log is at least as up to date (§5.2, §5.4.1)."""
    asked = vote_reply(t)
    if asked is None or asked[1].granted or asked[0].term != t.new.term:
        return None
    m, old = asked[0], t.old
    free = m.term > old.term or old.voted_for in (None, m.sender)
    mine = (old.log[-1].term if old.log else 0, len(old.log))
    theirs = (m.last_log_term, m.last_log_index)
    if not free or theirs < mine:
        return None
    logs = f"whose log ends with (term {theirs[0]}, index {theirs[1]}), its own with (term {mine[0]}, index {mine[1]})"
    return f"node {t.node} had not voted in term {m.term} and refused its vote to {m.sender}, {logs}"


def vote_of_this_term(t: Turn) -> str | None:
    """A vote goes only to a candidate of the voter's own term (§5.1)."""
    vote = granted(t)
    if vote is None or vote[0].term == t.new.term:
        return None
    return f"node {t.node} is in term {t.new.term} and voted for {vote[0].sender}, a candidate of term {vote[0].term}"


def durable_vote(t: Turn) -> str | None:
    """Term and vote are on disk before anybody is told of them (Figure 2)."""
    for left in t.left:
        m, saved = left.message, left.hard
        if isinstance(m, VoteReply) and m.granted and (saved.term, saved.voted_for) != (t.new.term, left.to):
            return f"node {t.node} told {left.to} of its vote in term {t.new.term} before the vote was on disk"
        if isinstance(m, RequestVote) and (saved.term, saved.voted_for) != (m.term, t.node):
            return f"node {t.node} asked for votes in term {m.term} before its term and its vote for itself were on disk"
    return None


def distinct_voters(t: Turn) -> str | None:
    """Only a majority of different nodes, by votes of this very term, makes a leader (§5.2)."""
    if not elected(t):
        return None
    who = voters(t)
    if len(who) >= t.new.majority:
        return None
    votes = f"the votes of {', '.join(map(str, who))} alone" if who else "no vote"
    return (
        f"node {t.node} became leader of term {t.new.term} with {votes}; a majority is {t.new.majority} of {len(t.new.config.nodes)} nodes"
    )


def takes_office(t: Turn) -> str | None:
    """A candidate with the votes of a majority becomes leader (§5.2)."""
    if t.new.role is not Role.CANDIDATE or len(voters(t)) < t.new.majority:
        return None
    return f"node {t.node} has the votes of {', '.join(map(str, voters(t)))} in term {t.new.term}, a majority, and does not become leader"


def candidate_votes_for_itself(t: Turn) -> str | None:
    """A candidate votes for itself (§5.2)."""
    if t.new.role is not Role.CANDIDATE or t.new.voted_for == t.node:
        return None
    whom = "nobody" if t.new.voted_for is None else f"node {t.new.voted_for}"
    return f"node {t.node} is a candidate in term {t.new.term}, and its vote is for {whom}"


def campaigns(t: Turn) -> str | None:
    """Whoever hears of no leader begins an election in the next term, a candidate too (§5.2)."""
    if not isinstance(t.happens, Wake) or t.happens.what != CAMPAIGN or t.old.role is Role.LEADER:
        return None
    if t.old.role is Role.CANDIDATE and t.new.role is Role.LEADER and t.new.term == t.old.term:
        return None  # its own vote was all it lacked, and came to its disk
    who = f"node {t.node}, a {t.old.role} of term {t.old.term}, heard of no leader and began"
    if t.new.term <= t.old.term or t.new.role is Role.FOLLOWER:
        return f"{who} no election in a new term"
    wanted = max(t.old.term + 1, t.happens.term)
    return None if t.new.term <= wanted else f"{who} an election in term {t.new.term}, though {wanted} is the next"


def adopts_terms(t: Turn) -> str | None:
    """Whoever hears of a higher term takes it over, as a follower that has not voted in it; nobody makes terms up (§5.1)."""
    heard = getattr(t.happens, "term", 0) if isinstance(t.happens, RequestVote | VoteReply | AppendEntries | AppendReply) else None
    if heard is None:
        return None
    old, new = t.old, t.new
    if new.term != max(old.term, heard):
        if new.term < heard:
            return f"node {t.node} heard of term {heard} and stayed in term {new.term}"
        return f"node {t.node} was in term {old.term}, heard of term {heard} and went to term {new.term}"
    if heard <= old.term:
        return None
    if new.role is not Role.FOLLOWER:
        return f"node {t.node} heard of term {heard} and is still a {new.role}"
    vote = granted(t)
    allowed = (None,) if vote is None else (vote[0].sender,)
    if new.voted_for not in allowed:
        return f"node {t.node} came to term {heard} with a vote for {new.voted_for} that it never gave in it"
    return None


def own_term_in_replies(t: Turn) -> str | None:
    """A reply carries the term of whoever sends it, or an outdated leader never learns (§5.1)."""
    for left in t.left:
        m = left.message
        if isinstance(m, VoteReply | AppendReply) and m.term != t.new.term:
            return f"node {t.node} is in term {t.new.term} and answered {left.to} with term {m.term}"
    return None


def refuses_other_leaders(t: Turn) -> str | None:
    """A leader of an older term is refused, and so is, by a leader, another one of its own term (§5.1, §5.2)."""
    m = append_received(t)
    if m is None:
        return None
    if m.term < t.old.term:
        answered = append_reply(t)
        changed = (t.new.leader, t.new.role) != (t.old.leader, t.old.role)
        if changed or (answered is not None and answered[1].success):
            return f"node {t.node} is in term {t.old.term} and accepted what {m.sender}, a leader of term {m.term}, sent"
        return None
    if m.term == t.old.term and t.old.role is Role.LEADER and t.new.role is not Role.LEADER:
        return f"node {t.node} led term {m.term} and gave in to node {m.sender}, which says that it leads the same term"
    return None


def follows_the_leader(t: Turn) -> str | None:
    """Whoever hears the leader of its term follows it, a candidate too (§5.2)."""
    m = append_received(t)
    if m is None or m.term < t.old.term or (m.term == t.old.term and t.old.role is Role.LEADER) or t.new.term != m.term:
        return None
    if t.new.role is Role.FOLLOWER and t.new.leader == m.sender:
        return None
    return f"node {t.node}, a {t.new.role}, does not follow node {m.sender}, the leader of term {m.term}"


def resets_timer(t: Turn) -> str | None:
    """A granted vote and the leader of the term restart the election timer; nothing else that arrives does (§5.2)."""
    if t.old.role is Role.LEADER or t.new.role is Role.LEADER:
        return None
    restarted = any(timer.timer == ELECTION for timer in t.timers)
    vote = vote_reply(t)
    if vote is not None and restarted != vote[1].granted:
        if restarted:
            return f"node {t.node} refused its vote to {vote[0].sender} and restarted its election timer all the same"
        return f"node {t.node} voted for {vote[0].sender} and did not restart its election timer"
    m = append_received(t)
    if m is not None and restarted != (m.term >= t.old.term):
        if restarted:
            return f"node {t.node} restarted its election timer because of {m.sender}, a leader of the older term {m.term}"
        return f"node {t.node} heard of its leader {m.sender} and did not restart its election timer"
    return None


def random_timeouts(t: Turn) -> str | None:
    """Election timeouts are drawn from a range that has some width and is longer than a heartbeat (§5.2)."""
    c = t.new.config
    for timer in t.timers:
        if timer.timer != ELECTION or timer.low < 0:
            continue
        if timer.high <= timer.low:
            return f"node {t.node} waits exactly {timer.low} s before it campaigns: votes may split for ever"
        if timer.low < c.heartbeat:
            return f"node {t.node} may campaign after {timer.low} s, before the next heartbeat ({c.heartbeat} s) can arrive"
        if timer.high > PATIENCE * c.election_max:
            return f"node {t.node} may wait {timer.high} s before it campaigns; everybody waits {c.election_max} s at most"
    return None


def heartbeat_at_once(t: Turn) -> str | None:
    """A new leader sends heartbeats to everybody at once (§5.2)."""
    if not elected(t) or t.old.term != t.new.term:
        return None
    told = {peer for peer, _ in appends(t)}
    silent = [peer for peer in t.new.peers if peer not in told]
    return f"node {t.node} became leader of term {t.new.term} and did not tell {', '.join(map(str, silent))} at once" if silent else None
