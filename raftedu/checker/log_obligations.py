"""What each node owes the others in replication, commit and apply, and to its clients (§5.3, §5.4.2, §8).

As in `raftedu.checker.vote_obligations`: one turn in, the reason out if an obligation is broken.
"""

from __future__ import annotations

from raftedu.checker.machine import HEARTBEAT, RESTART, Turn
from raftedu.checker.snapshot import kv_after
from raftedu.checker.steps import READER
from raftedu.checker.turns import (
    NEARLY,
    append_received,
    append_reply,
    appends,
    elected,
    leads_on,
    reply_received,
    same_prefix,
    term_at,
    woken,
)
from raftedu.core.inputs import ClientRequest
from raftedu.core.messages import AppendReply
from raftedu.core.outputs import Outcome
from raftedu.core.types import SET, Entry, Index, Role

__all__ = [
    "accepts_what_fits", "ack_is_sound", "answers_applied", "applies_all", "applies_committed", "backs_up", "commit_justified",
    "commit_never_falls", "commits_what_it_can", "cuts_only_conflicts", "durable_ack", "exactly_once", "fail_means_never",
    "follower_commit", "follower_learns_commits", "leader_append_only", "leader_takes_writes", "match_is_sound", "match_never_falls",
    "next_above_match", "no_op", "nothing_appended_is_fail", "sends_what_is_missing", "success_is_committed",
]  # fmt: skip


def _log(t: Turn) -> tuple[Entry, ...]:
    return t.new.log.between(1, t.new.log.last_index)


# ---- the follower


def ack_is_sound(t: Turn) -> str | None:
    """A follower acknowledges only what it has compared: the entry before, and all that the message brought (§5.3)."""
    answered = append_reply(t)
    if answered is None or not answered[1].success:
        return None
    m, reply, _ = answered
    last, log = m.prev_log_index + len(m.entries), _log(t)
    if term_at(t.old.log, m.prev_log_index) != m.prev_log_term:
        return f"node {t.node} accepted entries after index {m.prev_log_index}, where it has no entry of term {m.prev_log_term}"
    if log[m.prev_log_index : last] != m.entries:
        return f"node {t.node} acknowledged entries {m.prev_log_index + 1} to {last}, and its log holds others there"
    if reply.match_index > last:
        return f"node {t.node} acknowledged index {reply.match_index}, and the message covers {last} alone"
    return None


def accepts_what_fits(t: Turn) -> str | None:
    """A follower that has the entry before accepts what follows it, and acknowledges all of it (§5.3)."""
    answered = append_reply(t)
    if answered is None or answered[0].term < t.old.term:
        return None
    m, reply, _ = answered
    last = m.prev_log_index + len(m.entries)
    if reply.success and reply.match_index < last:
        return f"node {t.node} acknowledged index {reply.match_index} alone, and the message covers {last}"
    if not reply.success and term_at(t.old.log, m.prev_log_index) == m.prev_log_term and t.old.role is not Role.LEADER:
        before = (
            f"holds entry {m.prev_log_index} of term {m.prev_log_term}" if m.prev_log_index else "has nothing to compare before index 1"
        )
        return f"node {t.node} {before}, and refused what {m.sender} sent to follow it"
    return None


def durable_ack(t: Turn) -> str | None:
    """What is acknowledged is on disk (Figure 2), and so is the longest promise that the answer makes [R10]."""
    for left in t.left:
        m = left.message
        if not isinstance(m, AppendReply) or m.refused:
            continue
        log = _log(t)
        if m.success and left.entries[: m.match_index] != log[: m.match_index]:
            return f"node {t.node} acknowledged entry {m.match_index} to {left.to} before it was on disk"
        if m.success and left.hard.term != t.new.term:
            return f"node {t.node} accepted entries in term {t.new.term} before that term was on disk"
        if left.hard.promised < t.new.promised:
            return f"node {t.node} answered {left.to} before its promise was on disk"
    return None


