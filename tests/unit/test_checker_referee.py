"""The referee: every counterexample of a search breaks the same at message level, and as code too; the right rules break nothing there."""

from __future__ import annotations

import ast
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from random import Random
from types import ModuleType, SimpleNamespace

import pytest

import raftedu
from raftedu import RULES, RuleError, Simulation
from raftedu.checker import hunt
from raftedu.checker.case import caught
from raftedu.checker.checking import check_here
from raftedu.checker.code import as_code
from raftedu.checker.coverage import Coverage
from raftedu.checker.directed import DirectedCluster, InvariantBroken
from raftedu.checker.hunt import Hunt
from raftedu.checker.invariants import INVARIANTS
from raftedu.checker.masked import NEIGHBOURS
from raftedu.checker.profiles import PROFILES, Profile
from raftedu.checker.referee import judge, parted_at
from raftedu.checker.replay import Schedule, Script, play, script
from raftedu.checker.report import Report
from raftedu.checker.search import Search
from raftedu.checker.shrink import shrunk, without
from raftedu.checker.snapshot import Snapshot
from raftedu.checker.steps import Append, Elect, Late, Write
from raftedu.checker.wrong_rules import CATALOGUE, WrongRule, find
from raftedu.core.rules import Rules
from raftedu.core.types import Role
from raftedu.sim.safety import CHECKS, _leases
from raftedu.sim.world import SimulationError

FEW = ["EL-02", "EL-09", "PE-01", "PE-06", "AE-05", "RP-03", "CM-02", "CL-04", "CL-07", "CL-09", "LS-03", "LS-11", "LS-12"]
"""Rows of every family that are found at once."""

NO_SCHEDULE = {
    "Something Happens": "nothing happens in any schedule",
    "Any Id Is Somebody": "the first look at a rule finds it, before any search",
    "A Rule Only Decides": "the first look at a rule finds it, before any search",
}
"""Why there is nothing to confirm; nor is there where only a bound is gone beyond, which is safe and slow."""


def has_schedule(row: WrongRule) -> bool:
    return row.breaks not in NO_SCHEDULE and INVARIANTS[row.breaks].kind != "bound"


rows = [pytest.param(row, id=row.id, marks=() if row.id in FEW else pytest.mark.slow) for row in CATALOGUE if has_schedule(row)]
reports: dict[str, Report] = {}


def report_on(row: WrongRule) -> Report:
    """Return the report on a row with a schedule in it; one for all tests."""
    if row.id not in reports:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(hunt, "PURSUIT", 8_000)  # not every broken promise need be followed to its disaster here
            reports[row.id] = hunted(row) if row.profile else check_here(row.rules, budget=600)
    report = reports[row.id]
    assert report.plan is not None, f"{row.id} breaks nothing in a schedule, so that nothing can be confirmed: {report.verdict}"
    return report


def hunted(row: WrongRule) -> Report:
    """Return the report on a row that is looked for in one profile only."""
    profiles = tuple(profile for profile in PROFILES if profile.name == row.profile)
    catch = Hunt(row.rules, follows_duties=len(row.replaced) > 1).run(profiles, 200_000)
    return Report(tuple(row.replaced), Coverage(), caught(catch, row.rules, list(row.replaced), 0))


def walk(profile: Profile, rules: Rules, random: Random, steps: int) -> Schedule:
    """Return a schedule of random steps that are possible under these rules."""
    search = Search(profile, rules, alike=False)
    state, taken = search.start, []
    for _ in range(steps):
        moves = search.moves.of(state)
        if not moves:
            break
        move = random.choice(moves)
        state, _, outcome = search.apply(state, move)
        taken.append(move.step)
        if outcome is not None:
            break
    return script(search, taken)


def public(node: Snapshot) -> tuple[object, ...]:
    return node.role, node.term, node.voted_for, node.leader, node.log, node.commit, node.applied


# ---- the referee and the search agree


@pytest.mark.parametrize("row", rows)
def test_what_a_search_finds_breaks_at_message_level_too(row):
    report = report_on(row)
    found = [at for at in (report.broken_promise, report.disaster) if at is not None]
    ruling = judge(report.plan, row.rules)
    assert {(step, broken.name) for step, broken in found} <= {(step, broken.name) for step, broken in ruling.broken}
    assert ruling.left_out == []


