"""Guided simulation: message by message, in clusters and over times that no search reaches, with faults at the moments that hurt.

`run_guided` tries the schedules of some seeds under a table of rules and returns what it did and the failure of the lowest seed, if any, as
a `Storm`: plain data that can be played again on every machine. Of the faults of a storm only those are kept without which nothing breaks.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from random import Random
from typing import TYPE_CHECKING, Any

from raftedu.checker.hunt import without_collector
from raftedu.checker.judge import ALL_KINDS, Incident, Judge
from raftedu.checker.judge_turns import Asked, Turns
from raftedu.checker.liveness import epilogue
from raftedu.checker.storm import Action, Nemesis, cluster_of, config_of
from raftedu.core.asking import ATTEMPT
from raftedu.core.guard import RuleError
from raftedu.core.inputs import ClientRequest
from raftedu.core.outputs import Answer
from raftedu.core.rules import Rules
from raftedu.core.types import SET, NodeId, Seconds
from raftedu.events import MemoryDump

if TYPE_CHECKING:
    from raftedu.trace import Trace

__all__ = ["EVERYTHING", "SECONDS", "GuidedResult", "Run", "Storm", "play_storm", "run_guided", "shrunk_storm"]

SECONDS: Seconds = 60.0
"""How long a storm lasts."""

BREATH: Seconds = 10.0
"""After so many simulated seconds, some milliseconds, a run asks whether it may go on."""

TIDY = 16
"""After so many schedules the memory of the last ones is given back."""

EVERYTHING = frozenset({
    "a leader was elected", "an entry was committed", "a lease was held", "a GET was answered", "a lease was handed over",
    "everything went on after a storm",
})  # fmt: skip
"""What must happen sometimes, in enough runs."""


class _Outcome(Exception):  # noqa: N818 - nothing is wrong with the program
    """Ends a run: what came after a disaster proves nothing."""


class _OutOfTime(Exception):  # noqa: N818
    """Ends a run whose caller has no more time."""


@dataclass(frozen=True)
class Storm:
    """A run that broke something: a seed, the faults that are needed, and what broke when.

    ``obligation`` is the first promise that was broken, ``outcome`` the disaster that followed, each with its time in simulated seconds;
    ``dumps`` what the nodes said, from the beginning to the end of the run.
    """

    seed: int
    actions: tuple[Action, ...]
    obligation: Incident | None
    outcome: Incident | None
    dumps: tuple[MemoryDump, ...] = ()

    @property
    def worst(self) -> Incident:
        """The outcome if it came to one, else the broken obligation."""
        worst = self.outcome or self.obligation
        assert worst is not None
        return worst

    @property
    def invariant(self) -> str:
        """The name of the invariant that broke."""
        return self.worst.broken.name

    @property
    def reason(self) -> str:
        """Why, in one sentence."""
        first, then = self.obligation, self.outcome
        if first is None or then is None or first.broken.reason == then.broken.reason:
            return self.worst.broken.reason
        return f"{first.broken.reason}; {then.time - first.time:.1f} s later {then.broken.reason}"

    @property
    def time(self) -> Seconds:
        """When it broke, in simulated seconds."""
        return self.worst.time

    @property
    def words(self) -> list[str]:
        """The faults as lines, in their order."""
        return [f"{action.time:.2f} s: {action.words}" for action in self.actions if action.time <= self.time]

    @property
    def trace(self) -> Trace:
        """The `Trace` of what the nodes said; loads pandas."""
        trace: Trace = import_module("raftedu.trace").trace_of(self.dumps)
        return trace


@dataclass
class GuidedResult:
    """What came of some seeds. ``seeds`` were begun and ended; ``failure`` is that of the lowest seed of all.

    ``happened``: what *sometimes* must; ``slow``: the bounds that were exceeded, which is slower than need be and not wrong.
    """

    schedules: int = 0
    simulated: Seconds = 0.0
    events: int = 0
    happened: set[str] = field(default_factory=set)
    slow: set[str] = field(default_factory=set)
    failure: Storm | None = None
    finished: bool = True

    @property
    def never(self) -> list[str]:
        """Return what has never happened, in the order of the alphabet."""
        return sorted(EVERYTHING - self.happened)

    def joined(self, other: GuidedResult) -> GuidedResult:
        """Return both as one; of two failures that of the lower seed."""
        failures = [result.failure for result in (self, other) if result.failure is not None]
        return GuidedResult(
            self.schedules + other.schedules, self.simulated + other.simulated, self.events + other.events, self.happened | other.happened,
            self.slow | other.slow, min(failures, key=lambda storm: storm.seed, default=None), self.finished and other.finished,
        )  # fmt: skip


class Run:
    """One schedule: the cluster of a seed, its judge, its clients, and faults, either guided or those of a list."""

    def __init__(
        self, rules: Rules, seed: int, *, actions: tuple[Action, ...] | None = None, kinds: frozenset[str] = ALL_KINDS,
        listening: bool = False, goes_on: Callable[[], bool] = lambda: True,
    ) -> None:  # fmt: skip
        self.seed, self._goes_on, self._kinds = seed, goes_on, kinds
        self.actions: list[Action] = []
        self._operations: list[Asked] = []
        self._r = Random(f"{seed}/requests")
        self._rate = self._r.choice((0.3, 1.0, 2.0))
        self._numbers = [0, 0, 0]
        self._keys = ("x", "y")
        self._asks = True
        self._storm = True
        config = config_of(seed)
        self.judge = Judge(config, lambda: self.cluster.now, kinds=kinds, on_moment=self._moment, on_outcome=self._stop)
        self._turns = Turns(self.judge)
        self.cluster = cluster_of(seed, rules, listening=listening, onlooker=self.judge)
        self._nemesis: Nemesis | None = None
        if actions is None:
            self._nemesis = Nemesis(config, seed, self._plan, lambda: self.judge.latest_leader[1])
        for action in actions or ():
            self._at(action)
        self.cluster.world.at(self._r.uniform(0.0, 6.0), self._client)

    # ---- faults

    def _moment(self, what: str, node: NodeId) -> None:
        if self._nemesis is not None and self._storm:
            self._nemesis.moment(what, node)

    def _plan(self, after: Seconds, words: str, call: tuple[str, tuple[Any, ...]]) -> None:
        self._at(Action(self.cluster.now + after, words, call))

    def _at(self, action: Action) -> None:
        if action.time < SECONDS:
            self.actions.append(action)
            self.cluster.world.at(action.time, self.cluster.do, action)

    def _stop(self) -> None:
        self.cluster.world.at(self.cluster.now, self._end)

    def _end(self) -> None:
        raise _Outcome

    # ---- clients

    def _client(self) -> None:
        if not self._asks:
            return
        world, r = self.cluster.world, self._r
        world.at(world.now + r.uniform(0.0, 2.0 / self._rate), self._client)
        unsure = [asked for asked in self._operations[-6:] if not asked.ended and asked.request.op == SET]
        if unsure and r.random() < 0.3:
            self._ask(r.choice(unsure))
            return
        which, key = int(r.random() * 3), r.choice(self._keys)
        self._numbers[which] += 1
        number = self._numbers[which]
        op, value = ("SET", f"{which}.{number}") if r.random() < 0.55 else ("GET", "")
        asked = self._turns.asks(ClientRequest(op, key, value, f"client {which}", number), world.now)
        self._operations.append(asked)
        self._ask(asked)

    def _ask(self, asked: Asked) -> None:
        r, leading = self._r, list(self.judge.leading)
        where = r.random()
        if leading and where < 0.75:  # the latest leader, or one that does not know that it leads no more
            node = leading[-1] if where < 0.45 else r.choice(leading)
        else:
            node = r.choice(self.cluster.config.nodes)
        asked.attempts += 1
        request = asked.request._replace(op_id=f"{asked.request.client}-{asked.request.request}-{asked.attempts}")
        self.cluster.world.call(node, request, ATTEMPT, partial(self._answered, asked, node))

    def _answered(self, asked: Asked, node: NodeId, answer: Answer | None) -> None:
        self._turns.answered(asked, node, answer)

    # ---- time

    def go(self) -> None:
        """Let the storm and what follows it happen, to the first outcome that breaks.

        Raises
        ------
        RuleError
            A rule raised or answered nonsense.
        """
        try:
            self._run_to(SECONDS)
            self._asks = self._storm = False
            if self._kinds & {"duty", "progress"} and self.judge.obligation is None:
                self.judge.obligation = epilogue(self.cluster, self.judge, self.seed, self._run_to)
            self._turns.ends(self._operations)
        except _Outcome:
            return

    def _run_to(self, end: Seconds, enough: Callable[[], bool] = lambda: False) -> None:
        world = self.cluster.world
        breath = BREATH if self._storm else BREATH / 4
        while world.now < end and not enough():
            if not self._goes_on():
                raise _OutOfTime
            world.run_to(min(end, world.now + breath))
            self._look_for_errors()

    def _look_for_errors(self) -> None:
        for node, error in sorted(self.cluster.errors.items()):
            if isinstance(error, RuleError) or not isinstance(error, Exception):
                raise error
            self.judge.breaks("Node Goes On", f"node {node} cannot go on: {type(error).__name__}: {error}")

    def storm(self) -> Storm | None:
        """Return what broke, ``None`` if nothing did."""
        judge = self.judge
        if judge.obligation is None and judge.outcome is None:
            return None
        for dump in self.cluster.world.dumps.values():
            dump.listener = None
        dumps = tuple(self.cluster.world.dumps.values()) if self.cluster.world.listening else ()
        return Storm(self.seed, tuple(sorted(self.actions, key=lambda action: action.time)), judge.obligation, judge.outcome, dumps)


def play_storm(storm: Storm, rules: Rules, *, kinds: frozenset[str] = ALL_KINDS, listening: bool = True) -> Run:
    """Return the run with the faults of this storm under these rules, played to its end; `Run.storm` says what broke."""
    return _played(rules, storm.seed, storm.actions, kinds, listening)


def _played(rules: Rules, seed: int, actions: tuple[Action, ...], kinds: frozenset[str], listening: bool) -> Run:
    run = Run(rules, seed, actions=actions, kinds=kinds, listening=listening)
    with without_collector():
        run.go()
    return run


def shrunk_storm(storm: Storm, rules: Rules, *, kinds: frozenset[str] = ALL_KINDS, goes_on: Callable[[], bool] = lambda: True) -> Storm:
    """Return the storm without the faults that are not needed for the same invariant to break, and with what the nodes said.

    Delta debugging: halves are left out, then quarters, and so on, while ``goes_on``; the seed stays, and with it all other chance.
    """
    actions = _until(storm)
    size = max(1, len(actions) // 2)
    while actions and goes_on():
        smaller = _without(actions, size, storm, rules, kinds, goes_on)
        if size == 1 and smaller == actions:
            break
        actions, size = smaller, max(1, size // 2)
    told = _played(rules, storm.seed, actions, kinds, True).storm()
    return told if told is not None else storm


def _without(
    actions: tuple[Action, ...], size: int, storm: Storm, rules: Rules, kinds: frozenset[str], goes_on: Callable[[], bool],
) -> tuple[Action, ...]:  # fmt: skip
    """Return the actions without those pieces of this size that are not needed."""
    place = 0
    while place < len(actions) and goes_on():
        less = actions[:place] + actions[place + size :]
        found = _played(rules, storm.seed, less, kinds, False).storm()
        if found is not None and found.invariant == storm.invariant:
            actions = _until(found)
        else:
            place += size
    return actions


def _until(storm: Storm) -> tuple[Action, ...]:
    return tuple(action for action in storm.actions if action.time <= storm.time)


def run_guided(
    rules: Rules, names: list[str], seeds: range, goes_on: Callable[[], bool] = lambda: True, *, kinds: frozenset[str] = ALL_KINDS,
) -> GuidedResult:  # fmt: skip
    """Return what came of the schedules of these seeds, tried in their order up to the first failure.

    Parameters
    ----------
    rules, names
        The table, and which of its rules are replaced.
    seeds
        Which schedules; the verdict on each depends on rules and seed only.
    goes_on
        Asked every few milliseconds; if it says no, the result is not ``finished``.
    kinds
        Which kinds of invariants count, of ``"outcome"``, ``"obligation"`` and ``"duty"``; ``"progress"``: of duties the epilogue only.

    Raises
    ------
    RuleError
        A rule raised or answered nonsense.
    """
    result = GuidedResult()
    with without_collector():
        for seed in seeds:
            run = Run(rules, seed, kinds=kinds, goes_on=goes_on)
            try:
                run.go()
            except _OutOfTime:
                result.finished = False
                break
            _count(result, run)
            result.failure = run.storm()
            if result.failure is not None:
                break
            if result.schedules % TIDY == 0:
                del run
                gc.collect(0)  # worlds are full of circles; what is young is only what the last of them have left
    return result


def _count(result: GuidedResult, run: Run) -> None:
    result.schedules += 1
    result.simulated += run.cluster.now
    result.events += run.cluster.world.steps
    result.happened |= run.judge.happened
    result.slow |= run.judge.slow
