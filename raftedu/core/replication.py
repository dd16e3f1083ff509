"""Replication: rounds of AppendEntries, what a follower does with them, what a leader learns, and commit (§5.3, §5.4.2)."""

from __future__ import annotations

from raftedu.core.answers import apply_committed
from raftedu.core.leases import forget_old_rounds, note_answer, promise, renew
from raftedu.core.messages import AppendEntries, AppendReply
from raftedu.core.state import State, arm_election_timer, say, send, set_role, tell
from raftedu.core.terms import step_down
from raftedu.core.types import Entry, Index, NodeId, Role, Seconds, make
from raftedu.core.views import (
    AckView,
    AppendView,
    CommitTimeView,
    CommitView,
    FollowerCommitView,
    FollowView,
    MergeView,
    ReplyTermView,
    ReplyView,
    ResetView,
    SendView,
)  # fmt: skip

__all__ = ["MAX_MESSAGE_BYTES", "append", "heartbeat", "on_append_entries", "on_append_reply", "send_round", "try_commit"]

MAX_MESSAGE_BYTES = 2**20
"""About the most text in one AppendEntries; a single entry may be longer."""

_FOLLOWER, _LEADER = Role.FOLLOWER, Role.LEADER  # looking a member up in its enum takes longer than the comparison
_LEADERS_CALL = ResetView("AppendEntries", granted=False, from_leader=True)


# ---- the leader sends


def append(s: State, entries: list[Entry]) -> Index:
    """Append entries to the leader's own log and return the last index."""
    first = s.log.last_index + 1
    s.log.extend(entries)
    _changed(s, first)
    _say_appended(s, first)
    return s.log.last_index


def heartbeat(s: State, now: Seconds) -> None:
    """Send a round to everybody, whether or not there is something to send; it renews the lease when answered (§5.2, R2)."""
    forget_old_rounds(s, now)
    s.next_heartbeat_at = now + s.config.heartbeat
    send_round(s, now, s.peers, is_heartbeat=True)
    s.full_round = s.round
    say(s, "heartbeat_round", round=s.round, sent_at=now)
    renew(s, now)


def send_round(s: State, now: Seconds, peers: tuple[NodeId, ...], *, is_heartbeat: bool = False) -> None:
    """Send AppendEntries to those of ``peers`` that lack something and have nothing on the way; a heartbeat goes to all."""
    s.round += 1
    s.rounds[s.round] = now
    for peer in peers:
        first, last = s.rules.entries_to_send(make(SendView, (s.next_index[peer], s.log.last_index, s.config.batch_size)))
        if is_heartbeat or (last >= first and peer not in s.in_flight):
            _send_append(s, peer, first, last, now)


def _send_append(s: State, peer: NodeId, first: Index, last: Index, now: Seconds) -> None:
    entries = s.log.between(first, last, MAX_MESSAGE_BYTES) if last >= first else ()
    if entries:
        s.in_flight[peer] = s.round
    prev = max(first - 1, 0)
    prev_term = s.log.term_at(prev) or 0
    send(s, peer, make(AppendEntries, (s.term, s.node, prev, prev_term, entries, s.commit_index, s.round, now, s.told_lease)))


# ---- the follower receives


def on_append_entries(s: State, m: AppendEntries, now: Seconds, msg: str) -> None:
    """Follow the sender if it leads this term, promise it its lease, compare logs, merge, commit, answer."""
    follows = s.rules.follows_leader(make(FollowView, (s.term, s.role, s.leader, m.sender, m.term)))
    if not follows:
        # It was promised nothing, so the answer names no round: a sender that has started again counts its rounds anew (R2).
        _refuse(s, m, msg, _why_not_followed(s, m), round_=0)
        return
    if s.role is _LEADER:  # only a wrong rule lets a leader follow another of its term; its clients still get their answer
        step_down(s, now, f"node {m.sender} leads term {m.term}", "lease_given_up")
    if s.role is not _FOLLOWER:
        set_role(s, Role.FOLLOWER, f"node {m.sender} leads term {m.term}")
    s.leader = m.sender
    if s.rules.resets_election_timer(_LEADERS_CALL):
        arm_election_timer(s)
    promise(s, m.sender, m.entries, m.sent_at, now, msg)
    _compare_and_merge(s, m, now, msg)


def _compare_and_merge(s: State, m: AppendEntries, now: Seconds, msg: str) -> None:
    log, rules = s.log, s.rules
    prev, count = m.prev_log_index, len(m.entries)
    last_new = prev + count
    term_at_prev = log.term_at(prev)
    accepted = rules.accepts_append(make(AppendView, (prev, m.prev_log_term, term_at_prev, log.last_index, count)))
    if accepted:
        if count or prev != log.last_index:
            _merge(s, m)
        commit_view = make(FollowerCommitView, (s.commit_index, m.leader_commit, last_new, log.last_index))
        commit = rules.follower_commit_index(commit_view)
        if commit != s.last_applied or commit != s.commit_index:
            _commit(s, commit, now, "follower", {"leader_commit": m.leader_commit, "last_new": last_new})
    acknowledged = rules.acknowledged_index(make(AckView, (accepted, prev, count, log.last_index)))
    if acknowledged is None:
        have = "no entry" if term_at_prev is None else f"an entry of term {term_at_prev}"
        _refuse(s, m, msg, f"{have} at index {prev}, where the leader has one of term {m.prev_log_term} (§5.3)", round_=m.round)
        return
    term = rules.reply_term(make(ReplyTermView, (s.term, m.term)))
    if s.listening:
        tell(s, "append_accepted", m.sender, log.last_index, {"msg": msg, "from": prev + 1, "to": last_new})
    send(s, m.sender, make(AppendReply, (term, s.node, True, acknowledged, m.round, prev, None, 0, "")))