def cuts_only_conflicts(t: Turn) -> str | None:
    """A follower removes entries only from the first that conflicts with the leader's, and then all from there on (§5.3)."""
    m = append_received(t)
    if m is None or t.new.role is Role.LEADER:
        return None
    old, new, prev = t.old.log, _log(t), m.prev_log_index
    answered = append_reply(t)
    if answered is None or not answered[1].success:
        return None if new == old else f"node {t.node} changed its log by a message that it refused"
    same = same_prefix(old[prev:], m.entries)
    conflict = same < len(m.entries) and prev + same < len(old)
    right = old[: prev + same] + m.entries[same:] if conflict or same < len(m.entries) else old
    if new == right:
        return None
    if new[: len(right)] == right:
        return f"node {t.node} has entries after index {len(right)} that {m.sender} did not send"
    if len(new) < len(right) and right[: len(new)] == new:
        return f"node {t.node} cut its log after index {len(new)}, though entry {len(new) + 1} is in no conflict with what {m.sender} sent"
    return f"node {t.node} holds at index {same_prefix(new, right) + 1} another entry than {m.sender} sent"


def follower_commit(t: Turn) -> str | None:
    """A follower commits only what the leader says is committed and this message compared (§5.3)."""
    safe = _known_committed(t)
    if safe is None or t.new.commit_index <= max(t.old.commit, safe):
        return None
    return f"node {t.node} committed index {t.new.commit_index}; by this message only {safe} is known to be committed and the same"


def follower_learns_commits(t: Turn) -> str | None:
    """A follower commits what the leader says is committed (§5.3)."""
    safe = _known_committed(t)
    if safe is None or not t.new.commit_index <= t.old.commit < safe:
        return None
    return f"node {t.node} was told that entry {safe} is committed and knows only of {t.new.commit_index or 'none'}"


def _known_committed(t: Turn) -> Index | None:
    m = append_received(t)
    if m is None or t.new.role is Role.LEADER:
        return None
    answered = append_reply(t)
    accepted = answered is not None and answered[1].success
    return min(m.leader_commit, m.prev_log_index + len(m.entries)) if accepted else 0


# ---- the leader


def leader_append_only(t: Turn) -> str | None:
    """A leader never removes or overwrites an entry of its own log (§5.3)."""
    if t.new.role is not Role.LEADER:
        return None
    same = same_prefix(t.old.log, _log(t))
    return None if same == len(t.old.log) else f"node {t.node}, leader of term {t.new.term}, lost its own entry {same + 1}"


def no_op(t: Turn) -> str | None:
    """A new leader has a NO-OP of its term to append, so that what came before can be committed (§8)."""
    if not elected(t) or not t.new.config.no_op_on_election or t.new.owes_no_op or t.new.log.last_term == t.new.term:
        return None
    return f"node {t.node} became leader of term {t.new.term} and has no NO-OP to append"


def sends_what_is_missing(t: Turn) -> str | None:
    """A leader sends every follower what follows the last entry that they have in common, a batch at a time (§5.3)."""
    if not woken(t, HEARTBEAT) or not leads_on(t):
        return None
    most = t.new.config.batch_size
    for peer, m in appends(t):
        if len(m.entries) > most:
            return f"node {t.node} sent {len(m.entries)} entries to {peer} in one message; batch_size is {most}"
        wanted = t.old.next[peer - 1]
        last = m.prev_log_index + len(m.entries)
        if m.prev_log_index >= wanted or (len(t.old.log) >= wanted > last):
            what = f"entries {m.prev_log_index + 1} to {last}" if m.entries else "no entry"
            return f"node {t.node} sent {what} to {peer}, which lacks {wanted} to {len(t.old.log)}"
    return None


def match_is_sound(t: Turn) -> str | None:
    """A leader counts as held by a follower only what the follower has acknowledged in this term (§5.3)."""
    for peer in t.new.peers if t.new.role is Role.LEADER else ():
        known = 0 if elected(t) else t.old.match[peer - 1]
        reply = reply_received(t)
        if reply is not None and reply.sender == peer and reply.success:
            known = max(known, reply.match_index)
        match = t.new.match_index.get(peer, 0)
        if match > known:
            return f"node {t.node} believes that {peer} holds entry {match}; it acknowledged {known or 'nothing'} in term {t.new.term}"
    return None


def match_never_falls(t: Turn) -> str | None:
    """What a follower has acknowledged in a term stays acknowledged (§5.3)."""
    reply = reply_received(t)
    if not leads_on(t):
        return None
    for peer in t.new.peers:
        known, match = t.old.match[peer - 1], t.new.match_index[peer]
        if reply is not None and reply.sender == peer and reply.success:
            known = max(known, min(reply.match_index, len(t.old.log)))
        if match < known:
            return f"node {t.node} knew that {peer} holds entry {known} and now believes {match}"
    return None


