"""A schedule played once more with everything written down: what each node did, said and was asked, step by step.

Nothing is remembered between turns here, so that a rule that answers differently the second time is found out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from raftedu.checker.invariants import Broken
from raftedu.checker.machine import Happens, Turn, recorded
from raftedu.checker.profiles import Profile
from raftedu.checker.search import Search, warm_up
from raftedu.checker.snapshot import Snapshot
from raftedu.checker.steps import Late, Place, Step, Tick, in_words
from raftedu.core.messages import Message
from raftedu.core.outputs import Say
from raftedu.core.rules import RULES, Rules
from raftedu.core.types import NodeId

__all__ = ["Call", "Parting", "Scene", "Schedule", "Script", "Told", "parting", "play", "script"]


class Call(NamedTuple):
    """A rule that was asked: its name, the view it was given, what it answered."""

    rule: str
    view: Any
    answer: Any


class Told(NamedTuple):
    """One turn: the node, what happened to it, what it said, what was broken."""

    node: NodeId
    happens: Happens
    said: tuple[Say, ...]
    broken: Broken | None


@dataclass
class Scene:
    """One step of a schedule. ``nodes`` are the snapshots after it; ``before`` marks a step of the warm-up.

    ``possible``: it could happen under these rules.
    """

    words: str
    before: bool
    possible: bool = True
    nodes: tuple[Snapshot, ...] = ()
    holders: tuple[NodeId, ...] = ()
    turns: list[Told] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    obligation: Broken | None = None
    outcome: Broken | None = None


class Script(NamedTuple):
    """A step that stands for itself: ``packet`` is the message of a `Late` one, and ``held_in`` the step that held it back, counted from 0
    over the whole schedule, ``None`` if that is not known.
    """

    step: Step
    packet: tuple[Place, Message] | None = None
    held_in: int | None = None


class Schedule(NamedTuple):
    """What is to be played; the first ``before`` steps lead to a stable leader."""

    profile: Profile
    scripts: tuple[Script, ...]
    before: int


class Parting(NamedTuple):
    """Where a rule first answered otherwise than the reference does on the same view; ``step`` counts from 1, the warm-up not counted."""

    step: int
    rule: str
    view: Any
    answered: Any
    reference: Any


def script(search: Search, steps: list[Step]) -> Schedule:
    """Return the schedule that a search found, independent of that search."""
    first = warm_up(search.profile)
    packets, held_in = search.system.packets, _held_in(search, steps)
    scripts = [Script(step) for step in first]
    for step, since in zip(steps, held_in, strict=True):
        known = since if since is None else since + len(first)
        scripts.append(Script(step, packets[step.packet], known) if isinstance(step, Late) else Script(step))
    return Schedule(replace(search.profile, warm=False), tuple(scripts), len(first))


def _held_in(search: Search, steps: list[Step]) -> list[int | None]:
    """Return for every step that delivers a message which of these steps had held it back; ``None`` for all others."""
    system, state = search.system, search.start
    net: list[tuple[int, int]] = []  # what is held, and since which step
    found: list[int | None] = [None] * len(steps)
    for number, step in enumerate(steps):
        try:
            move = search.move(state, step)
        except LookupError:  # under one set of names it does not go on: a rule looks at ids
            break
        if move.silent:
            net = [(system.old(packet), since) for packet, since in net]
        elif isinstance(step, Tick):
            net = [(system.aged(packet, step.slow), since) for packet, since in net]
        elif isinstance(step, Late):
            place = [packet for packet, _ in net].index(step.packet)
            found[number] = net[place][1]
            if not step.again:
                del net[place]
        state, _, _ = search.apply(state, move)
        new = Counter(state[1]) - Counter(packet for packet, _ in net)
        net += [(packet, number) for packet in new.elements()]
    return found


def play(schedule: Schedule, rules: Rules) -> list[Scene]:
    """Return what happens under these rules, up to the first outcome that breaks; steps that cannot happen are marked and left out."""
    calls: list[Call] = []
    names = tuple(name for name in Rules.__dataclass_fields__ if getattr(rules, name) is not getattr(RULES, name))
    spied = recorded(rules, names, lambda name, view, answer: calls.append(Call(name, deepcopy(view), answer)))
    search = Search(schedule.profile, spied, alike=False)
    system, state, scenes = search.system, search.start, []
    system.machine.listen()
    for number, (step, packet, _) in enumerate(schedule.scripts):
        step = step if packet is None else Late(system.packet_id(*packet), step.again)  # type: ignore[union-attr]
        scene = Scene(in_words(step, system.packets, timed=schedule.profile.timed), number < schedule.before)
        scenes.append(scene)
        calls.clear()
        system.on_turn = [lambda turn, _, broken, scene=scene: scene.turns.append(_told(turn, broken))]
        try:
            state, scene.obligation, scene.outcome = search.apply(state, search.move(state, step))
        except LookupError:
            scene.possible = False
        scene.nodes = tuple(system.snapshots[node] for node in state[0])
        scene.calls = list(calls)
        scene.holders = _holders(search, state[0])
        if scene.outcome is not None:
            break
    return scenes


def _told(turn: Turn, broken: Broken | None) -> Told:
    return Told(turn.node, turn.happens, tuple(turn.said), broken)


def _holders(search: Search, nodes: tuple[int, ...]) -> tuple[NodeId, ...]:
    if not search.profile.timed:
        return ()
    return tuple(place + 1 for place, node in enumerate(nodes) if search.system.look(place, node).holds)


def parting(scenes: list[Scene], names: Sequence[str]) -> Parting | None:
    """Return where one of these rules first answered otherwise than the reference."""
    first = sum(scene.before for scene in scenes)
    for number, scene in enumerate(scenes, 1):
        for call in scene.calls:
            if call.rule not in names:
                continue
            reference = getattr(RULES, call.rule)(call.view)
            if call.answer != reference:
                return Parting(max(0, number - first), call.rule, call.view, call.answer, reference)
    return None
