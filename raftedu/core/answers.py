"""Applying what is committed, and answering the clients that wait for it. Knows nothing of messages between nodes."""

from __future__ import annotations

from raftedu.core.inputs import ClientRequest
from raftedu.core.outputs import Answer, Outcome
from raftedu.core.state import State, say
from raftedu.core.types import Index, Role, Seconds
from raftedu.core.views import ApplyView, OutcomeView

__all__ = ["answer", "apply_committed", "give_up_waiters"]


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


def apply_committed(s: State) -> None:
    """Apply what the rule `applicable` allows, in order, and answer whoever waits for it."""
    first = s.last_applied + 1
    last = min(s.rules.applicable(ApplyView(s.last_applied, s.commit_index, s.log.last_index)), s.log.last_index)
    if last < first:
        return
    effects = [(index, _apply(s, index)) for index in range(first, last + 1)]
    say(
        s, "applied", index=last, **{"from": first, "to": last},
        effects=[[index, kind] for index, kind in effects if kind != "new"], state=s.kv.state,
    )  # fmt: skip
    for index, kind in effects:
        stage = "outdated" if kind == "outdated" else "applied"
        for request in s.waiters.pop(index, ()):
            answer(s, request, stage, index=index)


def _apply(s: State, index: Index) -> str:
    entry = s.log.entry(index)
    kind = s.kv.apply(entry, s.rules, is_leader=s.role == Role.LEADER)
    s.last_applied = index
    s.appended.pop((entry.client, entry.request), None)
    return kind


def give_up_waiters(s: State, reason: str) -> None:
    """Answer everybody whose entry was appended but whose end this leader will not see: it is not known [U14]."""
    waiters, s.waiters = s.waiters, {}
    s.appended.clear()
    for index in sorted(waiters):
        for request in waiters[index]:
            answer(s, request, "appended", index=index, reason=reason)
