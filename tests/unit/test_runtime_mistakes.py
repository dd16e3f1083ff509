"""Mistakes of the runtime that others have made (bugs of kind ``runtime``, listed in docs/coverage.md): ours has none of these.

Here stand those that no other test is about; docs/coverage.md says where the rest are shown.
"""

from __future__ import annotations

import ast
from itertools import product
from pathlib import Path

import pytest

import raftedu.core
import raftedu.live
from raftedu import Simulation
from raftedu.core.config import Config
from raftedu.core.inputs import ClientRequest, Persisted, Receive
from raftedu.core.messages import AppendEntries, AppendReply, RequestVote, VoteReply
from raftedu.core.node import Node
from raftedu.core.outputs import SetTimer
from raftedu.core.rules import after_append_reply
from raftedu.core.state import ELECTION
from raftedu.core.types import Durable, HardState, Role
from raftedu.core.views import ReplyView
from tests.harness import Flight, World


def trees(package) -> dict[str, ast.AST]:
    return {path.name: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(Path(package.__file__).parent.glob("*.py"))}


# ---- elections and timers


def test_el_16_a_leader_is_ready_in_the_very_step_that_elects_it():
    w = World(3, logs={1: [1, 1]}, lease_policy="deferred-commit")
    w.campaign(1)
    w.deliver(w.take(1, 2, RequestVote))
    w.state(1).next_index, w.state(1).match_index = {2: 1, 3: 1}, {2: 1, 3: 1}  # as if left over from an earlier leadership
    w.deliver(w.take(2, 1, VoteReply))
    assert w.role(1) == Role.LEADER and w.terms(1) == [1, 1, 2]
    assert set(w.state(1).match_index.values()) == {0}
    w.set(1, "x", "1")  # nothing has happened in between
    assert w.terms(1) == [1, 1, 2, 2]
    assert [f.message.prev_log_index for f in w.flying(1, kind=AppendEntries)] == [2, 2]


def test_to_06_a_timeout_is_drawn_once_and_what_happens_meanwhile_leaves_it_alone():
    node = Node(1, Config.of(3), durable=Durable(HardState(3, 2, 0.0), (), True))
    armed = [o for o in node.start(0.0) if isinstance(o, SetTimer) and o.timer == ELECTION]
    for i in range(200):
        moment = i * 0.02
        node.step(Persisted(0), moment)
        outputs = node.step(ClientRequest("GET", "x", "", "anna", i, f"o{i}"), moment)
        outputs += node.step(Receive(RequestVote(3, 3, 9, 3, 8.0)), moment)
        outputs += node.step(Receive(AppendReply(0, 3, True, 0, 1, 0)), moment)
        armed += [o for o in outputs if isinstance(o, SetTimer)]
    assert len(armed) == 1


def test_to_06_in_a_run_nobody_campaigns_before_the_shortest_timeout():
    sim = Simulation(5, seed=3).run(4.99)
    assert sim.trace.only(event="election_started").frame.empty
    assert len(sim.trace.only(event="timer_set").frame) == 5
    assert not sim.run(5.01).trace.only(event="election_started").frame.empty


# ---- the log


def test_ae_12_next_is_always_above_match_and_never_before_the_log():
    small = range(4)
    seen = set()
    for following, match, prev, conflict, mine, fast in product(range(1, 5), small, small, range(1, 5), small, (True, False)):
        if match < following:
            view = ReplyView(following, match, 3, False, 0, prev, conflict, conflict, min(mine, 3), fast)
            after = after_append_reply(view)
            assert 1 <= after.match_index + 1 <= after.next_index <= following
            seen.add(after.next_index < following)
    assert seen == {True, False}


def test_ae_12_a_leader_stands_any_refusal():
    for index in (0, 1, 2, 99):
        w = World(3, logs={1: [1, 1, 2]}, no_op_on_election=False)
        w.elect(1, by=[2])
        w.drop()
        w.deliver(Flight(0, 2, 1, AppendReply(3, 2, False, 0, w.state(1).round, 3, None, index), w.now))
        assert 1 <= w.state(1).next_index[2] <= 4
        w.run(12.0)
        assert w.terms(2) == w.terms(1)


# ---- applying and answering


