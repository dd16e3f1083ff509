"""`Machine`: lets one node of the real core live through one turn, from a snapshot to a snapshot, and carries out what it asks for.

A turn is everything that one node does with one input: the step itself, what it wants written, and the steps that follow from its being
written. The disk is as lazy as it may be: it writes when a message waits for it, when the next turn of the node begins, and, if the profile
knows no crashes, at the end of every turn. Knows nothing of searching; `raftedu.checker.obligations` judges each turn.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from raftedu.checker.profiles import Profile
from raftedu.checker.snapshot import Disk, Snapshot, restore, take
from raftedu.core.inputs import ClientRequest, Input, Persisted, Receive, TimerFired
from raftedu.core.messages import Message
from raftedu.core.node import Node
from raftedu.core.outputs import Answer, Output, Persist, Say, Send, SetTimer
from raftedu.core.rules import Rules
from raftedu.core.state import ELECTION, LEADER, State, Unsynced
from raftedu.core.types import GET, Durable, Entry, HardState, NodeId, Role, Seconds

__all__ = ["CAMPAIGN", "HEARTBEAT", "PASS", "RESTART", "Left", "Machine", "Turn", "Wake", "recorded"]

BASE: Seconds = 1000.0
"""What every node's clock shows during every turn; where nodes have clocks of their own, each is half a lease ahead of the one before."""


class Wake(NamedTuple):
    """An input of the machine's own: ``"campaign"`` to reach ``term``, ``"heartbeat"``, ``"pass"`` or ``"restart"``."""

    what: str
    term: int = 0


CAMPAIGN, HEARTBEAT, PASS, RESTART = "campaign", "heartbeat", "pass", "restart"

Happens: TypeAlias = Message | ClientRequest | Wake


class Left(NamedTuple):
    """A message that left its node, and what was on disk at that moment."""

    to: NodeId
    message: Message
    hard: HardState
    entries: tuple[Entry, ...]


class Turn(NamedTuple):
    """One turn of one node, to be judged. Times in ``old`` are relative to the moment it was taken, ``passed`` seconds ago."""

    node: NodeId
    old: Snapshot
    passed: Seconds
    happens: Happens
    new: State
    now: Seconds
    left: list[Left]
    answers: list[Answer]
    timers: list[SetTimer]
    said: list[Say]


