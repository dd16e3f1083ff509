"""The sentence above a picture: what is seen in it, said once, and true in every case.

Knows the frames of a trace; must not know how they are drawn. The worst news comes first: two valid leases, then a
cluster that nobody leads, then who took over from whom and what that cost.
"""

from __future__ import annotations

from typing import Any

from raftedu.plot.lanes import TOLERANCE, binding_promise, wait_is_cut
from raftedu.plot.scene import Scene

__all__ = ["NOTHING", "lease_sentence", "roles_sentence"]

NOTHING = "Nothing happened yet."

_FATES = {"crashed": "crashes", "stopped": "stops", "open": "leads on"}


def lease_sentence(scene: Scene) -> str:
    """Return what the lease picture shows, in a sentence or two."""
    if scene.is_empty:
        return NOTHING
    if scene.doubled:
        return _two_leases(scene)
    leaders = scene.leaders
    if not leaders:
        return _nobody(scene)
    if len(leaders) == 1:
        return _one_leader(scene, leaders[0])
    if len(leaders) == 2:
        return _handover(scene, *leaders)
    return _many(scene, leaders)


def roles_sentence(scene: Scene) -> str:
    """Return what the roles picture shows, in a sentence or two."""
    if scene.is_empty:
        return NOTHING
    leaders = scene.leaders
    if not leaders:
        return _nobody(scene)
    if len(leaders) > 3:
        return f"{len(leaders)} leaders one after the other.{_fruitless(scene)}"
    turns = [f"node {leader.node} in term {leader.term}" for leader in leaders]
    verb = " leads in" if leaders[-1].why == "open" else " led in"
    led = (turns[0].replace(" in", verb, 1) + "".join(f", then {turn}" for turn in turns[1:])).capitalize()
    return f"{led}.{_fruitless(scene)}"


def _two_leases(scene: Scene) -> str:
    first = scene.doubled[0]
    more = len(scene.doubled) - 1
    again = "" if not more else f" It happens {more} more time{'' if more == 1 else 's'}."
    return (
        f"Two valid leases at one instant: node {first.node} in term {first.term} and node {first.other} in term "
        f"{first.other_term}, for {scene.length(first.end - first.start)}.{again}"
    )


def _nobody(scene: Scene) -> str:
    fought = len(scene.elections)
    if not fought:
        return "Nobody leads: no election has begun."
    running = any(election.outcome == "open" for election in scene.elections)
    won = "none won yet" if running else "none won"
    return f"Nobody leads: {_count(fought, 'election')}, {won}."


def _fruitless(scene: Scene) -> str:
    """A remark on the terms whose election nobody won."""
    lost = len({e.term for e in scene.elections} - {e.term for e in scene.elections if e.outcome != "lost"})
    return f" {_count(lost, 'term')} brought no leader." if lost else ""


def _one_leader(scene: Scene, leader: Any) -> str:
    lease = _of_leader(scene.leases, leader)
    elected = _elected(scene, leader)
    if leader.why != "open":
        return f"{elected} {_fate(scene, leader)} Nobody leads after that."
    if lease is None or scene.waits_for(leader) is not None:
        return elected
    renewed = len(lease.renewals)
    times = "not yet renewed" if not renewed else f"renewed {_count(renewed, 'time')}"
    return f"Node {leader.node} leads in term {leader.term}; its lease was {times}.{_fruitless(scene)}"


def _handover(scene: Scene, old: Any, new: Any) -> str:
    after = "" if new.why == "open" else f" Then {_fate(scene, new)[0].lower()}{_fate(scene, new)[1:]}"
    return f"{_fate(scene, old, until=new.start)} {_elected(scene, new, again=old.node == new.node)}{after}"


def _many(scene: Scene, leaders: list[Any]) -> str:
    opening = f"{len(leaders)} leaders one after the other."
    waits = [wait for wait in scene.waits if wait.length > TOLERANCE]
    if not waits:
        return f"{opening} None had to wait for a lease before its own."
    longest = max(waits, key=lambda wait: wait.length)
    return f"{opening} The longest wait for an old promise: {scene.length(longest.length)}, node {longest.node} in term {longest.term}."


def _elected(scene: Scene, leader: Any, again: bool = False) -> str:
    """How the election of `leader` went on: had it to wait, for whom, and did it live to see the end of it."""
    who = f"Node {leader.node} is elected{' again' if again else ''}"
    wait = scene.waits_for(leader)
    if wait is not None:
        return f"{who}, {_waiting(scene, wait)}"
    if _of_leader(scene.leases, leader) is None:
        return f"{who} in term {leader.term}, but never gets a lease." if leader.why != "open" else f"{who} and has no lease yet."
    if len(scene.leaders) == 1:
        return f"{who} in term {leader.term}."
    return f"{who} and need not wait: every promise has run out."


def _waiting(scene: Scene, wait: Any) -> str:
    promise = binding_promise(wait, scene.promises)
    until = "an old promise" if promise is None else f"the promise to node {promise.leader}"
    if not wait_is_cut(wait):
        return f"but may not act until {until} has run out."
    if wait.end >= scene.end - TOLERANCE:
        return f"and still waits for {until} to run out."
    return f"but is gone before {until} has run out."


def _fate(scene: Scene, leader: Any, until: float | None = None) -> str:
    """What became of a leader, by the fault that hit it before `until` or else by its own events."""
    if leader.why in ("crashed", "stopped"):
        return f"Node {leader.node} {_FATES[leader.why]}."
    hit = _fault_of(scene, leader, leader.end if until is None else min(until, scene.end))
    if hit:
        return f"Node {leader.node} is {hit}."
    lease = _of_leader(scene.leases, leader)
    if lease is not None and lease.why == "expired":
        return f"The lease of node {leader.node} runs out."
    return f"Node {leader.node} still believes that it leads." if leader.why == "open" else f"Node {leader.node} steps down."


def _fault_of(scene: Scene, leader: Any, until: float) -> str:
    during = [fault for fault in scene.faults if fault.start <= until and fault.end > leader.start]
    if any(fault.kind == "paused" and fault.node == leader.node for fault in during):
        return "paused"
    ends = [{fault.node, fault.peer} for fault in during if fault.kind == "link"]
    lost = {node for end in ends if leader.node in end for node in end} - {leader.node}
    return "cut off" if len(lost) >= len(scene.trace.nodes) / 2 else ""


def _of_leader(rows: list[Any], leader: Any) -> Any | None:
    return next((row for row in rows if (row.node, row.term) == (leader.node, leader.term)), None)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
