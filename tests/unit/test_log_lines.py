"""Every entry is one line that a person and `cut` can read, and comes back exactly."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from raftedu.core.types import Entry
from raftedu.live.log_lines import entry_of, line_of

TEXTS = st.text(st.characters(exclude_categories=("Cs",)))
SETS = st.builds(Entry, st.integers(0, 10**9), st.just("SET"), TEXTS, TEXTS, TEXTS, st.integers(0, 2**64))
HARD = [
    "",
    " ",
    "a b",
    "\t",
    "a\nb",
    "\r\n",
    '"',
    '"x"',
    "\\",
    "\\u0020",
    "🎉",
    "👩‍🚀",
    "é",
    "\u2028",
    "\x85",
    "\0",
    "\x7f",
    "\u00a0",
    "\ufeff",
    "none",
]


@given(SETS)
@example(Entry(1, "SET", "", ""))
@example(Entry(1, "SET", "NO-OP", "1", "a\tb", 3))
def test_every_entry_comes_back(entry: Entry) -> None:
    assert entry_of(line_of(entry)) == entry


@pytest.mark.parametrize("text", HARD)
def test_hard_texts_come_back(text: str) -> None:
    for entry in (Entry(2, "SET", text, text, text, 1), Entry(2, "GET", text, "", text, 1)):
        assert entry_of(line_of(entry)) == entry


@given(SETS)
def test_no_reader_takes_an_entry_for_two_lines_or_for_other_columns(entry: Entry) -> None:
    line = line_of(entry)
    assert line.splitlines() == [line]
    assert line.count("\t") == 1
    assert len(line.split("\t")[0].split()) == len(line.split("\t")[0].split(" ")) == 4


def test_a_long_value_comes_back() -> None:
    for value in ("x" * 2**20, "a b" * 2**18, "é\n" * 2**18):
        entry = Entry(1, "SET", "k", value)
        assert entry_of(line_of(entry)) == entry


@pytest.mark.parametrize(
    ("entry", "line"),
    [
        (Entry(1), 'NO-OP 1\t{"client":"","request":0}'),
        (Entry(3, "SET", "x", "4", "anna", 7), 'SET x 4 3\t{"client":"anna","request":7}'),
        (Entry(3, "GET", "x", "", "anna", 7), 'GET x 3\t{"client":"anna","request":7}'),
        (Entry(3, "SET", "a b", "", "", 0), 'SET "a\\u0020b" "" 3\t{"client":"","request":0}'),
        (Entry(3, "SET", "grüße", "ü ß", "", 0), 'SET grüße "ü\\u0020ß" 3\t{"client":"","request":0}'),
        (Entry(3, "SET", '"', 'a"b', "", 0), 'SET "\\"" a"b 3\t{"client":"","request":0}'),
    ],
)
def test_a_line_reads_like_this(entry: Entry, line: str) -> None:
    assert line_of(entry) == line


def test_cut_gives_the_file_of_the_course() -> None:
    lines = "".join(line_of(entry) + "\n" for entry in (Entry(1), Entry(1, "SET", "x", "1", "c", 1), Entry(2, "SET", "y", "2", "c", 2)))
    cut = subprocess.run(["cut", "-f1"], input=lines, capture_output=True, text=True, check=True).stdout
    assert cut == "NO-OP 1\nSET x 1 1\nSET y 2 2\n"


def test_lines_of_the_course_are_accepted() -> None:
    assert entry_of("NO-OP 0") == Entry(0)
    assert entry_of("SET name Jaggu 12") == Entry(12, "SET", "name", "Jaggu")


@pytest.mark.parametrize(
    "line",
    [
        "",
        "NO-OP",
        "NO-OP x",
        "NO-OP -1",
        "NO-OP 1 ",
        "NO-OP ١",
        "no-op 1",
        "SET x 1",
        "SET x  1 2",
        "SET x 1 2 3",
        "SET x 1 2\r",
        "SET \0 1 2",
        'SET "x 1 2',
        'SET "x"y 1 2',
        'SET "\\ud800" 1 2',
        "GET x",
        "GET x 1 2",
        "GET 1",
        "NO-OP 1\t",
        "NO-OP 1\tanna",
        'NO-OP 1\t{"client":"a"}',
        'NO-OP 1\t{"client":1,"request":1}',
        'NO-OP 1\t{"client":"a","request":true}',
        'NO-OP 1\t{"client":"a","request":-1}',
        'NO-OP 1\t{"client":"a","request":1,"more":1}',
        'NO-OP 1\t{"client":"a","request":1}\tmore',
        "NO-OP 1\t" + "[" * 100_000,
    ],
)
def test_any_other_line_is_refused_in_one_line(line: str) -> None:
    with pytest.raises(ValueError) as refused:
        entry_of(line)
    assert len(str(refused.value).splitlines()) == 1
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize(
    "entry",
    [
        Entry(1, "SET", "\ud800", "1"),
        Entry(1, "SET", "x", "\ud83d\ude00"),
        Entry(1, "SET", "x", "1", "\udfff"),
        Entry(1, "GET", "x", "1"),
        Entry(1, "DEL", "x"),
        Entry(1, "NO-OP", "x"),
        Entry(-1),
        Entry(1, request=-1),
    ],
)
def test_what_could_not_be_read_again_is_not_written(entry: Entry) -> None:
    with pytest.raises(ValueError, match=r"surrogate|cannot stand|numbers from 0"):
        line_of(entry)
