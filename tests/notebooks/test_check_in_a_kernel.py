"""`check` in cells of a real kernel: whatever a rule does, a clear error comes back and the kernel lives."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.notebook

BAD = {
    "raise ValueError('ballots are gone')": "grant_vote raised ValueError in line 3 of grant_vote: ballots are gone",
    "while True: pass": "grant_vote did not answer within 2 s",
    "import time; time.sleep(10**6)": "grant_vote did not answer within 2 s",
    "return sum(range(10**12)) > 0": "grant_vote did not answer within",  # nothing can interrupt this from inside
    "view.ballots.append(1)": "grant_vote raised AttributeError",
    "return None": "did you forget `return`?",
    "return 'yes'": "grant_vote returned 'yes'; it must return True or False",
    "import random; return random.random() < 0.5": "must not depend on chance",
    "print('x' * 10**6); return 'printed'": "returned 'printed'",
    "x = bytearray(3 * 2**30); return len(x) > 0": "grant_vote raised MemoryError",
    "import os; os._exit(7)": "grant_vote ended the process in which it was called",
    "import sys; sys.exit(7)": "grant_vote raised SystemExit",
    "return view.votedFor is None": "do you mean `voted_for`?",
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kernel")
    notebook = nbformat.v4.new_notebook()
    client = NotebookClient(notebook, timeout=300, kernel_name="python3", allow_errors=True, resources={"metadata": {"path": str(folder)}})

    def one(code):
        cell = nbformat.v4.new_code_cell(code)
        notebook.cells.append(cell)
        client.execute_cell(cell, len(notebook.cells) - 1)
        return "".join(
            output.get("text", "") or output.get("data", {}).get("text/plain", "") or f"{output.get('ename')}: {output.get('evalue')}"
            for output in cell.outputs
            if output["output_type"] != "display_data"  # the bar, which is empty by now
        )

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        with client.setup_kernel():
            one("import os, raftedu\nfrom raftedu import check\nmine = os.getpid()")
            yield one


@pytest.mark.parametrize("body", BAD)
def test_a_rule_that_misbehaves_is_told_so_and_the_kernel_lives(run, body):
    told = run(f"def grant_vote(view):\n    # line 2\n    {body}\ncheck(grant_vote)")
    assert told.startswith("RuleError: ")
    assert BAD[body] in told
    assert run("print(os.getpid() == mine)") == "True\n"


def test_a_wrong_rule_of_a_cell_meets_its_counterexample(run):
    told = run("def grant_vote(view):\n    return view.candidate_log_is_up_to_date\ncheck(grant_vote)")
    assert "Election Safety is broken in 2 steps" in told


def test_an_interrupt_of_the_kernel_stops_a_check(run):
    told = run(
        "import signal, threading\n"
        "def grant_vote(view):\n    import time; time.sleep(0.01)\n    return view.candidate_term == view.term and view.voted_for is None\n"
        "threading.Timer(2.0, lambda: os.kill(mine, signal.SIGINT)).start()\n"
        "check(grant_vote, budget=300)"
    )
    assert told.startswith("KeyboardInterrupt")
    assert run("print(os.getpid() == mine)") == "True\n"


def test_children_wait_ready_for_the_next_check_of_a_kernel(run):
    run("check(raftedu.RULES.but(grant_vote=lambda view: True))\nfrom raftedu.checker.crew import SPARES\nimport time")
    told = run(
        "end = time.monotonic() + 60\nwhile len(SPARES._waiting) < 2 and time.monotonic() < end: time.sleep(0.1)\nlen(SPARES._waiting)"
    )
    assert told == "2"
