"""Who does the tasks of a check makes no difference; time that is up is told; an interrupt leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import cloudpickle
import pytest

from raftedu import RULES, check
from raftedu.checker import process, showing
from raftedu.checker.case import Case
from raftedu.checker.coverage import Coverage
from raftedu.checker.crew import Errand, by_children, carry
from raftedu.checker.process import CheckerFailed, Child, Spares
from raftedu.checker.tasks import EFFORTS, SEEDS, Done, Effort, Task, decided, plan, verdict
from raftedu.checker.wrong_rules import find

TASKS = (Task("near", 100, share=0.5), Task("far", 50, share=0.25), Task("far", 50, share=0.25))
NOTHING = [Done(task, Coverage(transitions=task.amount)) for task in TASKS]
CASE = Case(None)


def found(place):
    return Done(TASKS[place], Coverage(transitions=7), CASE)


def test_of_several_finds_that_of_the_earliest_task_counts():
    done = {2: found(2)}
    assert not decided(TASKS, done)
    done[1] = found(1)
    assert not decided(TASKS, done)
    done[0] = NOTHING[0]
    assert decided(TASKS, done)
    coverage, decisive = verdict(TASKS, done)
    assert decisive is done[1]
    assert coverage.transitions == 107  # what came after the find does not count, or the figures would depend on who was faster


def test_nothing_is_decided_until_all_is_done_and_what_is_missing_was_not_finished():
    done = {0: NOTHING[0], 2: NOTHING[2]}
    assert not decided(TASKS, done)
    assert not verdict(TASKS, done).coverage.finished
    done[1] = NOTHING[1]
    assert decided(TASKS, done)
    assert verdict(TASKS, done) == (Coverage(transitions=200), None)


def test_what_never_happened_in_one_task_may_have_happened_in_another():
    both = frozenset({"a leader was elected", "a lease was held"})
    first, second = Coverage(awaited=both), Coverage(awaited=both, happened=frozenset({"a leader was elected"}))
    assert first.never == ("no leader was elected", "no lease was held")
    assert (first + second).never == ("no lease was held",)
    assert (first + Coverage()).never == first.never and (Coverage() + second).never == second.never


def test_the_plan_depends_on_what_is_asked_only():
    for effort in EFFORTS.values():
        tasks = plan(["grant_vote"], effort, 3, None)
        assert tasks == plan(["grant_vote"], effort, 3, None)
        assert sum(task.share for task in tasks) == pytest.approx(1.0)
    tasks = plan(["may_serve_read"], Effort(900, 5, 120, 60, 2), 3, None)
    assert [task.engine for task in tasks] == ["near", "far", "hidden", *["walks"] * 3, *["storms"] * 2, "stories"]
    assert sum(task.amount for task in tasks[:2]) == 900
    assert [(task.first, task.amount) for task in tasks[3:6]] == [(3 * SEEDS, 50), (3 * SEEDS + 50, 50), (3 * SEEDS + 100, 20)]
    assert {task.engine for task in plan(["may_serve_read"], Effort(900, 5, 120, 60, 2), 3, 5)} <= {"near", "far"}


IDS = ["EL-01", "CM-02", "LS-10"]


@pytest.mark.parametrize("id", [IDS[0], *(pytest.param(id, marks=pytest.mark.slow) for id in IDS[1:])])
def test_one_worker_two_and_an_executor_agree(id):
    rules = find(id).rules
    with ThreadPoolExecutor(2) as executor:
        told = [check(rules, workers=1, budget=300), check(rules, workers=2, budget=300), check(rules, executor=executor, budget=300)]
    assert not told[0].passed
    assert str(told[0]) == str(told[1]) == str(told[2])
    assert told[0].coverage == told[1].coverage == told[2].coverage


@pytest.mark.slow
def test_a_pass_counts_the_same_with_one_worker_and_two():
    told = [check(RULES, effort="quick", budget=300, n=4, workers=workers) for workers in (1, 2)]
    assert told[0].passed and told[0].coverage == told[1].coverage


def test_time_that_is_up_is_no_verdict():
    def grant_vote(view):
        time.sleep(0.01)
        return view.voted_for in (None, view.candidate) and view.candidate_term == view.term and view.candidate_log_is_up_to_date

    told = check(grant_vote, budget=2.0)
    assert not told.finished and not told.passed
    assert "not finished: time was up" in str(told)


def test_a_child_that_has_no_time_to_tell_is_given_up(monkeypatch):
    monkeypatch.setattr(process, "GRACE", 0.0)
    child = Child()
    child.begin(cloudpickle.dumps(RULES))
    assert child.do(Task("far", 10**9), [], 0.0, lambda _: True) is None
    child.end()


def is_gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_what_is_not_needed_any_more_is_ended():
    errand = Errand((Task("far", 10**9, share=1.0),), cloudpickle.dumps(RULES), [], 600.0)

    def look():
        if errand.part > 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        by_children(errand, 2, look, keep=False)
    assert errand.done == {} and errand.over.is_set()


@pytest.mark.slow
def test_spares_wait_ready_and_one_that_has_died_is_replaced():
    spares = Spares()
    spares.fill(2)
    first, second = spares._waiting
    second._process.kill()
    second._process.wait()
    assert spares.take() is first
    other = spares.take()
    assert other not in (first, second)
    for child in (first, other):
        child.end()
    spares.end()


INTERRUPTED = """
import time
from raftedu import check
def grant_vote(view):
    time.sleep(0.02)
    return view.voted_for in (None, view.candidate) and view.candidate_term == view.term and view.candidate_log_is_up_to_date
