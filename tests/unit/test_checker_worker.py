"""A rule runs in a process of its own: whatever it does, a clear error comes back, and nothing is left behind."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
from dataclasses import replace
from io import BytesIO

import cloudpickle
import pytest

from raftedu import RULES, RuleError, check
from raftedu.checker import process, worker
from raftedu.checker.frames import receive, send
from raftedu.checker.tasks import Task


def hangs(view):
    try:
        time.sleep(1000)
    except Exception:
        return True


def leaves(view):
    os._exit(3)


def exits(view):
    sys.exit(3)


def eats(view):
    return len(bytearray(3 * 2**30)) > 0


def recurses(view):
    return recurses(view)


@pytest.mark.parametrize(("rule", "words"), [
    pytest.param(hangs, "grant_vote did not answer within 2 s", marks=pytest.mark.slow),
    (leaves, "grant_vote ended the process"), (exits, "grant_vote raised SystemExit"),
    (eats, "grant_vote raised MemoryError"), (recurses, "grant_vote raised RecursionError"),
    (lambda view: None, "did you forget `return`"),
])  # fmt: skip
def test_a_rule_that_misbehaves_is_told_so(rule, words):
    if rule is eats and worker.resource is None:
        pytest.skip("this system limits no memory")
    with pytest.raises(RuleError, match=words):
        check(RULES.but(grant_vote=rule), budget=120)


@pytest.mark.slow
def test_a_rule_that_cannot_be_interrupted_is_ended():
    def deaf(view):
        import signal

        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        time.sleep(1000)

    with pytest.raises(RuleError, match="grant_vote did not answer within . s, and could not be interrupted"):
        check(RULES.but(grant_vote=deaf), budget=120)


def test_a_rule_is_blamed_only_for_time_in_which_its_process_ran():
    watch = worker._Watch()
    watch.call, watch.calls = ("grant_vote", None), 1
    for _ in range(worker.LOOKS + 1):
        watch.look()
    with pytest.raises(worker._TooLong):
        watch.look()
    watch.calls = 2
    watch.look()  # another call
    watch.call = None
    for _ in range(worker.LOOKS + 3):
        watch.look()
    assert watch.lasts() == 0.0


class Odd(float):
    """An answer of a kind that only the asking process knows."""


def lease_wait(view):
    print("a word for every call")
    return Odd(view.now)


def test_the_report_comes_back_whole():
    told = check(lease_wait)
    assert told.invariant == "Lease Disjoint"
    assert told.parting.rule == "lease_wait"
    assert str(told) == str(check(lease_wait, workers=0)) == str(check(lease_wait, workers=1))


def test_what_cannot_travel_comes_back_as_words(monkeypatch):
    told = check(lease_wait, workers=0)
    words = replace(told, case=told.case.in_words_only())
    assert words.parting.answered == repr(told.parting.answered)
    assert words.verdict == told.verdict and words.schedule == told.schedule


SCRIPT = """
from raftedu import check
def grant_vote(view):
    return view.candidate_log_is_up_to_date
print(check(grant_vote).verdict)
"""


def test_an_unguarded_script_may_check():
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [process.ROOT, *sys.path]))}
    told = subprocess.run([sys.executable, "-"], input=SCRIPT, capture_output=True, text=True, check=True, env=environment).stdout
    assert told == "grant_vote: Election Safety is broken in 2 steps\n"


def test_a_child_ends_when_its_parent_is_gone():
    child = process.Child()
    child.begin(cloudpickle.dumps(RULES.but(grant_vote=hangs)))
    child._send(cloudpickle.dumps((Task("near", 1000), 1000.0)))
    child._process.stdin.close()  # as it is when the parent is gone
    assert child._process.wait(timeout=60) == 1
    child.end()


def test_without_a_process_the_check_runs_here(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/does/not/exist")
    with pytest.warns(UserWarning, match="runs in this process"):
        assert not check(lease_wait).passed


def test_frames_go_through_a_pipe_and_a_cut_one_is_noticed():
    pipe = BytesIO()
    send(pipe, pickle.dumps(("a", 1)))
    assert pickle.loads(receive(BytesIO(pipe.getvalue()))) == ("a", 1)
    for cut in (0, 3, len(pipe.getvalue()) - 1):
        with pytest.raises(EOFError):
            receive(BytesIO(pipe.getvalue()[:cut]))
