"""`RandomRun`: a seeded world in virtual time where everything happens by itself, and everything that may go wrong does.

Messages are late, lost, doubled and overtaken; disks are slow; nodes crash and come back with what was written; links are cut; clocks
run at their own rate within ``rho``; clients SET and GET all the while. Faults fire at the moments that matter: when somebody is
elected, when a lease begins, when something commits. The same seed is the same run, on every machine.
"""

from __future__ import annotations

import heapq
import random
from itertools import count
from typing import Any, NamedTuple

from raftedu.core.inputs import Receive, TimerFired
from raftedu.core.outputs import Persist, Say, Send, SetTimer
from raftedu.core.rules import RULES, Rules
from raftedu.core.types import Role
from tests.harness import Flight, Host, Violation, World

__all__ = ["CALM", "Faults", "RandomRun", "caught"]


class Faults(NamedTuple):
    """How much goes wrong; every field is a probability, but ``slow`` and ``disk``, which are seconds at most."""

    loss: float = 0.03
    double: float = 0.05
    late: float = 0.03  # a message takes up to ``slow`` seconds
    slow: float = 12.0
    disk: float = 0.05
    stuck_disk: float = 0.02
    at_moments: float = 0.35  # something happens when a leader is elected, ...
    slow_link: float = 0.3  # ... one of which is that all messages to one node are late


FAULTS = Faults()
CALM = Faults(0, 0, 0, 0, 0.005, 0, 0, 0)
MOMENTS = {
    "leader_elected": 1.0,
    "lease_wait_started": 1.0,
    "lease_acquired": 0.6,
    "committed": 0.15,
    "vote_granted": 0.3,
    "read_served": 0.1,
}


