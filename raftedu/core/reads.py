"""GET in its four modes: at once under a lease, after a round (``read-index``), through the log, or at once in any case (``unsafe``).

Decides nothing: `may_serve_read` and `read_is_confirmed` do. A GET that has to wait for a round is parked; whoever arrives while a round
is on its way waits for the next one together, so that many readers cost no more rounds than one.
"""

from __future__ import annotations

from raftedu.core.answers import answer, refuse, tell_read, why_no_lease, why_not_leader
from raftedu.core.inputs import ClientRequest
from raftedu.core.leases import lease_is_valid
from raftedu.core.replication import append, heartbeat, send_round
from raftedu.core.state import ParkedRead, State
from raftedu.core.types import GET, Entry, Role, Seconds, make
from raftedu.core.views import ConfirmView, ReadView, WriteView

__all__ = ["read", "serve_reads"]


def read(s: State, request: ClientRequest, now: Seconds) -> None:
    """Answer a GET, let it wait for what its mode demands, or refuse it."""
    parked = make(ParkedRead, (request, s.commit_index, now, s.round))
    view = _view(s, parked, now)
    if s.rules.may_serve_read(view):
        _serve(s, parked, now)
    elif view.read_mode == "log" and s.rules.accepts_client_write(WriteView(s.role, now, s.wait_until, s.config.lease_policy)):
        _read_through_log(s, request, now)
    elif view.read_mode == "read-index" and s.rules.may_serve_read(view._replace(confirmed=True)):
        _park(s, parked, now)  # a round is all that it lacks
    else:
        why = _why_not(s, view)
        tell_read(s, request, now, None, why)
        refuse(s, request, now, why)


def serve_reads(s: State, now: Seconds) -> None:
    """Answer the parked GETs that may be answered now, and begin the next round for those that arrived after the last."""
    while s.reads and s.rules.may_serve_read(_view(s, s.reads[0], now)):
        _serve(s, s.reads.popleft(), now)
        if s.reads and s.reads[0].after_round >= s.full_round:
            heartbeat(s, now)


def _park(s: State, parked: ParkedRead, now: Seconds) -> None:
    s.reads.append(parked)
    if len(s.reads) == 1:
        heartbeat(s, now)


def _view(s: State, parked: ParkedRead, now: Seconds) -> ReadView:
    mode = s.config.read_mode
    confirmed = mode == "read-index" and s.rules.read_is_confirmed(
        ConfirmView(parked.asked_at, parked.after_round, dict(s.answered), s.majority)
    )
    commit_term = s.log.term_at(s.commit_index) or 0
    return make(ReadView, (
        mode, s.role, lease_is_valid(s, now), s.term, commit_term, s.commit_index, s.last_applied, now, s.wait_until, s.lease_expiry,
        parked.read_index, confirmed,
    ))  # fmt: skip


def _serve(s: State, parked: ParkedRead, now: Seconds) -> None:
    request, data = parked.request, s.kv.data
    value = data.get(request.key, "")
    if s.config.read_mode == "read-index":
        ackers = [[node, r.msg, r.sent_at] for node, r in s.answered.items() if r.number > parked.after_round]
        tell_read(s, request, now, value, read_index=parked.read_index, asked_at=parked.asked_at, ackers=ackers)
    else:
        tell_read(s, request, now, value)
    answer(s, request, "read", value=value, found=request.key in data)


def _read_through_log(s: State, request: ClientRequest, now: Seconds) -> None:
    """Append the GET; it is answered when it is applied, and changes nothing. A retry is a read of its own."""
    index = append(s, [Entry(s.term, GET, request.key, "", request.client, request.request)])
    s.waiters.setdefault(index, []).append(request)
    if s.role == Role.LEADER:  # a wrong rule may let anyone append; nobody else has followers to send to
        send_round(s, now, s.peers)


def _why_not(s: State, view: ReadView) -> str:
    if s.role != Role.LEADER:
        return why_not_leader(s)
    if view.now < view.wait_until or (view.read_mode == "lease" and not view.lease_is_valid):
        return why_no_lease(s, view.now)
    if view.commit_term != view.term:
        return f"node {s.node} has committed no entry of its term {s.term} yet"
    return f"node {s.node} has applied only {view.last_applied} of {view.commit_index} committed entries"