def next_above_match(t: Turn) -> str | None:
    """What is sent next to a follower lies above what it is known to hold, and at most one above the leader's own log (§5.3)."""
    last = len(t.old.log) if elected(t) else t.new.log.last_index
    for peer in t.new.peers if t.new.role is Role.LEADER else ():
        match, next_ = t.new.match_index.get(peer, 0), t.new.next_index.get(peer, 0)
        if next_ <= match or next_ < 1:
            return f"node {t.node} would send entry {next_} to {peer} next, which holds {match} already"
        if next_ > last + 1:
            return f"node {t.node} would send entry {next_} to {peer} next, and its own log ends with {last}"
    return None


def backs_up(t: Turn) -> str | None:
    """A leader whose question was answered by no asks about an earlier entry, never about a later one, until the logs meet (§5.3)."""
    reply = reply_received(t)
    if reply is None or reply.success or not leads_on(t):
        return None
    old, match = t.old.next[reply.sender - 1], t.old.match[reply.sender - 1]
    new = t.new.next_index[reply.sender]
    if new > old:
        return f"node {reply.sender} refused, and node {t.node} would send it entry {new} next instead of {old}"
    if reply.prev_log_index == old - 1 and old > match + 1 and new >= old:
        return f"node {reply.sender} has no such entry {old - 1}, and node {t.node} would ask the same again"
    return None


def commit_justified(t: Turn) -> str | None:
    """A leader commits an entry of its own term that a majority holds on disk, and not during the wait (§5.3, §5.4.2) [R7]."""
    new, old = t.new, 0 if woken(t, RESTART) else t.old.commit
    if new.role is not Role.LEADER or new.commit_index <= old or append_received(t) is not None:
        return None
    index = new.commit_index
    holders = [peer for peer in new.peers if new.match_index[peer] >= index] + ([t.node] if new.saved_index >= index else [])
    if len(holders) < new.majority:
        on = f"node {', '.join(map(str, sorted(holders)))}" if holders else "nobody"
        return f"node {t.node} committed entry {index}, which only {on} is known to hold on disk; a majority is {new.majority}"
    term = term_at(_log(t), index)
    if term != new.term:
        return f"node {t.node} leads term {new.term} and committed entry {index} of term {term} by counting"
    if t.now < new.wait_until - NEARLY:
        return f"node {t.node} committed entry {index} {new.wait_until - t.now:.0f} s before its wait for an older lease is over"
    return None


def commits_what_it_can(t: Turn) -> str | None:
    """A leader commits when a majority holds an entry of its term and the wait is over (§5.3)."""
    new, reply = t.new, reply_received(t)
    if reply is None or not leads_on(t) or new.match_index[reply.sender] <= t.old.match[reply.sender - 1]:
        return None
    held = sorted([*(new.match_index[peer] for peer in new.peers), new.saved_index], reverse=True)[new.majority - 1]
    can = min(held, new.log.last_index)
    if t.now >= new.wait_until and can > new.commit_index == t.old.commit and term_at(_log(t), can) == new.term:
        return f"a majority holds entry {can} of term {new.term}, and node {t.node} does not commit it"
    return None


# ---- every node


def commit_never_falls(t: Turn) -> str | None:
    """What is committed stays committed."""
    if woken(t, RESTART) or t.new.commit_index >= t.old.commit:
        return None
    return f"node {t.node} had committed index {t.old.commit} and went back to {t.new.commit_index}"


def applies_committed(t: Turn) -> str | None:
    """A node applies only what is committed (§5.3)."""
    s = t.new
    if s.last_applied <= s.commit_index:
        return None
    return f"node {t.node} applied entry {s.last_applied}; only {s.commit_index} is committed"


def applies_all(t: Turn) -> str | None:
    """A node applies what is committed without waiting for anything else (§5.3)."""
    s = t.new
    was = 0 if woken(t, RESTART) else t.old.applied
    if s.commit_index > max(t.old.commit, s.last_applied) and s.last_applied == was:
        return f"node {t.node} knows that entry {s.commit_index} is committed and has applied only {s.last_applied}"
    return None


