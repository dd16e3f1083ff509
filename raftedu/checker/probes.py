"""Directed stories for liveness: what a student's guide tells of clusters that stand still, each played in a calm network.

A storm meets these situations rarely, or recovers from them by luck; here a right cluster recovers within a bound that follows from its
settings. Each story sets the scene and then says how long a client may have to wait. Adding a story is one function and one row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from raftedu.checker.invariants import Broken
from raftedu.checker.judge import Incident, Judge
from raftedu.checker.liveness import answered, patience
from raftedu.checker.storm import Cluster, calm_cluster
from raftedu.core.config import Config
from raftedu.core.guard import RuleError
from raftedu.core.rules import Rules
from raftedu.core.types import NodeId, Role, Seconds

__all__ = ["PROBES", "Probe", "ProbeResult", "run_probes"]

EARLY: Seconds = 0.2
"""By so much the first candidate of a story is ahead of all others."""

SLOW: Seconds = 0.1
"""How long every message of a slow network takes."""

QUIET: Seconds = 60.0
"""So long a leader is watched that nothing disturbs."""


class Probe(NamedTuple):
    """A story: its name, what it tells, the cluster, and what is done to it; ``play`` returns what is missing in the end."""

    name: str
    sentence: str
    config: Config
    play: Callable[[Stage], Incident | None]


class Stage:
    """A cluster, its judge, and the few verbs of the stories."""

    def __init__(self, config: Config, rules: Rules, seed: int, goes_on: Callable[[], bool]) -> None:
        self.config, self._goes_on = config, goes_on
        self.judge = Judge(config, lambda: self.cluster.now)
        self.cluster: Cluster = calm_cluster(config, seed, rules, self.judge)
        self.unfinished = False

    def run_to(self, end: Seconds, enough: Callable[[], bool] = lambda: False) -> None:
        """Let time pass, in small pieces."""
        while self.cluster.now < end and not enough() and not self.unfinished:
            self.unfinished = not self._goes_on()
            self.cluster.world.run_to(min(end, self.cluster.now + 1.0))
            for error in self.cluster.errors.values():
                if isinstance(error, RuleError):
                    raise error

    def until(self, condition: Callable[[], bool]) -> None:
        """Let time pass until the condition is true, or a right cluster would have made it so."""
        self.run_to(self.cluster.now + patience(self.config), condition)

    def elect(self, node: NodeId) -> None:
        """Let this node campaign and take office, if the rules let it."""
        if self.cluster.is_up(node) and self.cluster.world.lives[node].can_campaign():
            self.cluster.campaign(node)
        self.run_to(self.cluster.now + EARLY)

    def leads(self, node: NodeId) -> bool:
        """Whether this node leads."""
        return self.cluster.is_up(node) and self.cluster.world.lives[node].core.state.role is Role.LEADER

    def demand(self, down: NodeId | None = None) -> Incident | None:
        """Return what a client waits for in vain."""
        return answered(self.cluster, self.judge, self.run_to, down)


# ---- the stories


def _calm(stage: Stage) -> Incident | None:
    """Nothing goes wrong: a leader is found and stays."""
    missing = stage.demand()
    return missing or _stays(stage, len(stage.judge.leaders))


def _rare_heartbeats(stage: Stage) -> Incident | None:
    """Heartbeats are nearly as rare as elections: a new leader that does not send the first at once is deposed by its own voters."""
    stage.cluster.weather(low=SLOW, high=SLOW)
    stage.elect(1)
    return stage.demand() or _stays(stage, 1)


def _loser_yields(stage: Stage) -> Incident | None:
    """Two nodes campaign in one term and the third decides: who lost follows the winner, and does not campaign again."""
    for node in (1, 2):
        stage.cluster.campaign(node)
    stage.until(lambda: stage.judge.leaders != {})
    return _stays(stage, 1) or stage.demand()


def _stays(stage: Stage, leaders: int) -> Incident | None:
    """Return who was elected besides the first so many."""
    stage.run_to(stage.cluster.now + QUIET)
    led = sorted(stage.judge.leaders.items())
    if len(led) <= leaders:
        return None
    (before, old), (term, node) = led[leaders - 1 : leaders + 1]
    words = f"node {old} leads term {before}, nothing goes wrong, and yet node {node} is elected in term {term}"
    return Incident(stage.cluster.now, Broken("Stable Leader", words))


def _leader_dies(stage: Stage) -> Incident | None:
    """The leader crashes: another one is elected."""
    missing = stage.demand()
    leader = stage.cluster.leader
    if missing is not None or leader is None:
        return missing
    stage.cluster.crash(leader)
    return stage.demand(down=leader)


def _split(stage: Stage) -> Incident | None:
    """Of three nodes one is down, and the other two campaign at the same moment."""
    stage.cluster.crash(3)
    for node in (1, 2):
        stage.cluster.campaign(node)
    return stage.demand(down=3)


def _behind(stage: Stage) -> Incident | None:
    """The node whose timer always runs out first lacks an entry: it cannot win, and must not keep the other from campaigning."""
    stage.elect(1)
    stage.until(lambda: stage.leads(1) and stage.judge.committed != [])
    stage.cluster.isolate(3)
    write = stage.cluster.world.operate("SET", "x", "new", patience(stage.config))
    stage.until(lambda: write.reply is not None)
    stage.cluster.fix_timeout(3, stage.config.election_min)
    stage.cluster.crash(1)
    stage.cluster.heal()
    return stage.demand(down=1)


def _long_and_old(stage: Stage) -> Incident | None:
    """One log is longer, the other ends in a later term; the node that holds both ends is down."""
    world = stage.cluster.world
    stage.elect(1)
    stage.until(lambda: stage.judge.committed != [])
    stage.cluster.isolate(1)
    for number in range(3):
        world.operate("SET", f"old{number}", "1", 0.5)
        stage.run_to(stage.cluster.now + 0.5)
    stage.elect(2)
    stage.until(lambda: 2 in stage.judge.leaders.values() or 3 in stage.judge.leaders.values())
    newer = next((node for node in (2, 3) if stage.leads(node)), 2)
    # The newer leader appends its NO-OP on disk, and nobody hears of it; then the other of its pair dies.
    stage.cluster.crash(5 - newer)
    stage.run_to(stage.cluster.now + stage.config.promise + 2.0)
    stage.cluster.heal()
    return stage.demand(down=5 - newer)


def _older_entry(stage: Stage) -> Incident | None:
    """A leader dies with an entry that all have and nobody has committed: the next one must commit it, and go on."""
    stage.elect(1)
    stage.until(lambda: stage.judge.committed != [])
    for peer in stage.config.peers(1):
        stage.cluster.hold(peer, 1)
    stage.cluster.world.operate("SET", "x", "left over", 0.5)
    stage.run_to(stage.cluster.now + 1.0)
    stage.cluster.crash(1)
    stage.cluster.release()
    return stage.demand(down=1)


def _hasty_voter(stage: Stage) -> Incident | None:
    """A node votes when its own timer has nearly run out: it must give the candidate time to take office."""
    stage.cluster.weather(low=SLOW, high=SLOW)
    stage.elect(3)
    stage.until(lambda: stage.leads(3))
    # Both count from the same heartbeat: node 1 asks for the vote of node 2 before, and tells it of its victory after, node 2 is due.
    stage.cluster.fix_timeout(1, stage.config.election_min)
    stage.cluster.fix_timeout(2, stage.config.election_min + 2 * SLOW)
    stage.run_to(stage.cluster.now + 3 * stage.config.heartbeat)
    stage.cluster.crash(3)
    missing = stage.demand(down=3)
    led = sorted(stage.judge.leaders.items())
    if missing is not None or len(led) == 2:
        return missing
    words = f"node {led[1][1]} was elected in term {led[1][0]}, and deposed at once by a node that had just voted for it"
    return Incident(stage.cluster.now, Broken("Stable Leader", words))


def _cut_off(stage: Stage) -> Incident | None:
    """A leader that reaches nobody gives up when its lease is over, so that its clients look elsewhere."""
    missing = stage.demand()
    leader = stage.cluster.leader
    if missing is not None or leader is None:
        return missing
    stage.cluster.isolate(leader)
    stage.run_to(stage.cluster.now + stage.config.lease + 2 * stage.config.heartbeat)
    return _still_leads(stage, leader, "has reached nobody for longer than a lease, and still leads")


def _deposed(stage: Stage) -> Incident | None:
    """A leader was cut off and another was elected; from the answers of a follower the old one learns that it is old."""
    stage.elect(1)
    stage.until(lambda: stage.leads(1) and stage.judge.committed != [])
    stage.cluster.isolate(1)
    stage.elect(2)
    stage.run_to(stage.cluster.now + EARLY)
    stage.cluster.heal()
    for a, b in ((1, 2), (2, 1)):
        stage.cluster.cut(a, b)
    stage.run_to(stage.cluster.now + 2 * stage.config.heartbeat)
    if 2 not in stage.judge.leaders.values():
        return stage.demand()
    return _still_leads(stage, 1, "has been told of a higher term twice, and still leads")


def _still_leads(stage: Stage, node: NodeId, words: str) -> Incident | None:
    if not stage.leads(node):
        return None
    return Incident(stage.cluster.now, Broken("Expired Leader Steps Down" if "lease" in words else "Term Hygiene", f"node {node} {words}"))


_PLAIN = Config.of(3)
_FIVE = Config.of(5, heartbeat=1.0)
_NEAR = Config.of(5, lease=16.0, heartbeat=4.95, election_min=5.0, election_max=5.3)

PROBES: tuple[Probe, ...] = tuple(
    Probe(name, play.__doc__ or "", config, play)
    for name, config, play in (
        ("calm", _FIVE, _calm),
        ("rare heartbeats", _NEAR, _rare_heartbeats),
        ("loser yields", _PLAIN, _loser_yields),
        ("dead leader", _FIVE, _leader_dies),
        ("split vote", _PLAIN, _split),
        ("outdated candidate", _PLAIN, _behind),
        ("long and old", _PLAIN, _long_and_old),
        ("older entry", _PLAIN, _older_entry),
        ("hasty voter", _PLAIN, _hasty_voter),
        ("leader cut off", _PLAIN, _cut_off),
        ("deposed leader", _PLAIN, _deposed),
    )
)
"""The stories, from the simplest to the most involved."""


class ProbeResult(NamedTuple):
    """What came of the stories: how many were played, the first that went wrong (its name, the seed, what was missing)."""

    played: int
    failure: tuple[str, int, Incident] | None
    finished: bool


def run_probes(
    rules: Rules, names: list[str], seeds: range, goes_on: Callable[[], bool] = lambda: True, *, judged: bool = True,
) -> ProbeResult:  # fmt: skip
    """Return the first story, by seed, that does not end well under these rules.

    With ``judged`` a promise that is broken on the way counts too; without it only what a client waits for in vain, and who loses office.

    Raises
    ------
    RuleError
        A rule raised or answered nonsense.
    """
    played = 0
    for seed in seeds:
        for probe in PROBES:
            stage = Stage(probe.config, rules, seed, goes_on)
            missing = probe.play(stage)
            if stage.unfinished:
                return ProbeResult(played, None, False)
            played += 1
            judge = stage.judge
            incident = ((judge.outcome or judge.obligation) if judged else None) or missing
            if incident is not None:
                return ProbeResult(played, (probe.name, seed, incident), True)
    return ProbeResult(played, None, True)
