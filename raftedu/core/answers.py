"""Applying what is committed, and answering the clients that wait for it. Knows nothing of messages between nodes."""

from __future__ import annotations

from typing import Any

from raftedu.core.inputs import ClientRequest
from raftedu.core.outputs import Answer, Outcome
from raftedu.core.state import State, say
from raftedu.core.types import GET, SET, Index, Role, Seconds
from raftedu.core.views import ApplyView, OutcomeView

__all__ = ["answer", "apply_committed", "give_up_waiters", "refuse", "tell_read", "why_no_lease", "why_not_leader"]


def answer(
    s: State, request: ClientRequest, stage: str, *, value: str = "", found: bool = False,
    index: Index = 0, reason: str = "", retry_after: Seconds | None = None, final: bool = False,
) -> None:  # fmt: skip
    """Answer a client; the rule `client_outcome` says what it may conclude from how far its operation came."""
    result = s.rules.client_outcome(OutcomeView(request.op, stage, found, value))
    outcome = Outcome(result.outcome)
    s.out.append(
        Answer(request.op_id, request.client, request.request, outcome, result.value, s.leader, retry_after, index, reason, final),
    )
    say(
        s, "client_reply", index=index or None, op_id=request.op_id, client=request.client, request=request.request, op=request.op,
        key=request.key, value=result.value if request.op == "GET" else request.value, outcome=outcome, leader=s.leader, reason=reason,
    )  # fmt: skip


def refuse(s: State, request: ClientRequest, now: Seconds, why: str = "") -> None:
    """Refuse a request here and now, and say where or when to ask again."""
    if s.role == Role.LEADER:
        soon = s.config.heartbeat / 10
        later = max(soon, s.wait_until - now) if now < s.wait_until else soon
        answer(s, request, "refused", reason=why or why_no_lease(s, now), retry_after=later)
    else:
        pause = s.config.heartbeat if s.leader is None else None
        answer(s, request, "refused", reason=why or why_not_leader(s), retry_after=pause)


def why_not_leader(s: State) -> str:
    """Return in words that this node does not lead, and who does."""
    known = "it knows no leader" if s.leader is None else f"node {s.leader} leads term {s.term}"
    return f"node {s.node} is a {s.role}; {known}"


def why_no_lease(s: State, now: Seconds) -> str:
    """Return in words why this leader cannot act as one yet, or any more."""
    if now < s.wait_until:
        return f"node {s.node} must wait {s.wait_until - now:.3f} s for an older lease to run out"
    return f"node {s.node} has no valid lease"


def tell_read(s: State, request: ClientRequest, now: Seconds, value: str | None, why: str = "", **more: Any) -> None:
    """Say that a GET was served, and by what right; or, with ``value`` ``None``, why it was refused."""
    if not s.listening:
        return
    facts: dict[str, Any] = {"op_id": request.op_id, "key": request.key, "value": value or "", "mode": s.config.read_mode}
    facts |= {"checked_at": now, "wait_until": s.wait_until, "expiry": s.lease_expiry, "commit": s.commit_index}
    facts |= {"applied": s.last_applied, "commit_term": s.log.term_at(s.commit_index) or 0, "why": why, "now": now}
    say(s, "read_refused" if value is None else "read_served", **facts, **more)


def apply_committed(s: State, now: Seconds) -> None:
    """Apply what the rule `applicable` allows, in order, and answer whoever waits for it."""
    first = s.last_applied + 1
    last = min(s.rules.applicable(ApplyView(s.last_applied, s.commit_index, s.log.last_index)), s.log.last_index)
    if last < first:
        return
    effects, found = [], {}
    for index in range(first, last + 1):
        effects.append((index, _apply(s, index)))
        if index in s.waiters and s.log.entry(index).op == GET:  # it reads what is there at its own place in the log
            found[index] = s.kv.data.get(s.log.entry(index).key)
    say(
        s, "applied", index=last, **{"from": first, "to": last},
        effects=[[index, kind] for index, kind in effects if kind != "new"], state=s.kv.state,
    )  # fmt: skip
    for index, kind in effects:
        stage = "outdated" if kind == "outdated" else "applied"
        for request in s.waiters.pop(index, ()):
            if index in found:
                _answer_read(s, request, index, found[index], now)
            else:
                answer(s, request, stage, index=index)


def _answer_read(s: State, request: ClientRequest, index: Index, value: str | None, now: Seconds) -> None:
    tell_read(s, request, now, value or "", read_index=index)
    answer(s, request, "read", value=value or "", found=value is not None, index=index)


def _apply(s: State, index: Index) -> str:
    entry = s.log.entry(index)
    kind = s.kv.apply(entry, s.rules, is_leader=s.role == Role.LEADER)
    s.last_applied = index
    if entry.op == SET:
        s.appended.pop((entry.client, entry.request), None)
    return kind


def give_up_waiters(s: State, reason: str, now: Seconds) -> None:
    """Answer everybody who waits for what this leader will not see: a SET that was appended is not known [U14], a GET has failed."""
    waiters, s.waiters = s.waiters, {}
    s.appended.clear()
    for index in sorted(waiters):
        for request in waiters[index]:
            if request.op == GET:
                _give_up_read(s, request, reason, now)
            else:
                answer(s, request, "appended", index=index, reason=reason)
    while s.reads:
        _give_up_read(s, s.reads.popleft().request, reason, now)


def _give_up_read(s: State, request: ClientRequest, reason: str, now: Seconds) -> None:
    tell_read(s, request, now, None, reason)
    refuse(s, request, now, reason)
