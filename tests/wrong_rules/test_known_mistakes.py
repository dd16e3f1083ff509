"""Mistakes that no rule can make: each names the tests that show our runtime free of it, or what it waits for."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from raftedu.checker.known_mistakes import KNOWN_MISTAKES
from raftedu.checker.wrong_rules import CATALOGUE

TESTS = Path(__file__).resolve().parents[1]


@cache
def functions_of(path: str) -> set[str]:
    """Return the names of the tests in a file."""
    tree = ast.parse((TESTS / path).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("row", KNOWN_MISTAKES, ids=[row.id for row in KNOWN_MISTAKES])
def test_a_known_mistake_names_a_test_that_exists_or_what_it_waits_for(row):
    assert row.kind in ("runtime", "later")
    assert bool(row.shown_by) == (row.kind == "runtime")
    assert bool(row.waits_for) == (row.kind == "later")
    for test in row.shown_by:
        path, _, name = test.partition("::")
        assert (TESTS / path).exists(), path
        assert not name or name in functions_of(path), test


def test_no_mistake_is_told_twice():
    ids = [row.id for row in KNOWN_MISTAKES]
    assert len(set(ids)) == len(ids)
    assert {row.id for row in CATALOGUE if row.id in ids} <= {"CL-07"}  # of which a rule can make one form
