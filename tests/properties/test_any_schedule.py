"""Hypothesis looks for a schedule that breaks an invariant: hand-made ones that shrink, and long random runs."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raftedu.core.rules import RULES
from raftedu.core.types import Role
from tests.harness import WAYS, Violation, World
from tests.random_runs import Faults, RandomRun

quiet = settings(deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
PLENTY = int(os.environ.get("RAFTEDU_EXAMPLES", "0"))

actions = st.tuples(
    st.sampled_from(
        ("campaign", "campaign", "deliver", "deliver", "deliver", "settle", "settle", "double", "drop", "set", "set", "get", "wait", "wait",
         "crash", "isolate", "heal", "hold disk", "write", "hold link", "elect")
    ),
    st.integers(0, 4),
    st.integers(0, 7),
)  # fmt: skip


def act(w: World, what: str, who: int, which: int) -> None:
    """Do one thing in the world, or nothing where it makes no sense."""
    i = who % len(w.hosts) + 1
    other = which % len(w.hosts) + 1
    host = w.hosts[i]
    if what == "crash":
        w.crash(i) if host.node else w.restart(i)
    elif what in ("campaign", "elect") and host.node and w.role(i) != Role.LEADER:
        w.campaign(i)
        if what == "elect":
            w.settle()
    elif what in ("deliver", "double", "drop") and w.flights:
        flight = w.flights[which % len(w.flights)]
        if what != "drop":
            w.deliver(w.copy(flight) if what == "double" else flight)
        else:
            w.drop(flight)
    elif what == "wait":
        w.run(w.now + (0.1, 1.0, 1.0, 3.0, 6.0, 8.1, 9.0, 12.0)[which])
    elif what in ("set", "get") and host.node:
        leaders = w.leaders()
        target = leaders[which % len(leaders)] if leaders and which < 6 else i
        w.set(target, "x", str(len(w.answers))) if what == "set" else w.ask(target, "x")
    elif what == "hold disk":
        host.disk_held = True
    elif what == "write":
        host.disk_held = which % 2 == 0 and host.disk_held
        w.sync(i)
    elif what == "hold link":
        w.held_links.add((i, other))
    elif what == "isolate":
        w.isolate(i)
    elif what == "heal":
        w.heal()
    elif what == "settle":
        w.settle()


@settings(quiet, max_examples=PLENTY or 400)
@given(nodes=st.sampled_from((3, 3, 5)), way=st.sampled_from(WAYS), batch=st.sampled_from((1, 512)), no_op=st.booleans(),
       fast=st.booleans(), schedule=st.lists(actions, max_size=60))  # fmt: skip
def test_no_schedule_breaks_an_invariant(nodes, way, batch, no_op, fast, schedule):
    w = World(nodes, lease_policy=way[0], read_mode=way[1], batch_size=batch, no_op_on_election=no_op, fast_backup=fast)
    for what, who, which in schedule:
        act(w, what, who, which)
    w.invariants.finish(w)


@settings(quiet, max_examples=PLENTY or 20)
@given(seed=st.integers(0, 2**32), nodes=st.sampled_from((3, 5)), way=st.sampled_from(WAYS), batch=st.sampled_from((1, 512)),
       fast=st.booleans(), rho=st.sampled_from((0.0, 1e-3, 0.2)), lossy=st.booleans())  # fmt: skip
def test_no_random_run_breaks_an_invariant(seed, nodes, way, batch, fast, rho, lossy):
    faults = Faults(loss=0.2, double=0.2, late=0.1) if lossy else Faults()
    run = RandomRun(seed, nodes, faults=faults, lease_policy=way[0], read_mode=way[1], batch_size=batch, fast_backup=fast, rho=rho)
    run.run(100.0)
    run.calm_down()
    assert run.events("read_served") and run.events("committed"), "nothing happened"


@pytest.mark.slow
def test_the_search_finds_a_wrong_rule_and_shrinks_its_schedule():
    found = []

    @settings(quiet, max_examples=2000)
    @given(schedule=st.lists(actions, max_size=20))
    def search(schedule):
        w = World(3, rules=RULES.but(grant_vote=lambda view: view.candidate_term >= view.term))
        try:
            for what, who, which in schedule:
                act(w, what, who, which)
        except Violation:
            found.append(len(schedule))
            raise

    with pytest.raises(Violation, match="Election Safety"):
        search()
    assert min(found) <= 6


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("block", range(20))
def test_soak(block):
    for seed in range(block * 200, block * 200 + 200):
        policy, mode = WAYS[seed // 4 % len(WAYS)]
        run = RandomRun(seed, 3 + 2 * (seed % 2), lease_policy=policy, read_mode=mode, batch_size=(1, 512)[seed // 2 % 2])
        run.run(300.0)
        run.calm_down()
