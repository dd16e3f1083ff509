"""What a node owes whoever asks for a GET that is not answered under a lease (modes ``read-index`` and ``log`` of docs/protocol.md).

As in `raftedu.checker.vote_obligations`: one turn in, the reason out if an obligation is broken. All GETs are asked by `READER`, with the
index that had been acknowledged by then for a request id.
"""

from __future__ import annotations

from raftedu.checker.machine import Turn
from raftedu.checker.snapshot import epoch_of
from raftedu.checker.steps import READER
from raftedu.checker.turns import NEARLY
from raftedu.core.outputs import Answer, Outcome
from raftedu.core.types import GET, Role

__all__ = ["answers_confirmed", "read_after_a_round", "read_through_the_log", "stale_read"]


def _served(t: Turn) -> list[Answer]:
    return [answer for answer in t.answers if answer.client == READER and answer.outcome == Outcome.SUCCESS]


def stale_read(t: Turn) -> str | None:
    """A GET sees every SET that was acknowledged before it was asked."""
    if t.new.config.read_mode == "unsafe":
        return None  # which promises nothing
    for answer in _served(t):
        seen = answer.index or t.new.last_applied
        if seen < answer.request:
            return f"node {t.node} answers a GET as of entry {seen}, after entry {answer.request} was acknowledged"
    return None


def read_after_a_round(t: Turn) -> str | None:
    """In mode read-index a GET is answered by a leader that a majority has answered a round sent after it arrived, when it has
    committed an entry of its term and applied all that was committed by then (§8).
    """
    s = t.new
    if s.config.read_mode != "read-index":
        return None
    for place, _ in enumerate(_served(t)):
        parked = t.old.reads[place] if place < len(t.old.reads) else None
        later = [] if parked is None else [node for node, r in s.answered.items() if epoch_of(r.number) > parked.epoch]
        reader = f"node {t.node}, a {s.role} of term {s.term}, answers a GET"
        if 1 + len(later) < s.majority:
            who = f"only node {', '.join(map(str, sorted(later)))} has" if later else "nobody has"
            return f"{reader}, and {who} answered a round that was sent after it arrived; with the leader, {s.majority} make a majority"
        if s.role is not Role.LEADER or t.now < s.wait_until - NEARLY:
            return f"{reader}, and {'waits for an older lease' if s.role is Role.LEADER else 'does not lead'}"
        if s.log.term_at(s.commit_index) != s.term:
            return f"{reader}, and has committed nothing of its own term"
        if s.last_applied < (parked.read_index if parked is not None else s.commit_index):
            return f"{reader} and has applied only {s.last_applied} of the entries that were committed when it arrived"
    return None


def read_through_the_log(t: Turn) -> str | None:
    """In mode log a GET is answered when its own entry is committed and applied, and not before."""
    s = t.new
    for answer in _served(t) if s.config.read_mode == "log" else ():
        index = answer.index
        if not index or index > min(s.commit_index, s.last_applied) or s.log.entry(index).op != GET:
            return f"node {t.node} answers a GET in mode log that is no entry of its log, or one that is not applied"
    return None


def answers_confirmed(t: Turn) -> str | None:
    """In mode read-index a GET is answered as soon as a round that was sent after it arrived is answered by a majority."""
    s = t.new
    if not s.reads or s.role is not Role.LEADER or t.now < s.wait_until or s.log.term_at(s.commit_index) != s.term:
        return None
    first = s.reads[0]
    later = [node for node, r in s.answered.items() if r.number > first.after_round]
    if 1 + len(later) < s.majority or s.last_applied < first.read_index:
        return None
    return f"node {t.node} lets a GET wait on; a round sent after it arrived was answered by node {', '.join(map(str, sorted(later)))}"
