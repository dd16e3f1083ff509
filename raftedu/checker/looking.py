"""What a node would answer at this instant: does it hold a lease, would it serve a GET? Asked of a copy, so that nothing changes by it."""

from __future__ import annotations

from typing import NamedTuple

from raftedu.checker.invariants import Broken
from raftedu.checker.machine import Machine, Turn
from raftedu.checker.snapshot import Snapshot
from raftedu.checker.steps import READER
from raftedu.core.inputs import ClientRequest
from raftedu.core.leases import lease_is_valid
from raftedu.core.node import Node
from raftedu.core.outputs import Outcome
from raftedu.core.rules import lease_is_valid as by_the_clock
from raftedu.core.rules import may_serve_read
from raftedu.core.types import Index, Role
from raftedu.core.views import ReadView, ValidView

__all__ = ["Look", "look"]

GET = ClientRequest("GET", "x", "", READER, 0, "look")

_RULES = {"lease": "Read Under Lease", "read-index": "Read After a Round", "log": "Read Through the Log"}


class Look(NamedTuple):
    """``holds``: a lease, by the node's own rule. ``sees``: the index up to which a GET answered at once would see, -1 if none is."""

    holds: bool
    sees: Index
    broken: Broken | None


def look(machine: Machine, place: int, old: Snapshot) -> Look:
    """Return what the node of this snapshot would answer."""
    turn, _ = machine.turn(place, old, GET)
    node, now = machine.nodes[place], turn.now
    view, valid = _view(node, now)
    s = node.state
    holds = lease_is_valid(s, now)
    answer = next((answer for answer in turn.answers if answer.op_id == GET.op_id), None)
    if view.read_mode == "unsafe" or answer is None:  # which promises nothing; or it waits, as the modes without a lease let it
        return Look(holds, -1, None)
    served, right, rule = answer.reason == "", may_serve_read(view), _RULES[view.read_mode]
    broken = None
    if holds and not valid:
        broken = Broken(
            "Lease by the Clock", f"node {s.node}, a {s.role}, takes its lease for valid; {_why_not(s.lease_expiry, s.wait_until, now)}"
        )
    elif served and not right:
        broken = Broken(rule, f"node {s.node}, a {s.role} of term {s.term}, answers a GET, though {_why_no_read(view)}")
    elif served and (answer.outcome != Outcome.SUCCESS or answer.value != s.kv.data.get(GET.key, "")):
        told = f"{answer.outcome.upper()} {answer.value!r}"
        broken = Broken("Read Answers the Value", f"node {s.node} answers a GET with {told}; the value is {s.kv.data.get(GET.key, '')!r}")
    elif not served and right:
        by = "holds a valid lease" if view.read_mode == "lease" else "may read"
        broken = Broken("GET Is Answered", f"node {s.node} {by} in term {s.term}, has applied all, and refuses a GET")
    return Look(holds, _seen(turn) if served else -1, broken)


def _view(node: Node, now: float) -> tuple[ReadView, bool]:
    s = node.state
    valid = by_the_clock(ValidView(s.role, now, s.wait_until, s.lease_expiry))
    commit_term = s.log.term_at(s.commit_index) or 0
    mode = s.config.read_mode
    alone = mode == "read-index" and s.majority == 1  # the only one whose GET needs no round
    view = ReadView(
        mode, s.role, valid, s.term, commit_term, s.commit_index, s.last_applied, now, s.wait_until, s.lease_expiry, s.commit_index, alone,
    )  # fmt: skip
    return view, valid


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
    if view.read_mode == "lease" and not view.lease_is_valid:
        return "it holds no valid lease"
    if view.read_mode == "log":
        return "nothing of it went through the log"
    if view.read_mode == "read-index" and not view.confirmed:
        return "nobody has answered a round that was sent after it arrived"
    if view.commit_term != view.term:
        return "it has committed nothing of its own term"
    return f"it has applied only {view.last_applied} of {view.commit_index} committed entries"
