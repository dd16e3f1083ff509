"""``raftedu check``: what a person with a file of rules meets, right, wrong, broken, or not there at all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from inspect import signature
from pathlib import Path

import pytest
from click.testing import CliRunner

from raftedu import rule
from raftedu.checker.loading import FileError, load
from raftedu.checker.wrong_rules import CATALOGUE
from raftedu.cli import main

ROOT = Path(__file__).resolve().parents[2]
KIND = "def grant_vote(view):\n    return view.candidate_term >= view.term\n"
RIGHT = "def reply_term(view):\n    return view.term\n"


@pytest.fixture
def file(tmp_path):
    """Return what writes a file of rules and says where it is."""

    def write(text, name="my_rules.py"):
        (tmp_path / name).write_bytes(text.encode() if isinstance(text, str) else text)
        return tmp_path / name

    return write


# Until click 8.2 one had to ask for the two streams apart.
APART = CliRunner(mix_stderr=False) if "mix_stderr" in signature(CliRunner).parameters else CliRunner()


def call(*words, code):
    """Call the command in this process; rules that are sound run here too, which saves a process."""
    done = APART.invoke(main, ["check", *map(str, words)])
    assert done.exit_code == code, done.output
    assert done.exception is None or isinstance(done.exception, SystemExit)
    return done


def told(*words, code=2):
    """Return the one line on the error stream."""
    lines = call(*words, code=code).stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("Error: ")
    return lines[0]


# ---- what it finds


def test_a_wrong_rule_is_told_and_the_exit_code_says_so(file):
    done = call(file(KIND), "--workers", 0, code=1)
    first, second, *rest = done.stdout.splitlines()
    assert first == "grant_vote: Election Safety is broken in 2 steps"
    assert "voted for 1 and for 3 in term 1" in second
    assert any(line.startswith("  1. ") for line in rest)
    assert done.stderr == ""


def test_nothing_found_is_0(file):
    done = call(file(RIGHT), "--workers", 0, "--effort", "quick", "--budget", 120, "--nodes", 4, code=0)
    assert done.stdout.startswith("reply_term: no violation in ")


def test_time_that_is_not_enough_is_3(file):
    assert "not finished" in call(file(RIGHT), "--workers", 0, "--budget", 0.001, code=3).stdout


@pytest.mark.slow
def test_each_alone_then_all_together_then_the_tables(file):
    text = f"from raftedu import RULES\n{KIND}{RIGHT}table = RULES.but(grant_vote=grant_vote, lease_wait=lambda view: view.now)\n"
    done = call(file(text), "--workers", 0, "--effort", "quick", "--budget", 120, "--nodes", 4, "--json", code=1)
    document = json.loads(done.stdout)
    assert document["passed"] is False
    checks = [(each["label"], each["rules"], each["verdict"]) for each in document["checks"]]
    assert checks == [
        ("grant_vote", ["grant_vote"], "violation"), ("reply_term", ["reply_term"], "passed"),
        ("lease_wait", ["lease_wait"], "passed"),  # with four nodes there is no time, and so nothing to wait for
        ("all together", ["grant_vote", "reply_term", "lease_wait"], "violation"), ("table", ["grant_vote", "lease_wait"], "violation"),
    ]  # fmt: skip


def test_one_rule_of_several(file):
    done = call(file(KIND + RIGHT), "--rule", "grant_vote", "--workers", 0, "--json", code=1)
    assert [each["label"] for each in json.loads(done.stdout)["checks"]] == ["grant_vote"]


def test_json_has_the_schedule_and_is_the_same_every_time(file):
    path = file(KIND)
    first, second = (call(path, "--workers", 0, "--json", code=1).stdout for _ in range(2))
    assert first == second
    (only,) = json.loads(first)["checks"]
    assert only["invariant"] == "Election Safety" and only["steps"] == 2 == len(only["schedule"]) and only["warm_up"] == []
    assert only["coverage"]["transitions"] > 0 and only["coverage"]["profiles"][0]["name"] == "elections"


def test_json_says_everything_that_the_document_promises(file):
    (only,) = json.loads(call(file(KIND), "--workers", 0, "--json", code=1).stdout)["checks"]
    docs = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert [key for key in (*only, *only["coverage"], *only["coverage"]["profiles"][0]) if f'"{key}":' not in docs] == []


# ---- rules that cannot be checked


def test_a_rule_that_is_none_is_told_and_the_others_go_on(file):
    text = "def lease_wait(view):\n    pass\n" + RIGHT
    done = call(file(text), "--effort", "quick", "--workers", 0, "--budget", 120, "--nodes", 4, "--json", code=2)
    checks = {each["label"]: each for each in json.loads(done.stdout)["checks"]}
    assert list(checks) == ["reply_term", "lease_wait"]  # both together could not be checked either
    assert checks["reply_term"]["verdict"] == "passed" and checks["lease_wait"]["verdict"] == "rule error"
    assert checks["lease_wait"]["reason"].startswith("lease_wait returned None; did you forget `return`?")


def test_a_stub_says_that_it_is_not_written(file):
    done = call(file(rule("grant_vote").stub), "--workers", 0, code=2)
    assert done.stdout.startswith("grant_vote: cannot be checked\n  grant_vote is not written yet: put your rule")


# ---- files that cannot be used


def test_what_is_no_file_is_told(file, tmp_path):
    assert told(tmp_path / "none.py").endswith("none.py")
    assert "is a folder: name one file" in told(tmp_path)
    assert "is a notebook: call raftedu.check" in told(file("{}", "rules.ipynb"))
    assert "name one file with your rules in it" in told()
    assert "name one file with your rules in it" in told("a.py", "b.py")


BAD_FILES = [
    ("def grant_vote(view):\n    return 1 +\n", "my_rules.py, line 2: SyntaxError: invalid syntax"),
    ("import os\nos._exit(0)\n", "ended the process in which it was run"),
    ("def grantVote(view):\n    return True\n", "no function named after a rule; do you mean `grant_vote` by `grantVote`?"),
]
MORE_BAD_FILES = [
    ("import math\nimport raftedoo\n", "my_rules.py, line 2: ModuleNotFoundError: No module named 'raftedoo'"),
    ("def f():\n    1 / 0\nf()\n", "my_rules.py, line 2: ZeroDivisionError: division by zero"),
    ("import sys\nsys.exit('bye')\n", "ends the program when it is run"),
    ("name = input('your name? ')\n", "line 1: EOFError"),
    (b"\xff\xfe\x00", "my_rules.py: SyntaxError"),
    ("x = 1\n", "no function named after a rule; the rules are: election_timeout_range, start_election"),
    ("from raftedu.core.rules import *\nfrom raftedu.core.rules import grant_vote\n", "no function named after a rule"),
    ("lock = __import__('threading').Lock()\ndef grant_vote(view):\n    return lock\n", "grant_vote uses something that cannot be sent"),
]


@pytest.mark.parametrize(("text", "words"), [*BAD_FILES, *(pytest.param(*bad, marks=pytest.mark.slow) for bad in MORE_BAD_FILES)])
def test_a_file_that_cannot_be_used_is_told_in_one_line(file, text, words):
    assert words in told(file(text))


def test_a_rule_that_is_not_there_is_asked_about(file):
    path = file(KIND)
    assert "there is no rule 'grant_votes'; do you mean 'grant_vote'?" in told(path, "--rule", "grant_votes")
    assert "my_rules.py has no lease_wait; it has: grant_vote" in told(path, "--rule", "lease_wait")


def test_a_name_that_is_nearly_a_rules_is_a_warning_beside_real_ones(file):
    done = call(file(KIND + "def wins_elections(view):\n    return True\n"), "--workers", 0, code=1)
    assert done.stderr.strip().endswith("my_rules.py: do you mean `wins_election` by `wins_elections`?")


# ---- loading


def test_the_file_is_never_run_in_this_process(file, tmp_path):
    found = load(file(f"print('hello')\nopen({str(tmp_path / 'ran')!r}, 'w').write(str(__import__('os').getpid()))\n{KIND}"))
    assert (tmp_path / "ran").read_text() != str(os.getpid())
    assert list(found.functions) == ["grant_vote"] and not found.tables and not found.near
    assert found.functions["grant_vote"](rule("grant_vote").example()) is True


def test_what_stands_beside_the_file_travels_with_it(file):
    file("def later(view):\n    return view.candidate_last_term >= view.last_log_term\n", "helpers.py")
    found = load(file("import helpers\nLIMIT = 1\ndef log_is_up_to_date(view):\n    return helpers.later(view) and LIMIT\n"))
    assert "helpers" not in sys.modules
    assert found.functions["log_is_up_to_date"](rule("log_is_up_to_date").example()) == 1


def test_a_file_that_does_not_end_is_ended(file):
    began = time.monotonic()
    with pytest.raises(FileError, match="did not come to its end within 2 s: is there an endless loop outside of the functions"):
        load(file("while True:\n    pass\n"), patience=2.0)
    assert time.monotonic() - began >= 2.0


def test_a_main_block_is_not_run(file):
    assert list(load(file(KIND + "if __name__ == '__main__':\n    raise SystemExit(7)\n")).functions) == ["grant_vote"]


# ---- in a shell


@pytest.mark.slow
def test_in_a_pipe_there_is_no_bar_and_a_loop_in_a_rule_ends(file):
    path = file(
        "def grant_vote(view):\n    while True:\n        pass\n" + KIND.replace("grant_vote", "lease_is_valid").replace("candidate_", "")
    )
    done = subprocess.run(
        [sys.executable, "-m", "raftedu", "check", str(path), "--budget", "60"],
        capture_output=True, text=True, timeout=150, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert "grant_vote: cannot be checked\n  grant_vote did not answer within" in done.stdout
    assert done.stderr == "" and done.returncode in (1, 2)


# ---- the catalogue


def test_rows_of_the_catalogue_are_tried_and_summed_up():
    lines = call("--catalogue", "EL-01", "LS-10", code=0).stdout.splitlines()
    assert lines[0].split() == ["id", "rule", "what", "it", "does", "found", "by", "steps", "seconds"]
    assert lines[1].split()[:2] == ["EL-01", "grant_vote"] and "Election Safety" in lines[1]
    assert lines[2].split()[:2] == ["LS-10", "remaining_promise"] and "Lease Disjoint" in lines[2]
    assert lines[-2].startswith("2 of 2 found; seconds: p50 ") and ", max " in lines[-2]
    assert lines[-1].startswith("steps: p50 2, p90 ")


def test_a_row_that_is_not_found_is_a_failure():
    done = call("--catalogue", "CM-01", "--nodes", 5, "--budget", 0.001, code=1)
    assert "NOT FOUND" in done.stdout and "0 of 1 found" in done.stdout


def test_the_catalogue_as_json():
    (row,) = json.loads(call("--catalogue", "EL-01", "--json", code=0).stdout)
    assert {**row, "seconds": 0} == {
        "id": "EL-01", "rule": "grant_vote", "what": "votes without looking at its vote", "found_by": "Election Safety", "steps": 2,
        "seconds": 0,
    }  # fmt: skip


def test_a_row_that_is_not_there_is_told():
    assert f"the catalogue has no EL-99; it has: {CATALOGUE[0].id}, " in told("--catalogue", "EL-99")
    assert "--rule belongs to a file" in told("--catalogue", "--rule", "grant_vote")
