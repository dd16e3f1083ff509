"""What a node would answer at this instant: does it hold a lease, would it serve a GET? Asked of a copy, so that nothing changes by it."""

from __future__ import annotations

from typing import NamedTuple

from raftedu.checker.invariants import Broken
from raftedu.checker.machine import Machine, Turn
from raftedu.checker.snapshot import Snapshot
from raftedu.core.inputs import ClientRequest
from raftedu.core.leases import lease_is_valid
from raftedu.core.node import Node
from raftedu.core.outputs import Outcome
from raftedu.core.rules import lease_is_valid as by_the_clock
from raftedu.core.rules import may_serve_read
from raftedu.core.types import Index, Role
from raftedu.core.views import ReadView, ValidView

__all__ = ["Look", "look"]

GET = ClientRequest("GET", "x", "", "reader", 1, "look")


class Look(NamedTuple):
    """``holds``: a lease, by the node's own rule. ``sees``: the index up to which a GET answered now would see, -1 if it is refused."""

    holds: bool
    sees: Index
    broken: Broken | None


def look(machine: Machine, place: int, old: Snapshot) -> Look:
    """Return what the node of this snapshot would answer."""
    turn, _ = machine.turn(place, old, GET)
    answer = turn.answers[0]
    served = answer.reason == ""
    node, now = machine.nodes[place], turn.now
    view, valid = _view(node, now)
    s = node.state
    holds = lease_is_valid(s, now)
    broken = None
    if holds and not valid:
        broken = Broken(
            "Lease by the Clock", f"node {s.node}, a {s.role}, takes its lease for valid; {_why_not(s.lease_expiry, s.wait_until, now)}"
        )
    elif served and not may_serve_read(view):
        broken = Broken("Read Under Lease", f"node {s.node}, a {s.role} of term {s.term}, answers a GET, though {_why_no_read(view)}")
    elif served and (answer.outcome != Outcome.SUCCESS or answer.value != s.kv.data.get(GET.key, "")):
        told = f"{answer.outcome.upper()} {answer.value!r}"
        broken = Broken("Read Answers the Value", f"node {s.node} answers a GET with {told}; the value is {s.kv.data.get(GET.key, '')!r}")
    elif not served and may_serve_read(view):
        broken = Broken("Read Under Lease", f"node {s.node} holds a valid lease in term {s.term}, has applied all, and refuses a GET")
    return Look(holds, _seen(turn) if served else -1, broken)


def _view(node: Node, now: float) -> tuple[ReadView, bool]:
    s = node.state
    valid = by_the_clock(ValidView(s.role, now, s.wait_until, s.lease_expiry))
    commit_term = s.log.term_at(s.commit_index) or 0
    mode = s.config.read_mode
    return ReadView(mode, s.role, valid, s.term, commit_term, s.commit_index, s.last_applied, now, s.wait_until, s.lease_expiry), valid


def _seen(turn: Turn) -> Index:
    return turn.new.last_applied


def _why_not(expiry: float | None, wait_until: float, now: float) -> str:
    if expiry is None:
        return "no majority has answered it"
    if now >= expiry:
        return "it has run out"
    return "it must wait for an older one" if now < wait_until else "it does not lead"


def _why_no_read(view: ReadView) -> str:
    if view.role is not Role.LEADER:
        return "it does not lead"
    if not view.lease_is_valid:
        return "it holds no valid lease"
    if view.commit_term != view.term:
        return "it has committed nothing of its own term"
    return f"it has applied only {view.last_applied} of {view.commit_index} committed entries"
