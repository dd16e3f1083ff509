"""Scripts: what is written, what is answered, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from raftedu.sim import Script
from raftedu.sim.conditions import CONDITIONS
from raftedu.sim.script import ScriptError, language

ROOT = Path(__file__).resolve().parents[2]


def test_playing_a_script_again_gives_the_same_text():
    played = Script("# a story\ncluster 3 seed=1\n\nset x 1  # the first\nexpect success\nexpect safe\n").play()
    assert Script(played).play() == played
    assert "| success at index 2" in played
    assert played.startswith("# a story\n")


def test_recorded_answers_do_not_change_what_is_played():
    assert Script("cluster 3 seed=1\n| nonsense\n| more\n").play() == "cluster 3 seed=1\n| 3 nodes, lease 8 s\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("run 5", "no cluster yet"),
        ("cluster 3\nfly 1", "line 2: fly 1: there is no command 'fly'"),
        ("cluster 3\nexpect leader", "expected leader; leaders: none"),
        ("cluster 3\nexpect happiness", "no condition"),
        ("cluster 3\ncrash 7", "there is no node 7"),
        ("cluster 3\ncrash leader", "no node 'leader' now"),
        ("cluster 3\nrun until leader within 1", "there was not leader within 1 s"),
        ("cluster 3 rules=none", "there are no rules"),
        ("cluster 3\nrepeat 2\nrun 1", "has no end"),
        ("cluster 3\nrepeat 2\nrun 1\nexpect no leader\nexpect leader\nend", "round 1"),
        ("cluster 3\nset x", "needs a key and a value"),
        ("cluster 3\nset 'x 1", "quote"),
        ("cluster 3\nrefused run 1", "was not refused"),
        ("cluster 3\nexpect term ~ 3", "compares nothing"),
        ("cluster 3\nlog 1 1 1", "node 1 is running: crash it first"),
        ("cluster 3\ncrash 1\nforget 1 everything", "say `vote` or `entries N`"),
        ("cluster 3\nexpect not term = 0", "expected not term = 0; highest term: 0"),
        ("cluster 3\nexpect voters 1", "nobody was elected yet"),
        ("cluster 3\nslow 1 fast", "'fast' is no number"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text, words):
    with pytest.raises(ScriptError) as caught:
        Script(text, "story").play()
    assert words in str(caught.value)
    assert str(caught.value).startswith("story, line ")


def test_an_expectation_cannot_be_recorded_away():
    with pytest.raises(ScriptError):
        Script("cluster 3\nexpect leader\n| anything\n").play()


def test_a_quoted_value_may_be_empty_or_hold_blanks():
    played = Script("cluster 1 seed=1\nset x 'two words'\nget x\nexpect answer 'two words'\nget y\nexpect answer ''").play()
    assert "'two words'" in played


def test_every_condition_is_used_by_a_scenario():
    lines = [
        line.split() for path in (ROOT / "tests" / "scenarios").rglob("*.txt") for line in path.read_text(encoding="utf-8").splitlines()
    ]
    used = {words[1] for words in lines if words[:1] == ["expect"]} | {words[2] for words in lines if words[:2] == ["run", "until"]}
    assert set(CONDITIONS) - used - {"took", "elected", "reads", "unknown"} == set()


def test_the_docs_have_the_language_of_the_table():
    assert language() in (ROOT / "docs" / "simulation.md").read_text(encoding="utf-8")