@pytest.fixture(scope="module")
def rough():
    """A run with crashes, lost leaders and a bad network."""
    sim = Simulation(5, seed=11)
    sim.weather(loss=0.05, duplicate=0.1, reorder=0.2, late=1.0)
    for i in range(6):
        operations = [sim.begin("SET", "x", f"{i}.{n}", deadline=30.0) for n in range(5)]
        sim.wait_for_leader(lease=True)
        sim.run(1.0)
        down = sim.leader or 1
        sim.crash(down)
        sim.run(9.0)
        sim.restart(down)
        del operations
    sim.calm()
    sim.wait_for_leader(lease=True)
    return sim.run(5)


def test_ap_02_every_entry_is_applied_once_and_in_order_in_every_life_of_a_node(rough):
    lives = 0
    for dump in rough.world.dumps.values():
        following = 1
        for row in dump.rows:
            if row.say.event == "started":
                following, lives = 1, lives + 1
            elif row.say.event == "applied":
                assert row.say.facts["from"] == following
                following = row.say.facts["to"] + 1
    assert lives > 5
    assert len({life.core.state.kv.state for life in rough.world.lives.values()}) == 1


def test_pe_11_a_restarted_node_applies_from_the_first_entry_and_never_beyond_the_commit(rough):
    for dump in rough.world.dumps.values():
        committed = 0
        for row in dump.rows:
            if row.say.event == "started":
                committed = 0
            elif row.say.event == "committed":
                committed = row.say.index
            elif row.say.event == "applied":
                assert row.say.facts["to"] <= committed


def test_ap_05_an_index_that_reappears_answers_nobody_elses_client():
    """Node 1 appends at index 2, is deposed, leads again, and something else is committed at index 2."""
    w = World(3, lease_policy="deferred-commit", no_op_on_election=False)
    w.elect(1)
    w.run(1.5)
    w.set(1, "y", "0")
    w.settle()
    w.isolate(1)
    lost = w.set(1, "x", "lost")
    assert w.terms(1) == [1, 1]
    w.elect(2)
    w.set(2, "x", "other")
    w.settle()
    w.heal()
    w.run(12.0)
    assert w.terms(1) == [1, 2] and w.answers[lost].outcome == "unknown"
    w.elect(1)
    w.run(24.0)
    third = w.set(1, "x", "third")
    w.run(26.0)
    assert w.answers[third].outcome == "success" and w.answers[third].index == 3
    assert w.answers[lost].outcome == "unknown"
    assert w.state(1).kv.data == {"y": "0", "x": "third"}


def test_rd_09_after_a_restart_of_all_nobody_answers_before_it_knows_what_is_committed():
    w = World(3)
    w.elect(1)
    w.run(1.5)
    w.set(1, "x", "1")
    w.run(3.0)
    for i in (1, 2, 3):
        w.crash(i)
        w.restart(i)
        assert w.state(i).commit_index == 0 and w.get(i, "x").outcome == "fail"
    w.elect(2)
    early = w.get(2, "x")
    assert early.outcome == "fail" and early.value == ""
    w.run(14.0)
    assert w.get(2, "x").value == "1"


# ---- threads and messages


def test_rt_03_the_core_knows_no_threads_and_never_waits():
    waiting = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
    for name, tree in trees(raftedu.core).items():
        imports = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        imports |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert not imports & {"asyncio", "threading", "time", "datetime", "random", "socket", "os"}, name
        assert not [node for node in ast.walk(tree) if isinstance(node, waiting)], name


def test_rt_04_one_module_alone_gives_the_core_its_inputs():
    calls = {
        name
        for name, tree in trees(raftedu.live).items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("core.step", "core.start"))
    }
    assert calls == {"driver.py"}


def test_rt_06_what_travels_cannot_be_changed_and_no_two_nodes_share_a_log():
    w = World(3)
    w.elect(1)
    w.held_links = {(1, 2)}
    w.run(1.5)
    w.set(1, "x", "1")
    sent = w.take(1, 2, AppendEntries).message
    hash(sent)  # tuples all the way down
    before = sent.entries
    w.set(1, "x", "2")
    w.settle()
    assert sent.entries == before
    logs = [w.state(i).log for i in (1, 2, 3)]
    assert len({id(log) for log in logs}) == len({id(log.terms) for log in logs}) == 3
    assert w.terms(1) == [1, 1, 1] and w.terms(2) == [1]
