"""From dump.txt files to one table of rows: pandas' C reader for the sound case, `raftedu.events.reader` to name a damaged line.

Knows files and columns; what the events mean is for `raftedu.trace.frames`.
"""

from __future__ import annotations

import csv
import io
import warnings
from pathlib import Path

import pandas as pd

from raftedu.events.errors import DumpError
from raftedu.events.reader import HEADER, Paths, find_damage, find_dumps, parse_facts, read_lines
from raftedu.events.table import COLUMNS

__all__ = ["FILE", "LINE", "SHIFT", "read_files", "rows_of"]

FILE, LINE, SHIFT = "_file", "_line", "_shift"
"""Three more columns of the table of rows: file (a position) and line of it, for messages about damage; and by how many seconds its
times were moved, to tell moments among its facts on the same clock."""

_DTYPES = {column: "int64" if column in ("seq", "node", "term") else "float64" for column in COLUMNS[:4] + ("peer", "index")}
_TEXT = ("role", "event", "sentence", "facts")
_FALLS_BACK = 1e-3  # seconds; less is the noise of two clocks being read


def read_files(paths: Paths) -> tuple[pd.DataFrame, tuple[Path, ...]]:
    """Return the rows of all dumps, sorted by time, node and seq, and the files they come from."""
    files = tuple(find_dumps(paths))
    bodies = [read_lines(file) for file in files]
    if all(not body for body in bodies) and all(not file.stat().st_size for file in files):
        raise DumpError("the file is empty: nothing was ever written to it; give the folder of a run that took place", files[0])
    tables = [rows_of(body, file).assign(**{FILE: number}) for number, (body, file) in enumerate(zip(bodies, files, strict=True))]
    _refuse_two_runs(tables, files)
    _align(tables, files)
    rows = pd.concat(tables, ignore_index=True).sort_values(["time", "node", "seq"], kind="stable", ignore_index=True)
    return rows, files


def rows_of(body: bytes, file: Path) -> pd.DataFrame:
    """Return the lines of one dump as a table; a damaged line is a `DumpError` that names it."""
    try:
        table = pd.read_csv(
            io.BytesIO(HEADER + body), sep="\t", dtype=_DTYPES | dict.fromkeys(_TEXT, "str"), quoting=csv.QUOTE_NONE, encoding="utf-8",
            keep_default_na=False, na_values={"peer": [""], "index": [""]}, skip_blank_lines=False,
        )  # fmt: skip
        sound = isinstance(table.index, pd.RangeIndex) and len(table) == body.count(b"\n") and _is_sound(table)
    except (ValueError, OverflowError):  # pandas' ParserError and UnicodeDecodeError are ValueErrors
        sound = False
    if not sound:
        raise find_damage(file) or DumpError("the file cannot be read as tab-separated events; it is damaged", file)
    table["time"] = table["time"].round(6)  # some versions of pandas parse a decimal to a neighbour of the nearest float
    table[LINE] = range(2, len(table) + 2)
    table[SHIFT] = 0.0
    _warn_if_time_falls(table, file)
    return table.astype({"peer": "Int64", "index": "Int64"})


def _is_sound(table: pd.DataFrame) -> bool:
    facts, ids = table["facts"], table[["peer", "index"]]
    whole = ids.isna() | ((ids >= 0) & (ids % 1 == 0))
    # One pass of Python over the texts takes a fifth of the time of two of .str.
    objects = all(isinstance(text, str) and text[:1] == "{" and text[-1:] == "}" for text in facts.tolist())
    finite = table["time"].abs().lt(float("inf"))
    return bool(whole.all(axis=None) and objects and finite.all() and (table[["seq", "node", "term"]] >= 0).all(axis=None))


def _warn_if_time_falls(table: pd.DataFrame, file: Path) -> None:
    falls = table[LINE][table["time"].diff() < -_FALLS_BACK].tolist()
    if falls:
        what = "time falls back here: several runs stand in this file, and they are shown as one"
        warnings.warn(f"{file}, line {falls[0]}: {what}", stacklevel=2)


def _align(tables: list[pd.DataFrame], files: tuple[Path, ...]) -> None:
    """Shift the times of processes that began at different moments to one zero, the earliest; ``started`` says when each began."""
    zeros: dict[int, tuple[float, float]] = {}
    for number, (table, file) in enumerate(zip(tables, files, strict=True)):
        starts = table.loc[table["event"] == "started", ["facts", LINE]].head(1)
        for text, line in starts.itertuples(index=False):
            facts = parse_facts(text, file, line)
            zero, pace = facts.get("utc_zero"), facts.get("pace")
            if isinstance(zero, int | float) and isinstance(pace, int | float) and pace > 0:
                zeros[number] = (float(zero), float(pace))
    earliest = min((zero for zero, _ in zeros.values()), default=0.0)
    for number, (zero, pace) in zeros.items():
        if zero != earliest:
            shift = (zero - earliest) / pace
            tables[number][SHIFT] = shift
            tables[number]["time"] = (tables[number]["time"] + shift).round(6)


def _refuse_two_runs(tables: list[pd.DataFrame], files: tuple[Path, ...]) -> None:
    owner: dict[int, Path] = {}
    for table, file in zip(tables, files, strict=True):
        for node in table["node"].unique():
            if node in owner:
                raise DumpError(f"this file and {owner[node]} both tell of node {node}; read one run at a time", file)
            owner[node] = file