@pytest.mark.parametrize("row", rows)
def test_the_right_rules_break_nothing_in_the_same_schedule(row):
    ruling = judge(report_on(row).plan, RULES)
    assert ruling.upheld, (ruling.broken, ruling.unsafe)


@pytest.mark.parametrize("row", rows)
def test_the_two_rulings_part_where_something_is_broken(row):
    plan = report_on(row).plan
    wrong, right = judge(plan, row.rules), judge(plan, RULES)
    parted = parted_at(wrong, right)
    if parted is None:
        assert row.id in SEEN_BY_NOBODY
    else:
        assert parted <= wrong.broken[-1][0] or parted == wrong.steps  # what a node would have answered is in no dump until it is asked


SEEN_BY_NOBODY = {"RP-01"}
"""What nodes are and say after each step is the same; what a leader believes of a follower was wrong for a moment."""


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
@pytest.mark.parametrize("seeds", [pytest.param(range(1), id="few"), pytest.param(range(1, 32), id="many", marks=pytest.mark.slow)])
def test_both_see_the_same_cluster_after_every_step(profile, seeds):
    for seed in seeds:
        plan = walk(profile, RULES, Random(f"{profile.name}/{seed}"), 14)
        scenes, ruling = play(plan, RULES), judge(plan, RULES)
        assert ruling.upheld, (seed, ruling.broken, ruling.unsafe)
        for scene, played in zip(scenes, ruling.played, strict=False):
            assert [public(node) for node in played.nodes] == [public(node) for node in scene.nodes], (seed, scene.words)
            assert played.possible
            assert played.words.replace("retry", "write") == scene.words.replace("retry", "write")


@pytest.mark.parametrize(
    "id", ["EL-01", "EL-07", "PE-05", "AE-04", "CM-01", pytest.param("LS-01", marks=pytest.mark.slow), "LS-10b", "RD-05"]
)
def test_on_a_random_walk_both_see_the_same_disaster(id):
    row = find(id)
    for profile in PROFILES[:8]:
        plan = walk(profile, row.rules, Random(f"{id}/{profile.name}"), 12)
        outcomes = {scene.outcome.name for scene in play(plan, row.rules) if scene.outcome is not None}
        assert outcomes <= set(judge(plan, row.rules).names), profile.name


# ---- what a ruling tells


@pytest.fixture(scope="module")
def two_leaders() -> Schedule:
    """A voter of two candidates makes two leaders."""
    steps = [Elect(0, (1,), 1, False), Elect(2, (1,), 1, False)]
    return Schedule(PROFILES[0], tuple(map(Script, steps)), 0)


def test_a_ruling_tells_what_broke_when_and_where_the_two_part(two_leaders):
    wrong, right = judge(two_leaders, find("EL-01").rules), judge(two_leaders, RULES)
    assert [(step, broken.name) for step, broken in wrong.broken] == [(2, "One Vote a Term"), (2, "Election Safety")]
    assert [broken.reason for broken in wrong.unsafe] == ["nodes 1 and 3 both led term 1"]
    assert right.upheld and parted_at(wrong, right) == 2
    assert "Node 3 became the leader for term 1." in wrong.sentences[1]
    assert not any("became the leader" in words for words in right.sentences[1])


def test_a_ruling_has_a_trace_and_travels(two_leaders):
    ruling = judge(two_leaders, find("EL-01").rules)
    assert ruling.trace.leaders()["node"].tolist() == [1, 3]
    again = pickle.loads(pickle.dumps(ruling))
    assert again.broken == ruling.broken and again.sentences == ruling.sentences
    assert len(pickle.dumps(ruling)) < 60_000


def test_what_cannot_happen_under_other_rules_is_left_out():
    plan = Schedule(PROFILES[0], tuple(map(Script, [Elect(0, (), 1, False), Append(0, 1, ""), Elect(1, (2,), 2, False)])), 0)
    assert judge(plan, RULES).left_out == [2]


def test_the_referee_needs_no_pandas():
    program = "import sys, raftedu.checker.referee, raftedu.checker.code; print('pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60).stdout.strip() == "False"


# ---- as code


def outcome_of(code: str, rules: Rules, names: list[str], monkeypatch) -> str:
    """Return what the test of a generated module says, empty if it passes."""
    my_rules = ModuleType("my_rules")
    for name in names:
        setattr(my_rules, name, getattr(rules, name))
    monkeypatch.setitem(sys.modules, "my_rules", my_rules)
    module: dict[str, object] = {}
    exec(compile(code, "generated", "exec"), module)
    (test,) = [value for name, value in module.items() if name.startswith("test_")]
    try:
        test()
    except InvariantBroken as error:
        return str(error)
    return ""