def _merge(s: State, m: AppendEntries) -> None:
    """Replace what follows ``prev_log_index`` by what the rule `merged_log` says; touch only what differs."""
    prev = m.prev_log_index
    mine = s.log.between(prev + 1, s.log.last_index)
    merged = tuple(s.rules.merged_log(MergeView(prev, mine, m.entries)))
    same = 0
    while same < min(len(mine), len(merged)) and mine[same] == merged[same]:
        same += 1
    keep = min(prev + same, s.log.last_index)  # a wrong rule may have accepted what leaves a gap
    if keep < s.log.last_index:
        s.log.cut_after(keep)
        s.saved_index = min(s.saved_index, keep)
        s.truncated = True
        _changed(s, keep + 1)
        say(s, "entries_truncated", index=keep, from_index=keep + 1)
    if merged[same:]:
        s.log.extend(merged[same:])
        _changed(s, keep + 1)
        _say_appended(s, keep + 1)


def _refuse(s: State, m: AppendEntries, msg: str, reason: str, *, round_: int) -> None:
    term_at_prev = s.log.term_at(m.prev_log_index)
    conflict_index = s.log.last_index + 1 if term_at_prev is None else s.log.first_index_of(term_at_prev)
    say(s, "append_rejected", peer=m.sender, index=s.log.last_index, msg=msg, prev=[m.prev_log_term, m.prev_log_index], reason=reason)
    term = s.rules.reply_term(ReplyTermView(s.term, m.term))
    send(s, m.sender, AppendReply(term, s.node, False, 0, round_, m.prev_log_index, term_at_prev, conflict_index))


def _why_not_followed(s: State, m: AppendEntries) -> str:
    if m.term < s.term:
        return f"its term {m.term} is older than {s.term} (§5.1)"
    return f"node {s.node} leads term {s.term} itself" if s.role == Role.LEADER else f"it does not lead term {s.term}"


# ---- the leader learns


def on_append_reply(s: State, m: AppendReply, now: Seconds, msg: str) -> None:
    """Renew the lease, learn what the follower has, commit, and send what it still lacks."""
    if s.role is not _LEADER or m.term != s.term:
        return
    note_answer(s, m.sender, m.round, now, msg)
    renew(s, now)
    if s.in_flight.get(m.sender, m.round + 1) <= m.round:
        del s.in_flight[m.sender]
    old_next, old_match = s.next_index[m.sender], s.match_index[m.sender]
    _learn(s, m, msg)
    if s.commit_blocked or s.match_index[m.sender] != old_match:
        try_commit(s, now)
    if m.success or s.next_index[m.sender] != old_next:
        _send_rest(s, m.sender, now)


def _learn(s: State, m: AppendReply, msg: str) -> None:
    old_next, old_match = s.next_index[m.sender], s.match_index[m.sender]
    view = make(ReplyView, (
        old_next, old_match, s.log.last_index, m.success, m.match_index, m.prev_log_index, m.conflict_term, m.conflict_index,
        s.log.last_index_of(m.conflict_term) if m.conflict_term else 0, s.config.fast_backup,
    ))  # fmt: skip
    s.next_index[m.sender], match = s.rules.after_append_reply(view)
    if match != old_match:
        s.match_index[m.sender] = match
        say(s, "match_advanced", peer=m.sender, index=match, follower=m.sender, old=old_match, new=match, msg=msg)


def _send_rest(s: State, peer: NodeId, now: Seconds) -> None:
    if s.next_index[peer] <= s.log.last_index:
        send_round(s, now, (peer,))


def try_commit(s: State, now: Seconds) -> None:
    """Commit what a majority holds, if the wait for the old lease is over [R7]; asked anew whenever what counts has changed."""
    s.commit_blocked = not s.rules.may_commit_now(CommitTimeView(now, s.wait_until))
    if s.commit_blocked:
        return
    # Nobody can hold more of this leader's log than there is; a follower that claims so (a wrong rule) is not believed that far.
    last = s.log.last_index
    match = {node: index if index < last else last for node, index in s.match_index.items()}
    match[s.node] = min(s.saved_index, last)
    while True:
        before = s.commit_index
        commit = s.rules.leader_commit_index(CommitView(s.term, before, match, s.majority, last, s.log.terms))
        if commit != s.last_applied or commit != before:
            _commit(s, commit, now, "leader", {"matches": [list(item) for item in match.items()]})
        # "If there exists an N" (Figure 2): a rule may name any, so it is asked until it names no larger one.
        if not before < s.commit_index < last:
            return


def _commit(s: State, new: Index, now: Seconds, by: str, basis: dict[str, object]) -> None:
    new = min(new, s.log.last_index)
    old, s.commit_index = s.commit_index, new
    for index in range(max(1, min(old, new - 1) + 1), new + 1) if new != old else ():
        say(s, "committed", index=index, old=old, new=new, basis=basis, op=s.log.entry(index).words, by=by)
    if new != old or s.last_applied < new:
        apply_committed(s, now)


# ---- both


def _changed(s: State, first: Index) -> None:
    s.changed_from = min(s.changed_from, first) if s.changed_from else first


def _say_appended(s: State, first: Index) -> None:
    if not s.listening:
        return
    last = s.log.last_index
    entries = [[first + i, e.term, e.words, e.client, e.request] for i, e in enumerate(s.log.between(first, last))]
    say(s, "entry_appended", index=last, **{"from": first}, entries=entries, chain=s.log.chain())
