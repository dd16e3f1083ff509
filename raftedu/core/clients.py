"""Requests of clients: what is wrong with them, and SET by majority; a GET goes to `raftedu.core.reads` (§8)."""

from __future__ import annotations

from typing import Any

from raftedu.core.answers import answer, refuse
from raftedu.core.inputs import ClientRequest
from raftedu.core.reads import read
from raftedu.core.replication import append, send_round
from raftedu.core.state import State, say
from raftedu.core.types import GET, SET, Entry, Role, Seconds
from raftedu.core.views import DedupView, WriteView

__all__ = ["on_client_request"]

MAX_ID_BYTES = 1024
"""The longest client id, in bytes of UTF-8: it goes into every entry."""


def on_client_request(s: State, request: ClientRequest, now: Seconds) -> None:
    """Serve a SET or a GET, or say why not and where to ask instead."""
    say(
        s, "client_request", op_id=request.op_id, client=request.client, request=request.request, op=request.op, key=request.key,
        value=request.value,
    )  # fmt: skip
    problem = _problem(s, request)
    if problem:
        answer(s, request, "refused", reason=problem, final=True)
    elif request.op == SET:
        _write(s, request, now)
    else:
        read(s, request, now)


def _problem(s: State, request: ClientRequest) -> str:
    """Return what is wrong with the request itself, before anything is done with it; empty if nothing."""
    if request.op not in (SET, GET):
        return f"there is no operation {request.op!r}: use SET or GET"
    if request.request < 0:
        return f"the request id {request.request} is negative: request ids count up from 0; nothing was appended"
    if len(request.client.encode("utf-8", "surrogatepass")) > MAX_ID_BYTES:
        return f"the client id has more than {MAX_ID_BYTES} bytes; nothing was appended"
    texts: tuple[tuple[str, Any], ...] = (("key", request.key), ("value", request.value))
    for name, text in texts:
        if not isinstance(text, str):
            return f"the {name} is not text but {type(text).__name__}; nothing was appended"
        try:
            size = len(text.encode())
        except UnicodeEncodeError:
            return f"the {name} is not valid text (a lone surrogate cannot be written as UTF-8)"
        if size > s.config.max_bytes:
            return f"the {name} has {size} bytes, more than max_bytes={s.config.max_bytes}; nothing was appended"
    return ""


def _write(s: State, request: ClientRequest, now: Seconds) -> None:
    if not s.rules.accepts_client_write(WriteView(s.role, now, s.wait_until, s.config.lease_policy)):
        refuse(s, request, now)
    elif not _was_applied(s, request, now):
        index = s.appended.get((request.client, request.request)) if request.client else None
        if index is None or s.log.last_term != s.term:  # an older entry alone would never commit (§5.4.2); a copy takes effect once
            index = append(s, [Entry(s.term, SET, request.key, request.value, request.client, request.request)])
            if request.client:
                s.appended[request.client, request.request] = index
            if s.role == Role.LEADER:  # a wrong rule may let anyone append; nobody else has followers to send to
                send_round(s, now, s.peers)
        s.waiters.setdefault(index, []).append(request)


def _was_applied(s: State, request: ClientRequest, now: Seconds) -> bool:
    """Answer a retry of what is already applied, but not while an older lease may be valid [U5, U15]."""
    last = s.kv.last_request.get(request.client) if request.client else None
    if last is None or s.rules.apply_once(DedupView(request.client, request.request, last, is_leader=True)):
        return False
    if s.waiting:
        refuse(s, request, now)
    elif request.request == last:
        answer(s, request, "applied", reason="a retry: it had been applied before")
    else:
        answer(s, request, "outdated", reason=f"request {last} of this client came later and is applied", final=True)
    return True
