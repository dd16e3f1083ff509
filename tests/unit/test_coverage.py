"""docs/coverage.md names tests that exist, every row of the catalogue, and every line of the lists that it was made from."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from raftedu.checker.wrong_rules import CATALOGUE

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"
PAGE = (ROOT / "docs" / "coverage.md").read_text(encoding="utf-8")
ROWS = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in PAGE.splitlines() if line.startswith("| ")]
NAMED = sorted(set(re.findall(r"`([\w/.-]+\.(?:py::\w+|txt))`", PAGE)))
ID = re.compile(r"[A-Z]{2}-\d\d[a-z]?")
MISTAKES = {row[0]: row[-1] for row in ROWS if ID.fullmatch(row[0])}
PARTS = {"snapshots", "transfer", "PreVote", "inherited reads"}
LISTS = ROOT.parent / "shared" / "design"
NO_SCENARIOS = {"LeaseGuard"}
"""Names in the lists of scenarios that are none."""

needs_lists = pytest.mark.skipif(not LISTS.exists(), reason="the lists that the page was made from are not here")


@cache
def functions_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def exists(name: str) -> bool:
    path, _, test = name.partition("::")
    return (TESTS / path).is_file() and (not test or test in functions_in(TESTS / path))


def test_every_test_that_the_page_names_exists():
    assert len(NAMED) > 150
    assert [name for name in NAMED if not exists(name)] == []


def test_a_name_that_does_not_exist_would_be_noticed():
    assert exists("unit/test_coverage.py::test_every_test_that_the_page_names_exists")
    assert not exists("unit/test_coverage.py::test_nothing")
    assert not exists("scenarios/mit/nothing.txt")


def test_every_line_names_a_test_or_what_it_waits_for_or_why_it_is_not_here():
    def says_something(row: list[str]) -> bool:
        last = row[-1]
        return bool(re.search(r"`[^`]+`|catalogue|the same", last)) or last.startswith(("*Later*: ", "*Not here*: "))

    assert [row for row in ROWS if set(row[0]) != {"-"} and row[-1] != "shown by" and not says_something(row)] == []


def test_later_names_a_part():
    parts = re.findall(r"\*Later\*: (PreVote|\w+(?: reads)?)", PAGE)
    assert len(parts) == PAGE.count("*Later*: ")
    assert set(parts) == PARTS


def test_every_script_is_of_some_list():
    scripts = {path.relative_to(TESTS).as_posix() for path in (TESTS / "scenarios").rglob("*.txt")}
    assert scripts - set(NAMED) == set()


def test_the_rows_of_the_catalogue_are_those_that_the_page_says_are_there():
    assert {id for id, shown in MISTAKES.items() if shown.startswith("catalogue")} == {row.id for row in CATALOGUE}


def test_no_mistake_has_two_lines():
    ids = [row[0] for row in ROWS if ID.fullmatch(row[0])]
    assert len(ids) == len(set(ids))


@needs_lists
def test_no_mistake_of_the_list_is_left_out():
    listed = set(re.findall(r"^\| ([A-Z]{2}-\d\d) \|", (LISTS / "bugs.md").read_text(encoding="utf-8"), flags=re.MULTILINE))
    assert len(listed) > 100
    assert listed - set(MISTAKES) == set()


@needs_lists
def test_no_name_of_the_lists_of_scenarios_is_left_out():
    text = (LISTS / "scenarios.md").read_text(encoding="utf-8")
    names = {name.removeprefix("Test") for name in re.findall(r"\b(?:[A-Z][a-z0-9]+){2,}\b", text)} - NO_SCENARIOS
    rows = {f"| {name} " for name in re.findall(r"\bL\d+\b", text)} | {f"| Figure {n}" for n in re.findall(r"Figure (\d)", text)}
    assert len(names) > 45 and len(rows) > 16
    assert {name for name in names | rows if name not in PAGE} == set()