class Machine:
    """The nodes of one profile under one table of rules; between two turns nothing of the turn before is left in them."""

    def __init__(self, profile: Profile, rules: Rules, *, listening: bool = False) -> None:
        self.profile, self.rules, self.listening = profile, rules, listening
        self.config = profile.config()
        self.nodes = [self._node(node, Durable()) for node in self.config.nodes]
        shift = self.config.lease / 2 if profile.offsets else 0.0
        self.clocks = [BASE + shift * place for place in range(profile.n)]
        self._pending: list[tuple[Persist, Unsynced]] = []
        self._hard, self._entries = HardState(), ()  # type: tuple[HardState, tuple[Entry, ...]]

    def listen(self) -> None:
        """Let the nodes say what they do, from now on."""
        self.listening = True
        for node in self.nodes:
            node.state.listening = True

    def _node(self, node: NodeId, durable: Durable) -> Node:
        new = Node(node, self.config, self.rules, durable)
        new.state.listening = self.listening
        return new

    def turn(self, place: int, old: Snapshot, happens: Happens, *, passed: Seconds = 0.0, writes: bool = True) -> tuple[Turn, Snapshot]:
        """Let ``happens`` happen to the node at ``place``; without ``writes`` its disk stays stuck meanwhile, if it was behind."""
        now = self.clocks[place]
        node = self.nodes[place]
        turn = Turn(node.state.node, old, passed, happens, node.state, now, [], [], [], [])
        self._begin(old)
        if isinstance(happens, Wake) and happens.what == RESTART:
            node = self.nodes[place] = self._node(turn.node, Durable(self._hard, self._entries, True))
            turn = turn._replace(new=node.state)
            self._pending = []
            self._do(turn, node, node.start(now))
        else:
            restore(node.state, old, now, passed)
            if writes and self._pending:
                self._write(turn, node)
            self._happen(turn, node, happens)
        while self._pending and not self.profile.lazy_disk:
            self._write(turn, node)
        disk = self._behind(node.state, now) if self._pending else None
        return turn, take(node.state, now, self.profile, disk, _epoch(turn) if self.profile.gets else 0)

    def _behind(self, s: State, now: Seconds) -> Disk:
        since = [round(unsynced.since - now, 6) if self.profile.timed else 0.0 for unsynced in s.unsynced]
        pending = [(p._replace(seq=i), u._replace(seq=i, since=since[i - 1])) for i, (p, u) in enumerate(self._pending, 1)]
        return Disk(self._hard, self._entries, tuple(pending))

    def _begin(self, old: Snapshot) -> None:
        if old.disk is None:
            self._hard, self._entries, self._pending = HardState(old.term, old.voted_for, old.promised), old.log, []
        else:
            self._hard, self._entries, self._pending = old.disk.hard, old.disk.entries, list(old.disk.pending)

    def _happen(self, turn: Turn, node: Node, happens: Happens) -> None:
        s, now = node.state, turn.now
        if not isinstance(happens, Wake):
            input: Input = happens if isinstance(happens, ClientRequest) else Receive(happens)
            self._do(turn, node, node.step(input, now))
        elif happens.what == CAMPAIGN:
            self._campaign(turn, node, happens.term)
        elif s.role is Role.LEADER:
            s.next_heartbeat_at = now
            self._do(turn, node, node.step(TimerFired(LEADER, s.generation[LEADER]), now))

    def _campaign(self, turn: Turn, node: Node, term: int) -> None:
        """Let the election timer run out until ``term`` is reached; of the requests only the last ones arrive anywhere."""
        s = node.state
        for _ in range(max(1, term - s.term)):
            turn.left.clear()
            self._do(turn, node, node.step(TimerFired(ELECTION, s.generation[ELECTION]), turn.now))

    def _do(self, turn: Turn, node: Node, outputs: list[Output]) -> None:
        must_write = False
        for output in outputs:
            match output:
                case Send():
                    if output.after and self._pending:
                        must_write = True
                        self._to_disk()
                    turn.left.append(Left(output.to, output.message, self._hard, self._entries))
                case Persist():
                    self._pending.append((output, node.state.unsynced[-1]._replace(since=0.0)))
                case SetTimer():
                    turn.timers.append(output)
                case Answer():
                    turn.answers.append(output)
                case Say():
                    turn.said.append(output)
        if must_write:
            self._report(turn, node)

    def _write(self, turn: Turn, node: Node) -> None:
        self._to_disk()
        self._report(turn, node)

    def _to_disk(self) -> None:
        for persist, _ in self._pending:
            if persist.hard is not None:
                self._hard = persist.hard
            if persist.first:
                self._entries = self._entries[: persist.first - 1] + persist.entries
        self._pending = []

    def _report(self, turn: Turn, node: Node) -> None:
        self._do(turn, node, node.step(Persisted(node.state.seq), turn.now))


def _epoch(turn: Turn) -> int:
    """Return how many GETs this leader has been asked in its term: its rounds are told apart by that."""
    if turn.new.role is not Role.LEADER or (turn.old.role, turn.old.term) != (Role.LEADER, turn.new.term):
        return 0
    return turn.old.epoch + (isinstance(turn.happens, ClientRequest) and turn.happens.op == GET)


def recorded(rules: Rules, names: tuple[str, ...], note: Callable[[str, Any, Any], None]) -> Rules:
    """Return the same rules; each call of one of ``names`` is noted: the rule, its view, its answer."""

    def spy(name: str, rule: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def call(view: Any) -> Any:
            answer = rule(view)
            note(name, view, answer)
            return answer

        return call

    return rules.but(**{name: spy(name, getattr(rules, name)) for name in names})