@pytest.mark.parametrize("row", rows)
def test_as_code_it_fails_for_the_wrong_rule_and_passes_for_the_right_one(row, monkeypatch):
    report = report_on(row)
    code = as_code(report.rules, report.plan, report.invariant, report.reason)
    assert report.invariant in outcome_of(code, row.rules, list(row.replaced), monkeypatch)
    assert outcome_of(code, RULES, list(row.replaced), monkeypatch) == ""
    assert max(map(len, code.splitlines())) <= 140


SOURCE = """
    def grant_vote(view):
        if view.role == Role.LEADER:
            return False
        return view.candidate_term >= view.term and view.candidate_log_is_up_to_date
"""


def test_the_rule_itself_is_put_in_with_what_a_cell_takes_for_granted(two_leaders, monkeypatch):
    code = as_code(["grant_vote"], two_leaders, "Election Safety", 'it said """yes""" twice.', SOURCE)
    assert "my_rules" not in code
    assert "from raftedu.core.types import Role\n" in code
    assert "Election Safety is broken by step 2" in outcome_of(code, RULES, [], monkeypatch)


@pytest.mark.parametrize("source", [None, "grant_vote = lambda view: True", "def other(view): ...", "def grant_vote(view: return"])
def test_a_source_that_does_not_define_the_rule_is_not_used(two_leaders, source):
    code = as_code(["grant_vote"], two_leaders, "Election Safety", "why", source)
    assert "from my_rules import grant_vote" in code


def test_the_code_is_what_a_person_would_write(two_leaders):
    code = as_code(["grant_vote"], two_leaders, "Election Safety", "node 2 voted for 1 and for 3 in term 1")
    assert (
        code.split("\n\n\n")[1]
        == '''def test_election_safety():
    """node 2 voted for 1 and for 3 in term 1."""
    rules = RULES.but(grant_vote=grant_vote)
    cluster = DirectedCluster(3, rules)
    cluster.elect(1, via=[2], term=1)
    cluster.elect(3, via=[2], term=1)
    cluster.must_hold("Election Safety")
'''
    )


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_the_code_says_all_of_a_world_that_matters(profile):
    code = as_code([], Schedule(profile, (), 0), "Log Matching", "why")
    test = ast.parse(code).body[-1]
    made = ast.unparse(test.body[2].value)
    cluster = eval(made, {"DirectedCluster": DirectedCluster, "rules": RULES})
    assert cluster.config == profile.config()
    for name in ("timed", "offsets", "lazy_disk", "before", "overlooks"):
        assert getattr(cluster.profile, name) == getattr(profile, name)


def test_beside_a_weak_neighbour_the_rule_alone_is_judged(monkeypatch):
    weak = NEIGHBOURS[0]
    wrong = RULES.but(may_serve_read=lambda view: view.role == Role.LEADER and view.commit_term == view.term)
    catch = Hunt(weak.beside(wrong)).run(weak.profiles, 20_000)
    plan = script(catch.search, catch.steps)
    assert judge(plan, weak.beside(wrong)).names
    assert judge(plan, weak.beside(RULES)).upheld
    broken = (catch.outcome or catch.obligation).name
    code = as_code(["may_serve_read"], plan, broken, "why", beside=weak.words)
    assert broken in outcome_of(code, wrong, ["may_serve_read"], monkeypatch)
    assert outcome_of(code, RULES, ["may_serve_read"], monkeypatch) == ""