class RandomRun(World):
    """A world that runs by itself from one seed."""

    def __init__(
        self, seed: int, nodes: int = 3, *, rules: Rules = RULES, faults: Faults = FAULTS, rate: float = 2.0, **settings: Any,
    ) -> None:  # fmt: skip
        self.rng, self.faults, self.rate = random.Random(seed), faults, rate
        self.queue: list[tuple[float, int, str, Any]] = []
        self.order = count(1)
        self.slow_links: set[tuple[int, int]] = set()
        self.wishes: list[str] = []
        self.keys = ("x", "y")
        rho = settings.get("rho", 1e-3)
        clocks = {i: (self.rng.uniform(0, 1000), 1 + 0.999 * rho * self.rng.choice((-1, 0, 1))) for i in range(1, nodes + 1)}
        super().__init__(nodes, rules=rules, clocks=clocks, **settings)
        self.at(self.rng.expovariate(rate), "client", None)

    def at(self, delay: float, what: str, of: Any) -> None:
        """Put something into the future."""
        heapq.heappush(self.queue, (self.now + delay, next(self.order), what, of))

    # ---- the world's ways

    def run(self, until: float, *, elections: bool = True) -> None:
        """Let everything happen until this moment."""
        while self.queue and self.queue[0][0] <= until:
            self.now, _, what, of = heapq.heappop(self.queue)
            getattr(self, f"_{what}")(of)
            while self.wishes:
                self.wishes.pop()
                self._something_happens()
        self.now = until
        self.invariants.look(self)

    def launch(self, src: int, send: Send) -> None:
        """Send a message: it may be lost, doubled, late."""
        f, rng = self.faults, self.rng
        if (src, send.to) in self.cut_links or rng.random() < f.loss:
            return
        for _ in range(1 + (rng.random() < f.double)):
            late = rng.random() < f.late or (src, send.to) in self.slow_links
            delay = rng.uniform(0, f.slow) if late else rng.uniform(0.001, 0.05)
            self.at(delay, "arrive", Flight(next(self.ids), src, send.to, send.message, self.now))

    def _arrive(self, flight: Flight) -> None:
        if (flight.src, flight.dst) not in self.cut_links:
            self.step(flight.dst, Receive(flight.message, f"m{flight.id}"))

    def arm(self, host: Host, timer: SetTimer) -> None:
        """Draw a duration; an older timer of the name is ignored by its generation."""
        if timer.low >= 0:
            local = self.rng.uniform(timer.low, timer.high)
            due = host.local(self.now) + local
            self.at(local / host.rate, "ring", (host, host.incarnation, timer.timer, timer.generation, due))

    def _ring(self, of: tuple[Host, int, str, int, float]) -> None:
        host, incarnation, name, generation, due = of
        if host.incarnation == incarnation and host.node is not None:
            host.last_local = max(host.local(self.now), due)
            self.step(host.id, TimerFired(name, generation))

    def disk_asked(self, host: Host) -> None:
        """Write after a while, rarely after a long one."""
        stuck = self.rng.random() < self.faults.stuck_disk
        self.at(
            self.rng.uniform(0, self.faults.slow if stuck else self.faults.disk), "written", (host, host.incarnation, host.unwritten[-1])
        )

    def _written(self, of: tuple[Host, int, Persist]) -> None:
        host, incarnation, persist = of
        if host.incarnation == incarnation and host.node is not None and persist in host.unwritten:
            self.sync(host.id, host.unwritten.index(persist) + 1)

    # ---- clients

    def _client(self, _: None) -> None:
        self.at(self.rng.expovariate(self.rate), "client", None)
        if not self.up():
            return
        leaders = self.leaders()
        node = self.rng.choice(leaders if leaders and self.rng.random() < 0.8 else self.up())
        key = self.rng.choice(self.keys)
        if self.rng.random() < 0.5:
            number = next(self.requests)
            self.set(node, key, f"v{number}", f"c{number}", 1)
        else:
            self.ask(node, key)
        self._retry_something(node)

    def _retry_something(self, node: int) -> None:
        unsure = [o for o in list(self.invariants.operations.values())[-8:] if o.op == "SET" and o.outcome == "unknown"]
        for operation in unsure[:1]:
            self.set(node, operation.key, operation.value, operation.client, operation.request)

    # ---- faults

    def heard(self, host: Host, say: Say) -> None:
        """Let the invariants look; a moment that matters may be a bad one."""
        super().heard(host, say)
        if self.rng.random() < self.faults.at_moments * MOMENTS.get(say.event, 0.0):
            self.wishes.append(say.event)

    def _something_happens(self) -> None:
        rng, up = self.rng, self.up()
        leaders = self.leaders()
        victim = rng.choice(leaders if leaders and rng.random() < 0.7 else list(self.hosts))
        friend = rng.choice([i for i in self.hosts if i != victim] or [victim])
        what = rng.choice(("isolate", "isolate with a friend", "one way", "crash", "campaign", "slow link", "heal"))
        if what == "isolate":
            self.isolate(victim)
        elif what == "isolate with a friend":
            self.isolate(victim, friend)
        elif what == "one way":
            self.cut_links.add((victim, friend))
        elif what == "crash" and victim in up:
            self.crash(victim)
            self.at(rng.uniform(0.1, 3.0), "back", victim)
        elif what == "campaign" and friend in up and self.role(friend) != Role.LEADER:
            self.step(friend, TimerFired("election", self.state(friend).generation["election"]))
        elif what == "slow link" and rng.random() < self.faults.slow_link:
            self.slow_links |= {(i, victim) for i in self.hosts}
        else:
            self.heal()
        self.at(rng.uniform(1.0, 15.0), "mend", None)

    def heal(self) -> None:
        """Mend every link."""
        super().heal()
        self.slow_links.clear()

    def _mend(self, _: None) -> None:
        self.heal()

    def _back(self, i: int) -> None:
        if self.hosts[i].node is None:
            self.restart(i)

    # ---- the end

    def calm_down(self, seconds: float = 60.0) -> None:
        """End all faults and demand life: a leader, a SET that commits, and logs that are all the same."""
        self.faults = CALM
        self.heal()
        for i in self.hosts:
            self._back(i)
        self.run(self.now + seconds)
        done = self._set_somewhere()
        self.rate = 1e-9  # no client asks any more
        self.queue = [item for item in self.queue if item[2] != "client"]
        heapq.heapify(self.queue)
        self.run(self.now + 5.0)
        answer = self.answers.get(done)
        if answer is None or answer.outcome != "success":
            raise Violation(f"nothing commits {seconds} s after everything was mended: {answer}")
        logs = {self.state(i).log.chain() for i in self.hosts}
        states = {(self.state(i).commit_index, self.state(i).kv.state) for i in self.hosts}
        if len(logs) != 1 or len(states) != 1:
            raise Violation(f"the logs are not the same in the end: {logs} {states}")
        self.invariants.finish(self)

    def _set_somewhere(self) -> str:
        leaders = self.leaders()
        if not leaders:
            raise Violation("nobody leads although everything is mended")
        name = self.set(leaders[-1], "end", "1", "end", 1)
        self.run(self.now + 5.0)
        return name


def caught(rules: Rules, seeds: range, *, seconds: float = 150.0, **settings: Any) -> Violation | None:
    """Return the first violation that a few random runs find, or ``None``."""
    for seed in seeds:
        run = RandomRun(seed, 3 + 2 * (seed % 2), rules=rules, **settings)
        try:
            run.run(seconds)
            run.calm_down()
        except Violation as violation:
            return violation
    return None
