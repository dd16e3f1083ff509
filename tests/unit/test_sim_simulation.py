"""`Simulation`: what a person may ask for, in virtual time."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import raftedu
from raftedu.core.rules import RULES
from raftedu.events.table import misfit
from raftedu.sim import Simulation, SimulationError

ROOT = Path(__file__).resolve().parents[2]

STORY = """
import hashlib, random, sys
sys.path.insert(0, ".")
from raftedu.sim import Simulation
random.seed()
sim = Simulation(5, seed=7, lease=4.0)
sim.weather(loss=0.05, duplicate=0.05, reorder=0.1)
sim.run(20); sim.set("x", "1")
sim.crash(sim.leader); sim.run(3); sim.partition([1, 2, 3], [3, 4, 5]); sim.run(10)
sim.clock(2, rate=1.001, offset=3.0); sim.disk(3, 0.3); sim.pause(4); sim.run(6); sim.resume(4)
for node in sim.nodes:
    if not sim.is_up(node):
        sim.restart(node)
sim.heal(); sim.calm(); sim.run(20); sim.get("x"); sim.stop()
lines = b"".join(line for node in sim.nodes for line in sim.world.dumps[node].lines())
print(hashlib.sha256(lines).hexdigest(), lines.count(b"\\n"))
"""


def events(sim, name):
    return [row for node in sim.nodes for row in sim.world.dumps[node].rows if row.say.event == name]


def test_the_same_seed_gives_the_same_bytes_in_every_process():
    def told(hash_seed: str, zone: str) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "TZ": zone}
        done = subprocess.run([sys.executable, "-c", STORY], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    first = told("1", "UTC")
    assert int(first.split()[1]) > 1000
    assert first == told("4711", "Asia/Tokyo")


def test_another_seed_gives_another_run():
    def digest(seed: int) -> str:
        sim = Simulation(3, seed=seed).run(20)
        return hashlib.sha256(b"".join(sim.world.dumps[1].lines())).hexdigest()

    assert digest(1) == digest(1)
    assert digest(1) != digest(2)


def test_a_fault_that_draws_does_not_shift_the_chances_of_others():
    calm, lossy = Simulation(5, seed=3), Simulation(5, seed=3)
    lossy.weather(loss=0.5)
    first = [sim.run(12).trace.elections()["start"].iloc[0] for sim in (calm, lossy)]
    assert first[0] == first[1]


def test_a_saved_run_is_read_as_the_same_trace(tmp_path):
    sim = Simulation(3, seed=2).run(15)
    sim.set("key", "a value\twith a tab")
    sim.crash(sim.leader)
    sim.run(20)
    read = raftedu.read_dump(sim.save(tmp_path))
    assert read.frame.equals(sim.trace.frame)
    assert read.leases().equals(sim.trace.leases())
    assert len(read.frame) == sum(dump.seq for dump in sim.world.dumps.values())


def test_every_event_fits_the_table():
    sim = Simulation(5, seed=4)
    sim.weather(loss=0.1, duplicate=0.1, reorder=0.1)
    sim.run(20)
    sim.set("x", "1")
    sim.slow(2, 0.5, 1.0)
    sim.disk(3, 0.5)
    sim.cut(1, 2)
    sim.mend(1, 2)
    sim.hold(1, 3)
    sim.run(3)
    sim.release()
    sim.clock(1, rate=1.0005)
    sim.pause(4)
    sim.resume(4)
    sim.crash(5)
    sim.run(10)
    sim.restart(5)
    sim.run(10)
    sim.get("x")
    sim.stop()
    rows = [row for node in sim.nodes for row in sim.world.dumps[node].rows]
    assert [misfit(row.say) for row in rows if misfit(row.say)] == []
    told = {row.say.event for row in rows}
    assert told >= {
        "dropped", "duplicated", "rpc_failed", "fault_injected", "link_cut", "link_healed", "clock_changed", "paused", "resumed", "crashed",
        "started", "stopped", "persisted", "timer_set", "timer_fired", "read_served",
    }  # fmt: skip


def test_it_has_the_methods_of_a_cluster():
    shared = {
        "nodes", "leader", "status", "log", "is_up", "set", "get", "request", "wait_for_leader", "wait_until", "crash", "restart",
        "partition", "heal", "fix_timeout", "now", "step", "trace", "errors", "stopped", "stop", "__enter__", "__exit__",
    }  # fmt: skip
    assert {name for name in shared if not hasattr(raftedu.Simulation, name)} == set()
    assert {name for name in shared if not hasattr(raftedu.Cluster, name)} == set()


def test_set_and_get_take_virtual_time_and_follow_the_leader():
    sim = Simulation(5, seed=1)
    reply = sim.set("x", "1")
    assert (reply.outcome, reply.index) == ("success", 2)
    assert sim.now >= 5.0  # an election came first
    sim.crash(sim.leader)
    before = sim.now
    assert sim.get("x") == "1"
    assert sim.now - before > 2.0  # the wait for the old lease


def test_without_a_majority_a_set_is_unknown_and_a_get_fails():
    sim = Simulation(3, seed=1)
    sim.set("x", "1")
    leader = sim.leader
    for node in sim.nodes:
        if node != leader:
            sim.crash(node)
    with pytest.raises(raftedu.RequestFailed) as caught:
        sim.set("x", "2", deadline=30.0)
    assert caught.value.reply.outcome == "unknown"
    assert sim.request("GET", "x", deadline=20.0).outcome == "fail"
    assert sim.leader is None


def test_a_crash_loses_what_the_disk_had_not_finished():
    sim = Simulation(3, seed=1, first_timeout={1: 5.0})
    sim.set("x", "1")
    sim.disk(1, 1.0)
    sim.begin("SET", "x", "2")
    sim.run(0.5)
    assert len(sim.log(1)) == 3
    sim.crash(1)
    sim.restart(1)
    assert [entry[2] for entry in sim.log(1)] == ["NO-OP", "SET x 1"]


def test_what_the_disk_had_finished_is_there_after_a_crash():
    sim = Simulation(3, seed=1, first_timeout={1: 5.0})
    sim.set("x", "1")
    sim.run(1)
    term = sim.status()[0].term
    sim.crash(1)
    sim.restart(1)
    status = sim.status()[0]
    assert (status.term, status.voted_for, status.last_log_index) == (term, 1, 2)
    assert status.promise_left == pytest.approx(sim.config.promise)


def test_a_reply_waits_for_the_disk():
    sim = Simulation(3, seed=1, first_timeout={1: 5.0})
    sim.disk(2, 2.0)
    sim.disk(3, 2.0)
    sim.run_until(lambda: sim.leader is not None, 30.0)
    granted = min(row.time for row in events(sim, "vote_granted"))
    assert events(sim, "leader_elected")[0].time >= granted + 2.0


def test_a_leader_whose_disk_is_stuck_steps_down():
    sim = Simulation(3, seed=1, first_timeout={1: 5.0}, lease=4.0)
    sim.set("x", "1")
    sim.disk(1, None)
    sim.begin("SET", "x", "2")
    sim.run_until(lambda: sim.status()[0].role != "leader", 10.0)
    assert "disk" in events(sim, "stepped_down")[0].say.facts["why"]
    sim.disk(1, 0.005)
    sim.run(30)
    assert len({sim.log(node) for node in sim.nodes}) == 1


def test_a_paused_node_takes_nothing_until_it_goes_on():
    sim = Simulation(3, seed=1, first_timeout={1: 5.0})
    sim.set("x", "1")
    sim.pause(1)
    seq = sim.world.dumps[1].seq
    sim.run(4)
    assert sim.world.dumps[1].seq == seq
    sim.run(30)
    assert sim.leader in (2, 3)
    sim.resume(1)
    sim.run(1)
    assert sim.status()[0].role == "follower"
    assert "lease_expired" in {row.say.event for row in sim.world.dumps[1].rows[seq:]}


def test_a_cut_link_is_one_way():
    sim = Simulation(3, seed=1, first_timeout={1: 5.0})
    sim.wait_for_leader(lease=True)
    sim.cut(1, 2)
    before = sim.world.dumps[2].seq
    sim.run(2)
    assert {row.say.event for row in sim.world.dumps[2].rows[before:]} & {"received"} == set()
    sim.mend(1, 2)
    sim.run(2)
    assert "received" in {row.say.event for row in sim.world.dumps[2].rows[before:]}


def test_a_bridge_reaches_both_sides():
    sim = Simulation(5, seed=1)
    sim.partition([1, 2, 3], [3, 4, 5])
    cuts = set(sim.world.network.cuts)
    assert cuts == {(a, b) for a in (1, 2) for b in (4, 5)} | {(a, b) for a in (4, 5) for b in (1, 2)}


def test_held_messages_arrive_after_release_in_their_order():
    sim = Simulation(3, seed=1, first_timeout={1: 5.0})
    sim.wait_for_leader(lease=True)
    sim.hold(1, 2)
    sim.run(3.5)
    assert sim.release(1, 2) in (3, 4)
    before = sim.world.dumps[2].seq
    sim.run(0.2)
    rounds = [row.say.facts["round"] for row in sim.world.dumps[2].rows[before:] if row.say.event == "received"]
    assert rounds == sorted(rounds)
    assert len(rounds) >= 3


def test_a_slow_node_gets_everything_late():
    sim = Simulation(3, seed=1, first_timeout={1: 5.0})
    sim.wait_for_leader(lease=True)
    sim.slow(2, 1.5, 1.5)
    start = sim.now
    sim.run(10)
    sent = {row.say.facts["msg"]: row.time for row in events(sim, "sent") if row.say.peer == 2 and row.time > start}
    received = [row for row in events(sim, "received") if row.say.facts["msg"] in sent]
    took = [row.time - sent[row.say.facts["msg"]] for row in received]
    assert took
    assert min(took) == pytest.approx(1.5)


def test_without_reordering_a_link_is_first_in_first_out():
    sim = Simulation(2, seed=1, heartbeat=0.1, first_timeout={1: 5.0})
    sim.weather(low=0.01, high=0.5)
    sim.run(60)
    rounds = [row.say.facts["round"] for row in sim.world.dumps[2].rows if row.say.event == "received" and "round" in row.say.facts]
    assert rounds == sorted(rounds)
    sim.weather(reorder=0.5)
    sim.run(60)
    rounds = [row.say.facts["round"] for row in sim.world.dumps[2].rows if row.say.event == "received" and "round" in row.say.facts]
    assert rounds != sorted(rounds)


@pytest.mark.parametrize(("rate", "offset"), [(1.1, None), (0.5, None), (1.0, 100.0), (2.0, -3.0)])
def test_timers_follow_the_clock_of_their_node(rate, offset):
    sim = Simulation(1, seed=1, first_timeout={1: 6.0})
    sim.clock(1, rate=rate, offset=offset)
    sim.run(40)
    fired = next(row for row in sim.world.dumps[1].rows if row.say.event == "timer_fired")
    expected = (6.0 - (offset or 0.0)) / rate
    assert fired.time == pytest.approx(max(0.0, expected))


def test_a_clock_that_stands_still_wakes_nobody():
    sim = Simulation(1, seed=1)
    sim.clock(1, rate=0.0)
    sim.run(100)
    assert sim.leader is None
    sim.clock(1, rate=1.0)
    sim.run(11)
    assert sim.leader == 1


def test_a_step_is_one_thing_and_what_was_said_about_it():
    sim = Simulation(3, seed=1)
    said = sim.step()
    assert "ran out" in said[0]
    assert any("Starting election" in sentence for sentence in said)


def test_a_listener_hears_every_event_and_steps_do_not_silence_it():
    heard = []
    sim = Simulation(3, seed=1, listener=lambda node, time, words, say: heard.append((node, time, say)))
    sim.run(10)
    sim.step()
    sim.run(5)
    assert len(heard) == sum(dump.seq for dump in sim.world.dumps.values())


def test_without_listening_the_same_things_happen_and_nothing_is_kept():
    loud, quiet = Simulation(5, seed=9), Simulation(5, seed=9, listening=False)
    for sim in (loud, quiet):
        sim.weather(loss=0.1)
        sim.set("x", "1")
        sim.crash(sim.leader)
        sim.run(30)
    assert state_or_down(loud) == state_or_down(quiet)
    assert loud.now == quiet.now
    assert sum(dump.seq for dump in quiet.world.dumps.values()) == 0


def state_or_down(sim):
    return [s and (s.role, s.term, s.commit_index, s.last_log_index, s.lease_left) for s in sim.status()]


def test_a_rule_that_raises_stops_its_node_and_tells_no_path():
    def grant_vote(view):
        raise ZeroDivisionError("no")

    sim = Simulation(3, seed=1, rules=RULES.but(grant_vote=grant_vote)).run(8)
    assert sim.errors
    fault = events(sim, "fault")[0].say.facts
    assert "grant_vote raised ZeroDivisionError" in fault["why"]
    assert str(ROOT) not in fault["traceback"]
    assert not sim.is_up(min(sim.errors))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda sim: sim.crash(9), "there is no node 9"),
        (lambda sim: sim.crash(None), "no leader to crash"),
        (lambda sim: sim.restart(1), "is running"),
        (lambda sim: sim.resume(1), "is not paused"),
        (lambda sim: sim.run(-1), "from 0"),
        (lambda sim: sim.weather(loss=2), "probability"),
        (lambda sim: sim.weather(colour=2), "colour"),
        (lambda sim: sim.clock(1, rate=-1), "runs forward"),
        (lambda sim: sim.cut(1, 1), "no link to itself"),
        (lambda sim: sim.run_until(lambda: False, 3.0, what="a miracle"), "a miracle within 3 s"),
        (lambda sim: (sim.stop(), sim.run(1)), "stopped"),
        (lambda sim: (sim.crash(2), sim.pause(2)), "restart(2)"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(wrong, words):
    with pytest.raises(SimulationError, match=words.replace("(", r"\(").replace(")", r"\)")):
        wrong(Simulation(3, seed=1))


def test_operations_in_the_background_have_clients_of_their_own():
    sim = Simulation(3, seed=1)
    sim.wait_for_leader(lease=True)
    operations = [sim.begin("SET", "x", str(i)) for i in range(5)]
    sim.run_until(lambda: all(operation.reply for operation in operations))
    assert {operation.reply.outcome for operation in operations} == {"success"}
    assert len({operation.seeker.client for operation in operations}) == 5