@pytest.mark.slow
@pytest.mark.parametrize("wrong", [True, False])
def test_the_code_is_a_test_for_pytest(two_leaders, tmp_path, wrong):
    (tmp_path / "my_rules.py").write_text(
        "from raftedu.core.rules import grant_vote\n" if not wrong else "def grant_vote(view):\n    return True\n", encoding="utf-8"
    )
    code = as_code(["grant_vote"], two_leaders, "Election Safety", "why")
    (tmp_path / "test_mine.py").write_text(code, encoding="utf-8")
    env = {**os.environ, "PYTHONPATH": str(Path(raftedu.__file__).parents[1])}
    command = [sys.executable, "-m", "pytest", "-q", "test_mine.py"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == int(wrong), done.stdout
    assert ("Election Safety is broken by step 2" in done.stdout) == wrong


# ---- a cluster that is directed


def test_figure_8_by_hand():
    old_terms_count = {"leader_commit_index": find("CM-01").replaced["leader_commit_index"]}
    for rules, is_safe in ((RULES.but(**old_terms_count), False), (RULES, True)):
        cluster = DirectedCluster(3, rules)
        cluster.elect(1, via=[2], term=1)
        cluster.elect(2, via=[3], term=2)
        cluster.elect(1, via=[3], term=3)
        cluster.append(1, 3)
        cluster.append(1, 3)
        cluster.elect(2, via=[3], term=4)
        assert ([broken.name for _, broken in cluster.broken] == []) == is_safe
    with pytest.raises(SimulationError, match="no invariant 'Election safety'"):
        cluster.must_hold("Election safety")


def test_nothing_happens_by_itself():
    cluster = DirectedCluster(3, timed=True)
    for _ in range(5):
        cluster.tick()
    assert cluster.leaders == [] and [cluster.state(node).term for node in cluster.nodes] == [0, 0, 0]


def test_a_lease_lasts_a_tick_and_the_reader_hears_of_it():
    cluster = DirectedCluster(3, timed=True)
    cluster.elect(1, via=[2])
    cluster.append(1, 2)
    cluster.append(1, 2)
    cluster.write(1, "7")
    cluster.append(1, 2)
    assert cluster.read(1) == "7"
    assert cluster.read(2) is None
    cluster.tick()
    assert cluster.read(1) is None and cluster.leaders == []
    cluster.must_hold()


def test_a_slow_clock_keeps_its_lease_longer():
    cluster = DirectedCluster(3, timed=True, slow=1)
    cluster.elect(1, via=[2])
    cluster.append(1, 2)
    cluster.tick(slow=1)
    assert cluster.leaders == [1]
    cluster.tick()
    assert cluster.leaders == []


def test_what_was_held_arrives_when_it_is_delivered_and_once_more():
    cluster = DirectedCluster(3)
    vote = cluster.elect(1, via=[2], votes_late=True)
    assert cluster.leaders == []
    cluster.deliver(vote, again=True)
    cluster.deliver(vote)
    assert cluster.leaders == [1]
    request = cluster.append(1, 3, request="late")
    reply = cluster.append(1, 2, reply="late")
    cluster.append(1, 3, reply="lost")
    assert cluster.committed(1) == 0 and len(cluster.log(3)) == 1
    cluster.deliver(reply)
    assert cluster.committed(1) == 1
    cluster.deliver(request)
    assert [step.words for step in cluster.played[-2:]] == ["late reply of term 1 2→1", "late append of term 1 1→3"]
    cluster.must_hold()


def test_a_disk_that_is_lazy_loses_what_no_message_waited_for():
    for lazy in (0, 1):
        cluster = DirectedCluster(3, crashes=lazy)
        cluster.elect(1, via=[2])
        cluster.crash_and_restart(1)
        assert len(cluster.log(1)) == 1 - lazy


def test_a_leader_whose_disk_is_stuck_does_not_count_itself():
    cluster = DirectedCluster(3, stuck=1)
    cluster.elect(1, via=[2])
    cluster.append(1, 2, disk="stuck")
    assert cluster.committed(1) == 0
    cluster.append(1, 3)
    assert cluster.committed(1) == 1


def test_a_retry_is_the_same_request():
    cluster = DirectedCluster(3, batch=9)
    cluster.elect(1, via=[2])
    cluster.write(1, "a")
    cluster.write(1, "a")
    assert [step.words for step in cluster.played[1:]] == ["write x=a at 1", "retry x=a at 1"]
    assert len(cluster.log(1)) == 2


def test_wrong_names_are_told():
    cluster = DirectedCluster(3)
    for call in (lambda: cluster.append(4, 1), lambda: cluster.elect(1, via=[4]), lambda: cluster.read(0), lambda: cluster.tick(slow=9)):
        with pytest.raises(SimulationError, match=r"there is no node \d; the nodes are 1, 2, 3"):
            call()
    with pytest.raises(SimulationError, match="say request='late'"):
        cluster.append(1, 2, reply="never")
    assert cluster.played == []


def test_a_rule_that_fails_is_told_as_itself():
    cluster = DirectedCluster(3, RULES.but(grant_vote=lambda view: None))
    with pytest.raises(RuleError, match="grant_vote"):
        cluster.elect(1, via=[2])


def test_a_node_that_cannot_go_on_is_told_and_the_others_go_on():
    cluster = DirectedCluster(3)
    cluster.elect(1, via=[2])
    cluster.state(1).next_index.clear()  # as only a wrong rule could
    cluster.append(1, 2)
    with pytest.raises(InvariantBroken, match="Node Goes On is broken by step 2, 'append 1→2': node 1 cannot go on: KeyError: 2"):
        cluster.must_hold()
    cluster.append(1, 2)
    cluster.elect(3, via=[2], term=2)
    assert cluster.leaders == [3] and len(cluster.broken) == 1


# ---- shrinking


def padded(plan: Schedule) -> Iterator[Schedule]:
    """Yield the same schedule with a useless step at each place of the story."""
    for place in range(plan.before, len(plan.scripts)):
        extra = [Script(Write(0, 1, False))]
        yield plan._replace(scripts=(*plan.scripts[:place], *extra, *plan.scripts[place:]))


def test_what_is_not_needed_is_left_out(two_leaders):
    rules = find("EL-01").rules
    plan = two_leaders._replace(profile=Profile("roomy", terms=3, entries=5, writes=3, ask_all=True))
    for longer in padded(plan):
        assert shrunk(longer, rules) == plan


def test_without_a_step_what_it_held_does_not_arrive_either():
    held, late = Script(Append(0, 1, "request late")), Late(0, False)
    plan = Schedule(PROFILES[0], (Script(Elect(0, (1,), 1, False)), held, held, Script(late, None, 2), Script(late, None, 1)), 0)
    less = without(plan, [1])
    assert [script.step for script in less.scripts] == [Elect(0, (1,), 1, False), Append(0, 1, "request late"), late]
    assert less.scripts[-1].held_in == 1


def test_a_search_notes_which_step_held_a_message():
    plan = report_on(find("RP-03")).plan
    late = [script for script in plan.scripts if isinstance(script.step, Late)]
    assert late and all(script.held_in is not None for script in late)


# ---- the audit of the dumps


def test_the_short_audit_has_the_leases_of_the_trace():
    sim = Simulation(3, seed=3, lease=4.0)
    for _ in range(4):
        sim.wait_for_leader(lease=True)
        sim.run(5)
        leader = sim.leader
        sim.clock(leader, rate=1.0, offset=3.0)
        sim.run(3)
        sim.crash(leader)
        sim.run(9).restart(leader)
    told = sorted((lease.start, round(lease.end, 6), lease.node) for dump in sim.world.dumps.values() for lease in _leases(dump))
    frame = sim.trace.leases()
    wanted = sorted(zip(frame["start"], frame["end"].round(6), frame["node"], strict=True))
    assert [(node, pytest.approx(start), pytest.approx(min(end, sim.now))) for start, end, node in told] == [
        (node, pytest.approx(start), pytest.approx(end)) for start, end, node in wanted
    ]
    assert len(told) > 3


def test_a_write_that_a_majority_has_is_not_lost_because_everybody_forgot_that_it_was_committed():
    sim = Simulation(3, seed=1)
    sim.set("x", "1")
    for node in sim.nodes:
        sim.crash(node)
    for node in sim.nodes:
        sim.restart(node)
    assert CHECKS["writes"](sim) == ""
    for node in (1, 2):
        sim.world.lives[node].core.state.log.cut_after(0)
    assert CHECKS["writes"](sim) == "SET x 1 was acknowledged and is lost"


def test_whatever_has_a_world_can_be_audited():
    sim = Simulation(3, seed=1).run(20)
    other = SimpleNamespace(world=sim.world, nodes=sim.nodes, errors={}, log=sim.log)
    assert all(check(other) == "" for check in CHECKS.values())


def test_every_field_of_a_profile_is_a_bound_or_said_in_code():
    told = {
        "timed",
        "slow",
        "crashes",
        "stuck",
        "lease",
        "batch",
        "fast",
        "short",
        "patience",
        "no_op",
        "policy",
        "reads",
        "offsets",
        "before",
        "overlooks",
    }
    bounds = {"name", "n", "warm", "terms", "entries", "writes", "retries", "late", "again", "lost", "ask_all", "leftovers", "gets"}
    assert {field.name for field in fields(Profile)} <= told | bounds, (
        "say in checker.code whether the new field changes a directed cluster"
    )
