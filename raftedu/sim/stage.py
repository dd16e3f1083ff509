"""`Stage`: what a script knows while it is played: the simulation, the names it has given, the last answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import eq, ge, gt, le, lt, ne
from random import Random
from typing import Any, NamedTuple

from raftedu.core.asking import Reply
from raftedu.core.outputs import Answer
from raftedu.core.types import NodeId, Role, Seconds
from raftedu.sim.simulation import Simulation
from raftedu.sim.world import Operation

__all__ = ["COMPARISONS", "Asked", "ScriptError", "Stage", "number", "ranged", "settings"]

COMPARISONS: dict[str, Callable[[float, float], bool]] = {"=": eq, "!=": ne, "<": lt, "<=": le, ">": gt, ">=": ge}


class ScriptError(ValueError):
    """A script says what cannot be understood, or expects what is not so; the message names the line."""


class Asked(NamedTuple):
    """An operation that the script has asked for, and when. ``of``: what came of it, or who still pursues it; ``None``: no answer came."""

    op: str
    key: str
    value: str
    start: Seconds
    end: Seconds
    of: Operation | Reply | Answer | None

    @property
    def reply(self) -> Reply | Answer | None:
        """What came of it, ``None`` if nothing has come or will come."""
        return self.of.reply if isinstance(self.of, Operation) else self.of

    @property
    def ended(self) -> Seconds:
        """When its answer came, ``inf`` if none has."""
        return self.start + self.reply.took if isinstance(self.reply, Reply) else self.end


class Stage:
    """Everything between two commands of a script. ``rules`` are those that ``cluster ... rules=NAME`` may choose from."""

    def __init__(self, rules: Mapping[str, Mapping[str, Callable[[Any], Any]]]) -> None:
        self.rules = rules
        self.names: dict[str, NodeId] = {}
        self.operations: dict[str, Operation] = {}
        self.history: list[Asked] = []
        """All operations so far."""
        self.last: Reply | Answer | None = None
        """What came of the last operation; ``None`` if nothing came back."""
        self.marked_at: Seconds = 0.0
        self.random = Random()
        self._sim: Simulation | None = None

    @property
    def sim(self) -> Simulation:
        """The simulation that runs."""
        if self._sim is None:
            raise ScriptError("there is no cluster yet: begin with a line such as `cluster 5 seed=1`")
        return self._sim

    def begin(self, sim: Simulation) -> None:
        """Go on with another simulation."""
        self._sim = sim
        self.random = sim.world.stream("script")
        self.names, self.operations, self.history, self.last, self.marked_at = {}, {}, [], None, 0.0

    def node(self, word: str) -> NodeId:
        """Return the node that a word means: a number, a name given by ``name``, ``leader``, ``follower``, ``random`` or ``fallen``."""
        if word.isdigit():
            return int(word)
        if word in self.names:
            return self.names[word]
        up = [node for node in self.sim.nodes if self.sim.is_up(node)]
        if word == "random" and up:
            return self.random.choice(up)
        if word == "leader" and self.sim.leader is not None:
            return self.sim.leader
        if word == "follower":
            followers = [node for node in up if self.sim.world.lives[node].core.state.role != Role.LEADER]
            if followers:
                return followers[0]
        down = [node for node in self.sim.nodes if node not in up]
        if word == "fallen" and down:
            return self.random.choice(down)
        known = ", ".join([*self.names, "leader", "follower", "random", "fallen"])
        raise ScriptError(f"there is no node {word!r} now: a number or one of {known}")

    def nodes(self, words: list[str]) -> list[NodeId]:
        """Return the nodes that several words mean; ``all``, ``up`` and ``down`` mean several."""
        sim = self.sim
        several = {
            "all": sim.nodes,
            "up": [node for node in sim.nodes if sim.is_up(node)],
            "down": [node for node in sim.nodes if not sim.is_up(node)],
        }
        return [node for word in words for node in (several[word] if word in several else [self.node(word)])]

    def link(self, words: list[str]) -> tuple[NodeId, NodeId]:
        """Return the two ends of ``A > B``."""
        if len(words) != 3 or words[1] != ">":
            raise ScriptError(f"{' '.join(words)!r} is no link: write `A > B`")
        return self.node(words[0]), self.node(words[2])


def number(word: str) -> float:
    """Return a word as a number."""
    try:
        return float(word)
    except ValueError:
        raise ScriptError(f"{word!r} is no number") from None


def ranged(word: str) -> tuple[float, float]:
    """Return ``LOW..HIGH``, or one number twice."""
    low, dots, high = word.partition("..")
    return number(low), number(high if dots else low)


def settings(words: list[str]) -> dict[str, str]:
    """Return words such as ``loss=0.1`` as a table."""
    pairs = [word.partition("=") for word in words]
    wrong = [name for name, equals, _ in pairs if not equals]
    if wrong:
        raise ScriptError(f"{wrong[0]!r} is no setting: write `name=value`")
    return {name: value for name, _, value in pairs}
