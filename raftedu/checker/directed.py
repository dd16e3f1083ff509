"""`DirectedCluster`: a simulated cluster in which only that happens which somebody says; schedules are played on it, message by message.

The nodes, their disks, clocks and events are those of `raftedu.Simulation`. Messages that are not delivered are lost or held, timers run
out when they are told to, and after every step all that must hold is judged anew from the whole run. It knows the steps of a schedule,
and nothing of how one is found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from raftedu.checker.invariants import INVARIANTS, Broken, first_broken
from raftedu.checker.looking import look
from raftedu.checker.machine import CAMPAIGN, HEARTBEAT, PASS, RESTART, Happens, Machine, Wake
from raftedu.checker.model import SILENCE, request_id
from raftedu.checker.plain import Moment, broken
from raftedu.checker.profiles import TICK, Profile
from raftedu.checker.read_obligations import stale_read
from raftedu.checker.snapshot import Snapshot
from raftedu.checker.steps import READER, Append, Crash, Elect, Late, Read, Step, Tick, in_words
from raftedu.checker.still import Sent, StillWorld
from raftedu.core.guard import RuleError
from raftedu.core.inputs import ClientRequest
from raftedu.core.messages import AppendEntries, RequestVote
from raftedu.core.outputs import Answer, Outcome
from raftedu.core.rules import RULES, Rules
from raftedu.core.state import ELECTION, LEADER, State
from raftedu.core.types import GET, SET, Index, NodeId, Role, Term
from raftedu.sim.world import SimulationError

__all__ = ["DirectedCluster", "Held", "InvariantBroken", "Played"]


class InvariantBroken(AssertionError):
    """An invariant does not hold; the message names it, the step and the reason."""


@dataclass(frozen=True)
class Held:
    """Messages that arrive later, when they are delivered; none if there was nothing to hold."""

    messages: tuple[Sent, ...] = ()

    def from_node(self, node: NodeId) -> Held:
        """Return those that this node sent."""
        return Held(tuple(sent for sent in self.messages if sent.packet[0].sender == node))


@dataclass
class Played:
    """One step as it was played. ``possible``: it could happen; one that cannot is left out. ``held``: what it held back.

    ``nodes``: the snapshots after it; ``ends``: up to which event the dump of each node tells of it.
    """

    words: str
    possible: bool = True
    broken: list[Broken] = field(default_factory=list)
    held: Held = Held()  # noqa: RUF009 (it is frozen)
    nodes: tuple[Snapshot, ...] = ()
    ends: dict[NodeId, int] = field(default_factory=dict)


class DirectedCluster:
    """A cluster whose every step is told.

    Parameters
    ----------
    nodes
        How many nodes; their ids count from 1.
    rules
        The table of rules, e.g. ``RULES.but(grant_vote=mine)``.
    world
        What else is so, by the names of `raftedu.checker.profiles.Profile`. ``timed``: time stands still but for `tick`; otherwise a long
        silence precedes every election, so that each lease and promise is over. ``lease``: its length in ticks. ``slow=1``: clocks may
        differ, and promises are longer by that. ``crashes=1``: a disk writes only what a message waits for, the rest when the node next
        does something. ``offsets``: no two clocks show the same. ``batch``, ``no_op``, ``policy``: as in `raftedu.Config`.

    Examples
    --------
    >>> cluster = DirectedCluster(3)
    >>> _ = cluster.elect(1, via=[2], term=1)
    >>> _ = cluster.append(1, 2)
    >>> cluster.leaders, cluster.committed(1)
    ([1], 1)
    >>> cluster.must_hold("Election Safety")
    """

    def __init__(self, nodes: int = 3, rules: Rules = RULES, **world: Any) -> None:
        self._begin(Profile("directed", n=nodes, **world), rules)

    @classmethod
    def of(cls, profile: Profile, rules: Rules) -> DirectedCluster:
        """Return a cluster in the world of this profile."""
        new = cls.__new__(cls)
        new._begin(profile, rules)
        return new

    def _begin(self, profile: Profile, rules: Rules) -> None:
        self.profile, self.config = profile, profile.config()
        self.world = StillWorld(self.profile, self.config, rules)
        self.played: list[Played] = []
        """What was done so far."""
        self._mirror = Machine(self.profile, rules)  # whose nodes are asked what a node would answer
        self._moments: list[Moment] = []
        self._acked: Index = 0
        self._requests: dict[str, int] = {}
        self._answers: list[Answer] = []

    # ---- steps

    def elect(self, node: NodeId, *, via: Iterable[NodeId] = (), term: int | None = None, votes_late: bool = False) -> Held:
        """Let a node campaign until it is in ``term`` (the next one, if none is given); its last requests reach the nodes of ``via``.

        Returns their votes if they are to be late, to be delivered by `deliver`.
        """
        voters = tuple(via)
        self._check(node, *voters)
        state = self.state(node)
        term = state.term + 1 if term is None else term
        with self._step(Elect(node - 1, tuple(voter - 1 for voter in voters), term, votes_late)) as step:
            if not self.profile.timed:
                self._silence()
            state = self.state(node)
            step.possible = state.role is not Role.LEADER and term > state.term and self.world.is_up(node)
            if step.possible:
                step.held = self._campaign(node, voters, term, votes_late)
        return step.held

    def append(self, leader: NodeId, follower: NodeId, *, request: str = "", reply: str = "", disk: str = "") -> Held:
        """Let a leader send a round, of which only what it sends to ``follower`` arrives, with what that needs and the heartbeat.

        ``request="late"`` or ``reply="late"``: that message is held and returned, to be delivered by `deliver`. ``reply="lost"``: it never
        arrives. ``disk="stuck"``: the leader's own disk does not get on meanwhile.
        """
        how = "".join(f"{name} {what}" for name, what in (("request", request), ("reply", reply), ("disk", disk)) if what)
        if how not in ("", "request late", "reply late", "reply lost", "disk stuck"):
            raise SimulationError(f"append: {how!r} is not known; say request='late', reply='late', reply='lost' or disk='stuck'")
        self._check(leader, follower)
        with self._step(Append(leader - 1, follower - 1, how)) as step:
            step.possible = leader in self.leaders
            if step.possible:
                step.held = self._exchange(leader, follower, how)
        return step.held

    def deliver(self, held: Held, *, again: bool = False) -> None:
        """Let messages that were held arrive, and what answers them; they may be delivered once more, and ``again`` says so in words."""
        packets = [(sent.to - 1, sent.packet[0]) for sent in held.messages]
        words = "; ".join(in_words(Late(place, again), packets, timed=True) for place in range(len(packets)))
        with self._step(words or "deliver what was never sent") as step:
            step.possible = bool(packets)
            for sent in held.messages:
                asks = isinstance(sent.packet[0], AppendEntries | RequestVote)
                answer = self._to(self._arrive(sent), sent.packet[0].sender)
                if asks and answer is not None:
                    self._arrive(answer)

    def write(self, node: NodeId, value: str) -> None:
        """Let a client ask a node to SET x to ``value``; a value that was written before is asked for once more, as the same request."""
        self._check(node)
        verb = "retry" if value in self._requests else "write"
        number = self._requests.setdefault(value, request_id(len(self._requests) + 1))
        with self._step(f"{verb} x={value} at {node}"):
            self._ask(node, ClientRequest(SET, "x", value, "client", number, f"client-{number}-{len(self.played)}"))

    def read(self, node: NodeId) -> str | None:
        """Let a client ask a node for x, and return what it answers; ``None`` if it refuses."""
        self._check(node)
        with self._step(Read(node - 1, self._acked)):
            answers = self._ask(node, ClientRequest(GET, "x", "", READER, self._acked, f"{READER}-{len(self.played)}"))
        return next((answer.value for answer in answers if answer.outcome == Outcome.SUCCESS), None)

    def crash_and_restart(self, node: NodeId) -> None:
        """Let a node lose all that is not on its disk, and start again at once."""
        self._check(node)
        with self._step(Crash(node - 1)):
            self._turn(node, Wake(RESTART), lambda: self.world.restart(node), writes=False)

    def tick(self, *, slow: NodeId | None = None, stuck: NodeId | None = None) -> None:
        """Let ten seconds pass, on all clocks but that of ``slow``; what leaders send meanwhile is lost.

        ``stuck``: whose disk does not get on meanwhile.
        """
        self._check(*[node for node in (slow, stuck) if node is not None])
        with self._step(Tick(-1 if slow is None else slow - 1, -1 if stuck is None else stuck - 1)):
            self.world.pass_time(TICK, slow)
            for node in self.config.nodes:
                if node != slow:
                    self._notice(node, writes=node != stuck)

    # ---- looking at it

    def state(self, node: NodeId) -> State:
        """Return all that a node knows."""
        self._check(node)
        return self.world.lives[node].core.state

    def _check(self, *nodes: NodeId) -> None:
        for node in nodes:
            if node not in self.config.nodes:
                raise SimulationError(f"there is no node {node!r}; the nodes are {', '.join(map(str, self.config.nodes))}")

    @property
    def nodes(self) -> list[NodeId]:
        """The ids of all nodes."""
        return list(self.config.nodes)

    @property
    def errors(self) -> dict[NodeId, BaseException]:
        """What ended nodes against their will."""
        return {node: life.error for node, life in self.world.lives.items() if life.error is not None}

    def log(self, node: NodeId) -> tuple[tuple[Index, Term, str], ...]:
        """Return the log of a node as (index, term, operation) triples."""
        return self.world.lives[node].core.log

    @property
    def leaders(self) -> list[NodeId]:
        """The nodes that take themselves for leaders."""
        return [node for node in self.nodes if self.state(node).role is Role.LEADER and self.world.is_up(node)]

    def committed(self, node: NodeId) -> Index:
        """Return up to which index a node knows its log to be committed."""
        return self.state(node).commit_index

    @property
    def moments(self) -> Sequence[Moment]:
        """The cluster after each step so far."""
        return self._moments

    @property
    def broken(self) -> list[tuple[int, Broken]]:
        """All that broke so far, each with its step, counted from 1."""
        return [(number, wrong) for number, step in enumerate(self.played, 1) for wrong in step.broken]

    def must_hold(self, *names: str) -> None:
        """Raise `InvariantBroken` if one of these invariants broke in any step; without names, if any did."""
        for name in names:
            if name not in INVARIANTS:
                raise SimulationError(f"there is no invariant {name!r}; they are {', '.join(INVARIANTS)}")
        found = [(number, wrong) for number, wrong in self.broken if not names or wrong.name in names]
        if found:
            raise InvariantBroken("\n".join(self._told(number, wrong) for number, wrong in found))

    def _told(self, number: int, wrong: Broken) -> str:
        return f"{wrong.name} is broken by step {number}, {self.played[number - 1].words!r}: {wrong.reason}"

    # ---- how steps are made of turns

    @contextmanager
    def _step(self, step: Step | str) -> Iterator[Played]:
        played = Played(step if isinstance(step, str) else in_words(step, [], timed=self.profile.timed))
        self.played.append(played)
        yield played
        self.world.lose()
        played.ends = {node: dump.seq for node, dump in self.world.dumps.items()}
        self._judge_outcomes(played)

    def _silence(self) -> None:
        """Let so much time pass that every lease and promise is over; leaders notice, and nobody hears of them."""
        self.world.pass_time(SILENCE, None)
        for node in self.leaders:
            self._notice(node)

    def _notice(self, node: NodeId, *, writes: bool = True) -> None:
        """Let a node notice that time has passed."""
        self._turn(node, Wake(PASS), lambda: self.world.lives[node].fire(LEADER), writes=writes)

    def _campaign(self, node: NodeId, voters: Iterable[NodeId], term: int, votes_late: bool) -> Held:
        sent: list[Sent] = []
        for _ in range(term - self.state(node).term):
            sent = self._turn(node, Wake(CAMPAIGN, term), lambda: self.world.lives[node].fire(ELECTION))
        held = []
        for voter in voters:
            request = self._to(sent, voter)
            vote = self._to(self._arrive(request), node) if request is not None else None
            if vote is not None and votes_late:
                held.append(self._hold(vote))
            elif vote is not None:
                self._arrive(vote)
        return Held(tuple(held))

    def _exchange(self, leader: NodeId, follower: NodeId, how: str) -> Held:
        writes = how != "disk stuck"
        sent = self._turn(leader, Wake(HEARTBEAT), lambda: self.world.heartbeat(leader), writes=writes)
        request = self._to(sent, follower)
        if request is None or how == "request late":
            return Held() if request is None else Held((self._hold(request),))
        reply = self._to(self._arrive(request), leader)
        if reply is None or how == "reply late":
            return Held() if reply is None else Held((self._hold(reply),))
        if how != "reply lost":
            self._arrive(reply, writes=writes)
        return Held()

    def _ask(self, node: NodeId, request: ClientRequest) -> list[Answer]:
        before = len(self._answers)
        self._turn(node, request, lambda: self.world.lives[node].request(request))
        return self._answers[before:]

    def _arrive(self, sent: Sent, *, writes: bool = True) -> list[Sent]:
        to, packet = sent
        if sent in self.world.sent:
            self.world.sent.remove(sent)
        return self._turn(to, packet[0], lambda: self.world.arrive(to, packet), writes=writes)

    def _hold(self, sent: Sent) -> Sent:
        self.world.sent.remove(sent)
        return sent

    def _to(self, sent: list[Sent], node: NodeId) -> Sent | None:
        """Return the last of these messages that is for this node."""
        return next((each for each in reversed(sent) if each.to == node), None)

    def _turn(self, node: NodeId, happens: Happens, act: Callable[[], None], *, writes: bool = True) -> list[Sent]:
        """Let something happen to a node, judge what it does, and return what it sent."""
        if not self.world.is_up(node) and happens != Wake(RESTART):
            return []
        before = len(self.world.sent)
        turn = self.world.turn(node, happens, act, writes=writes)
        error = self.world.lives[node].error
        if isinstance(error, RuleError):
            raise error
        self._answers += turn.answers
        acked = [answer.index for answer in turn.answers if answer.outcome == Outcome.SUCCESS and answer.client != READER]
        self._acked = max([self._acked, *acked])
        if error is None:
            stale = stale_read(turn)
            self._breaks(first_broken(turn, self.profile.overlooks))
            self._breaks(None if stale is None else Broken("No Stale Read", stale))
        else:
            self._breaks(Broken("Node Goes On", f"node {node} cannot go on: {type(error).__name__}: {error}"))
        return self.world.sent[before:]

    def _breaks(self, wrong: Broken | None) -> None:
        broken = self.played[-1].broken
        if wrong is not None and wrong.name not in self.profile.overlooks and wrong not in broken:
            broken.append(wrong)

    # ---- judging the whole

    def _judge_outcomes(self, played: Played) -> None:
        nodes = played.nodes = tuple(self.world.snapshot(node) for node in self.config.nodes)
        looks = [look(self._mirror, place, node) for place, node in enumerate(nodes)] if self.profile.timed else []
        holders = tuple(place + 1 for place, seen in enumerate(looks) if seen.holds)
        self._moments.append(Moment(nodes, self._acked, holders, tuple(seen.sees for seen in looks)))
        for seen in looks:
            self._breaks(seen.broken)
        known = {wrong.name for _, wrong in self.broken}
        for name in broken(self._moments):
            self._breaks(Broken(name, INVARIANTS[name].sentence) if name not in known else None)