def exactly_once(t: Turn) -> str | None:
    """Each operation of a client takes effect once, on every node alike (§8)."""
    from_log = _log(t)[: t.new.last_applied]
    wanted = kv_after(from_log)
    if t.new.kv.state == wanted.state:
        return None
    mine, theirs = t.new.kv.data, wanted.data
    for key in sorted({*mine, *theirs}):
        if mine.get(key) != theirs.get(key):
            done = f"node {t.node} has applied {len(from_log)} entries and holds {key}={mine.get(key, '')!r}"
            return f"{done}; each request done once gives {key}={theirs.get(key, '')!r}"
    same = t.new.kv.last_request == wanted.last_request
    did = "carried out a request a second time" if same else "did not carry out each request once"
    return f"node {t.node} has applied {len(from_log)} entries and {did}"


def leader_takes_writes(t: Turn) -> str | None:
    """A SET is appended by a leader only, once its wait is over or if the policy says so [R5]; and then it is."""
    request, s = t.happens, t.new
    if not isinstance(request, ClientRequest) or request.op != SET:
        return None
    if s.role is not Role.LEADER:
        return f"node {t.node}, a {s.role}, appended a SET" if len(_log(t)) > len(t.old.log) else None
    open_ = s.config.lease_policy == "deferred-commit" or t.now >= s.wait_until - NEARLY
    if not open_ and len(_log(t)) > len(t.old.log):
        return f"node {t.node} appended a SET {s.wait_until - t.now:.0f} s before its wait for an older lease is over"
    refused = any(answer.outcome == Outcome.FAIL and not answer.final for answer in t.answers)
    if open_ and refused and not s.waiting:
        return f"node {t.node} leads term {s.term}, waits for nothing, and refused a SET"
    return None


def nothing_appended_is_fail(t: Turn) -> str | None:
    """A client whose SET was not appended is told FAIL: it may ask again (§8)."""
    request = t.happens
    if not isinstance(request, ClientRequest) or request.op != SET or len(_log(t)) > len(t.old.log):
        return None
    if t.new.kv.last_request.get(request.client, -1) >= request.request:
        return None
    for answer in t.answers:
        if not answer.index and answer.outcome != Outcome.FAIL:
            return f"node {t.node} answered {answer.outcome.upper()} for a SET that it did not append and that has no effect"
    return None


def fail_means_never(t: Turn) -> str | None:
    """FAIL is told only of what was never appended: what was may yet be committed [U14]."""
    for answer in t.answers:
        if answer.index and answer.outcome == Outcome.FAIL:
            return f"node {t.node} answered FAIL for entry {answer.index}, which it had appended and which may yet be committed"
        if answer.outcome == Outcome.FAIL and answer.final and t.new.kv.last_request.get(answer.client, -1) > answer.request:
            return f"node {t.node} answered FAIL for a request older than what it has applied of this client: it may have been applied too"
    return None


def success_is_committed(t: Turn) -> str | None:
    """SUCCESS of a SET is told only of what is committed and has taken effect (§8)."""
    for answer in t.answers:
        if isinstance(t.happens, ClientRequest) and t.happens.op != SET:
            continue
        if answer.client == READER:
            continue
        if answer.outcome == Outcome.SUCCESS and not _is_done(t, answer.client, answer.request, answer.index):
            return f"node {t.node} answered SUCCESS for a SET that is not known to be committed and to have taken effect"
    return None


def answers_applied(t: Turn) -> str | None:
    """A client whose SET was applied is told SUCCESS (§8)."""
    s = t.new
    if t.old.role is Role.LEADER and not leads_on(t):
        return None  # it gave up before it knew
    for answer in t.answers:
        if not answer.index and (s.role is not Role.LEADER or s.waiting):
            continue  # it was refused here, and is to be asked of another node or later
        if answer.outcome != Outcome.SUCCESS and _is_done(t, answer.client, answer.request, answer.index):
            what = f"applied entry {answer.index}" if answer.index else "had applied this SET before"
            return f"node {t.node} {what} and answered {answer.outcome.upper()}"
    return None


def _is_done(t: Turn, client: str, request: int, index: Index) -> bool:
    """Return whether the request took effect: of one that a later one of its client has overtaken, that cannot be told."""
    if not index:
        return t.new.kv.last_request.get(client) == request
    if index > min(t.new.commit_index, t.new.last_applied):
        return False
    if t.new.log.entry(index).op != SET:
        return True  # a GET that went through the log has no effect to be asked for
    return not client or kv_after(_log(t)[:index]).last_request.get(client) == request
