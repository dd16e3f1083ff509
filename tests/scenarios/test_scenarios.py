"""Every script plays as recorded. ``pytest tests/scenarios --rewrite`` records anew; what is expected must hold even then."""

from __future__ import annotations

from pathlib import Path

import pytest

from raftedu.sim import Script
from tests.scenarios.wrong import RULES

SCRIPTS = sorted(Path(__file__).parent.rglob("*.txt"))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_the_script_plays_as_recorded(path, request):
    script = Script.read(path, RULES)
    played = script.play()
    if request.config.getoption("rewrite"):
        path.write_text(played, encoding="utf-8")
    else:
        assert played.splitlines() == script.text.splitlines(), "if the new answers are right: pytest tests/scenarios --rewrite"


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_the_script_expects_something_and_looks_for_what_is_broken(path):
    lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.startswith(("expect", "refused"))]
    assert lines, "a script without `expect` accepts whatever happens"
    assert any(line[1] in ("safe", "broken") for line in lines) or any(line[0] == "refused" for line in lines)


def test_there_are_scripts():
    assert len(SCRIPTS) > 30
