"""The referee: plays a schedule on the message-level simulator and says what breaks there, by an audit that remembers nothing.

A search works with snapshots, remembered turns and judgements; the referee has real nodes, real messages and the plain rules of
`raftedu.checker.plain` and `raftedu.sim.safety`. What both find is believed. It knows nothing of how a schedule was found.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING

from raftedu.checker.directed import DirectedCluster, Held, Played
from raftedu.checker.invariants import Broken
from raftedu.checker.profiles import TICK
from raftedu.checker.replay import Schedule, Script
from raftedu.checker.steps import Append, Crash, Elect, Late, Read, Tick, Write
from raftedu.checker.still import Sent
from raftedu.core.messages import AppendEntries, AppendReply, Message, RequestVote, VoteReply
from raftedu.core.outputs import Say
from raftedu.core.rules import Rules
from raftedu.core.types import NodeId, Seconds
from raftedu.events import MemoryDump, sentence
from raftedu.sim.safety import broken as unsafe

if TYPE_CHECKING:
    from raftedu.trace import Trace

__all__ = ["Ruling", "directed", "judge", "parted_at"]


@dataclass(frozen=True)
class Ruling:
    """What a schedule came to under some rules. Steps count from 1, the first ``before`` of ``played``, the warm-up, not counted.

    What follows the last of ``steps`` is part of it: where time matters, a client asks every node at the end. ``unsafe``:
    what `raftedu.sim.safety` found in the dumps at the end.
    """

    played: tuple[Played, ...]
    before: int
    steps: int
    dumps: tuple[MemoryDump, ...]
    unsafe: tuple[Broken, ...] = ()

    @property
    def broken(self) -> list[tuple[int, Broken]]:
        """All that broke, each with its step; 0 for the warm-up."""
        return [(self._number(place), broken) for place, step in enumerate(self.played) for broken in step.broken]

    def _number(self, place: int) -> int:
        return min(max(0, place + 1 - self.before), self.steps)

    @property
    def names(self) -> list[str]:
        """The invariants that broke, in the order in which they did."""
        return list(dict.fromkeys(broken.name for _, broken in self.broken))

    @property
    def upheld(self) -> bool:
        """Whether nothing broke."""
        return not self.broken and not self.unsafe

    @property
    def left_out(self) -> list[int]:
        """The steps that could not happen under these rules."""
        return [self._number(place) for place, step in enumerate(self.played) if not step.possible]

    @property
    def trace(self) -> Trace:
        """The `Trace` of it all, for pictures; loads pandas."""
        trace: Trace = import_module("raftedu.trace").trace_of(self.dumps)
        return trace

    @property
    def sentences(self) -> list[list[str]]:
        """What the nodes said in each step of ``played``, in the order of time."""
        return [[_sentence(node, say) for node, _, say in heard] for heard in self._said()]

    def _said(self) -> list[list[tuple[NodeId, Seconds, Say]]]:
        told: list[list[tuple[NodeId, Seconds, Say]]] = [[] for _ in self.played]
        for dump in self.dumps:
            rows, begin = dump.rows, 0
            for step, heard in zip(self.played, told, strict=True):
                end = step.ends[dump.node]
                heard += [(dump.node, row.time, row.say) for row in rows[begin:end]]
                begin = end
        return [sorted(heard, key=lambda each: each[1]) for heard in told]


def _sentence(node: NodeId, say: Say) -> str:
    return sentence(say.event, node, say.term, say.role, say.peer, say.index, say.facts)


def judge(schedule: Schedule, rules: Rules) -> Ruling:
    """Return what this schedule comes to under these rules; steps that cannot happen are left out.

    Raises
    ------
    RuleError
        A rule raised, or answered nonsense.
    """
    cluster = directed(schedule, rules)
    if schedule.profile.timed:
        for node in cluster.nodes:
            cluster.read(node)
    dumps = tuple(cluster.world.dumps[node] for node in cluster.config.nodes)
    steps = len(schedule.scripts) - schedule.before
    return Ruling(tuple(replace(step, held=Held()) for step in cluster.played), schedule.before, steps, dumps, tuple(_unsafe(cluster)))


_MEANS = {
    "elections": "Election Safety", "leases": "Lease Disjoint", "commits": "State Machine Safety", "logs": "Log Matching",
    "writes": "Leader Completeness", "nodes": "Node Goes On",
}  # fmt: skip
"""Which invariant a check of `raftedu.sim.safety` looks after."""


def _unsafe(cluster: DirectedCluster) -> list[Broken]:
    found = [Broken(_MEANS[name], words) for name, words in unsafe(cluster).items()]
    return [wrong for wrong in found if wrong.name not in cluster.profile.overlooks]


def directed(schedule: Schedule, rules: Rules) -> DirectedCluster:
    """Return a cluster on which this schedule was played."""
    cluster = DirectedCluster.of(schedule.profile, rules)
    player = _Player(cluster)
    for script in schedule.scripts:
        player.play(script)
    return cluster


class _Player:
    """Turns the scripts of a schedule into calls of a directed cluster."""

    def __init__(self, cluster: DirectedCluster) -> None:
        self._cluster = cluster
        self._held: list[tuple[int, Sent, Seconds]] = []  # in which step it was held, itself, and when

    def play(self, script: Script) -> None:
        """Play one step."""
        cluster = self._cluster
        match script.step:
            case Elect(i, voters, term, delayed):
                self._hold(cluster.elect(i + 1, via=[voter + 1 for voter in voters], term=term, votes_late=delayed))
            case Append(i, j, how):
                name, _, what = how.partition(" ")
                self._hold(cluster.append(i + 1, j + 1, **({name: what} if how else {})))
            case Late(_, again):
                self._deliver(script, again)
            case Write(i, number, _):
                cluster.write(i + 1, f"w{number}")
            case Read(i, _):
                cluster.read(i + 1)
            case Crash(i):
                cluster.crash_and_restart(i + 1)
            case Tick(slow, stuck):
                cluster.tick(slow=slow + 1 if slow >= 0 else None, stuck=stuck + 1 if stuck >= 0 else None)

    def _hold(self, held: Held) -> None:
        place = len(self._cluster.played) - 1
        self._held += [(place, sent, self._cluster.world.now) for sent in held.messages]

    def _deliver(self, script: Script, again: bool) -> None:
        found = self._find(script)
        self._cluster.deliver(Held() if found is None else Held((found[1],)), again=again)
        if found is not None and not again:
            self._held.remove(found)

    def _find(self, script: Script) -> tuple[int, Sent, Seconds] | None:
        """Return what was held that is meant: what the script names, else what is most like it."""
        assert script.packet is not None
        to, wanted = script.packet
        alike = [
            each for each in self._held
            if script.held_in in (None, each[0]) and each[1].to == to + 1 and _kind(each[1].packet[0]) == _kind(wanted)
        ]  # fmt: skip
        return min(alike, key=lambda each: self._unlike(each, wanted), default=None)

    def _unlike(self, each: tuple[int, Sent, Seconds], wanted: Message) -> tuple[bool, float]:
        """Return whether a message says something else, and by how many ticks its age differs."""
        _, sent, since = each
        age = round((self._cluster.world.now - since) / TICK)
        told = age if isinstance(wanted, RequestVote | VoteReply) else wanted.round
        return _said_by(sent.packet[0]) != _said_by(wanted), abs(told - age)


def _kind(message: Message) -> tuple[type[Message], NodeId]:
    return type(message), message.sender


def _said_by(message: Message) -> Message:
    """Return a message without what depends on when it was sent."""
    if isinstance(message, AppendEntries):
        return message._replace(round=0, sent_at=0.0)
    if isinstance(message, AppendReply):
        return message._replace(round=0)
    return message._replace(remaining=round(message.remaining)) if isinstance(message, VoteReply) else message


def parted_at(one: Ruling, other: Ruling) -> int | None:
    """Return in which step two rulings of the same schedule first differ in what nodes are or say; ``None``: in none, 0: in the warm-up."""
    mine, theirs = one._said(), other._said()
    for place, (a, b) in enumerate(zip(one.played, other.played, strict=False)):
        if (a.possible, a.nodes, mine[place]) != (b.possible, b.nodes, theirs[place]):
            return one._number(place)
    return None