print("begins", flush=True)
try:
    check(grant_vote, budget=300)
except KeyboardInterrupt:
    print("interrupted", flush=True)
import subprocess, os
print(subprocess.run(["ps", "--ppid", str(os.getpid()), "-o", "args="], capture_output=True, text=True).stdout.count("checker.worker"))
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT to a group of processes, as a terminal does")
def test_ctrl_c_ends_a_check_and_all_its_children():
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [process.ROOT, *sys.path]))}
    asked = subprocess.Popen([sys.executable, "-c", INTERRUPTED], stdout=subprocess.PIPE, text=True, env=environment, process_group=0)
    assert asked.stdout.readline() == "begins\n"
    time.sleep(1.5)  # in the midst of it; sooner or later makes no difference to what must come
    os.killpg(asked.pid, signal.SIGINT)
    told, _ = asked.communicate(timeout=120)
    assert told == "interrupted\n0\n"


def test_a_fault_of_the_checker_is_not_blamed_on_the_rule():
    child = Child()
    child.begin(cloudpickle.dumps(find("EL-01").rules))
    with pytest.raises(CheckerFailed, match="(?s)no fault of grant_vote.*KeyError: 'no such engine'"):
        child.do(Task("no such engine", 1), ["grant_vote"], 60.0, lambda _: True)
    child.end()


def test_no_bar_is_drawn_where_no_kernel_runs(monkeypatch):
    monkeypatch.setattr(showing, "LASTS", 0.0)
    pytest.importorskip("ipykernel")  # loaded, and not running
    with showing.bar("checking <b>grant_vote</b>") as show:
        show(0.5)


def test_an_executor_carries_plain_data():
    rules = find("EL-01").rules
    done = carry(cloudpickle.dumps(rules), ["grant_vote"], Task("near", 1000), 60.0)
    assert done.case.parting.rule == "grant_vote"
    assert cloudpickle.loads(cloudpickle.dumps(done)).coverage == done.coverage


@pytest.mark.slow
def test_a_real_dask_scheduler_with_two_worker_processes_agrees(tmp_path):
    distributed = pytest.importorskip("distributed", reason="needs the extra `grade`")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None, local_directory=str(tmp_path)
        ) as cluster,
        distributed.Client(cluster) as client,
        client.get_executor() as executor,
    ):
        for id in IDS:
            here, there = check(find(id).rules, budget=300), check(find(id).rules, executor=executor, budget=300)
            assert not there.passed
            assert str(here) == str(there) and here.coverage == there.coverage
        passed = check(RULES, effort="quick", budget=300, n=4, executor=executor)
        assert passed.passed
