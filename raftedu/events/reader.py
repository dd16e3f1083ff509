"""Finding dump.txt files, and telling a sound one from a torn, damaged or foreign one.

This floor knows lines, not frames: `raftedu.trace` parses whole files with pandas, and comes back here to learn which
line is to blame when that fails. Files that are not ours (classic dumps of other programs) are told apart by their header.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterable, Iterator
from glob import glob, has_magic
from pathlib import Path
from typing import BinaryIO, TypeAlias

import orjson

from raftedu.events.errors import DumpError
from raftedu.events.table import COLUMNS

__all__ = ["HEADER", "Paths", "find_damage", "find_dumps", "last_line", "parse_facts", "parse_line", "read_lines"]

HEADER = "\t".join(COLUMNS).encode() + b"\n"
"""The first line of every dump.txt of ours."""

Paths: TypeAlias = str | Path | Iterable[str | Path]
"""A run's folder, a node's folder, a dump.txt, a pattern with ``*``, or several of these."""

_BLOCK = 1 << 16


def find_dumps(paths: Paths) -> list[Path]:
    """Return the dump.txt files meant by ``paths``, each once, nodes in the order of their ids.

    A folder means its own dump.txt, or else those in its ``logs_node_*``; a text with ``*``, ``?`` or ``[`` is a pattern.
    """
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    found = {dump.resolve(): dump for path in given for dump in _dumps_at(path)}
    if not found:
        raise DumpError("no dump.txt was named; give a run's folder, a logs_node_X folder, a dump.txt or a pattern such as 'logs_node_*'")
    return list(found.values())


def _dumps_at(path: str | Path) -> list[Path]:
    place = Path(path).expanduser()
    if not place.exists() and has_magic(str(place)):
        matches = [Path(match) for match in sorted(glob(str(place)), key=_by_number)]
        dumps = [dump for match in matches for dump in _in_place(match)]
        if not dumps:
            what = f"{len(matches)} matches, none with a dump.txt" if matches else "nothing matches"
            raise DumpError(f"{what}; give the folder of a run, or a pattern such as 'logs_node_*'", place)
        return dumps
    if not place.exists():
        raise DumpError("there is no such file or folder; give the folder of a run, or its dump.txt files", place)
    dumps = _in_place(place)
    if not dumps:
        raise DumpError("no dump.txt in this folder (looked for dump.txt and logs_node_*/dump.txt); give the folder of one run", place)
    return dumps


def _in_place(place: Path) -> list[Path]:
    if not place.is_dir():
        return [place]
    own = place / "dump.txt"
    if own.exists():
        return [own]
    return sorted((dump for dump in place.glob("logs_node_*/dump.txt")), key=_by_number)


def _by_number(path: str | Path) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", str(path))]


def read_lines(path: Path) -> bytes:
    """Return the lines of a dump.txt after its header, whole lines only.

    A torn last line is dropped with a warning. A file that is not ours is a `DumpError`; an empty one has no lines.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DumpError(f"cannot be read ({error.strerror}); check its permissions", path) from error
    end = content.rfind(b"\n") + 1
    _check_header(content[: len(HEADER) + 1], path)
    if end < len(content):
        warnings.warn(f"{path}: the last line is torn (its end was never written) and was dropped", stacklevel=2)
    return content[content.find(b"\n") + 1 : end]


def _check_header(head: bytes, path: Path) -> None:
    """Raise unless the file begins with our header, or with as much of it as there is."""
    first = head.split(b"\n", 1)[0].removesuffix(b"\r")
    whole = b"\n" in head
    ours = HEADER.rstrip(b"\n")
    if first != ours if whole else not HEADER.startswith(first):
        raise DumpError("the first line is not the header of a raftedu dump.txt; is this another program's file?", path, 1)


def last_line(path: Path) -> tuple[int, bytes]:
    """Return how many bytes of a dump.txt are whole lines, and the last of these (with its newline; empty if there is none)."""
    with open(path, "rb") as file:
        _check_header(file.read(len(HEADER) + 1), path)
        size = file.seek(0, 2)
        end = _newline_before(file, size) + 1
        start = _newline_before(file, end - 1) + 1 if end else 0
        file.seek(start)
        return end, file.read(end - start)


def _newline_before(file: BinaryIO, end: int) -> int:
    """Return the position of the last newline before ``end``, -1 if there is none."""
    while end > 0:
        start = max(0, end - _BLOCK)
        file.seek(start)
        at = file.read(end - start).rfind(b"\n")
        if at >= 0:
            return start + at
        end = start
    return -1


def parse_line(line: bytes, path: Path, number: int | None) -> list[str]:
    """Return the ten fields of a line, or raise a `DumpError` that says what is wrong (``number`` from 1, ``None``: the last)."""
    wrong = _what_is_wrong(line)
    if wrong:
        number = number or path.read_bytes().count(b"\n")
        raise DumpError(f"{wrong}; the file is damaged here and was left as it is", path, number)
    return line.decode().rstrip("\r\n").split("\t")


def _what_is_wrong(line: bytes) -> str:
    try:
        fields = line.decode().rstrip("\r\n").split("\t")
    except UnicodeDecodeError:
        return "this is not UTF-8"
    if len(fields) != len(COLUMNS):
        return f"{len(fields)} tab-separated columns instead of {len(COLUMNS)}"
    if "\r" in "".join(fields):
        return "a carriage return within the line"
    for column, value in zip(COLUMNS, fields, strict=True):
        if wrong := _wrong_value(column, value):
            return f"the column {column!r} holds {value[:40]!r}, which is not {wrong}"
    return ""


def _wrong_value(column: str, value: str) -> str:
    match column:
        case "time":
            return "" if _is_number(value) else "a number of seconds"
        case "seq" | "node" | "term":
            return "" if re.fullmatch(r"\d{1,18}", value, re.ASCII) else "a whole number from 0"
        case "peer" | "index":
            return "" if re.fullmatch(r"\d{0,15}", value, re.ASCII) else "a whole number from 0, or empty"
        case "role" | "event":
            return "" if re.fullmatch(r"[a-z_]+", value) else "a word of small letters"
        case "facts":
            return "" if value.startswith("{") and value.endswith("}") else "a JSON object"
    return ""


def _is_number(value: str) -> bool:
    try:
        return math.isfinite(float(value))
    except ValueError:
        return False


def find_damage(path: Path) -> DumpError | None:
    """Return an error that names the first damaged line of a dump.txt, ``None`` if every whole line is sound."""
    for number, line in _numbered(path):
        try:
            parse_line(line, path, number)
        except DumpError as error:
            return error
    return None


def _numbered(path: Path) -> Iterator[tuple[int, bytes]]:
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            if number > 1 and line.endswith(b"\n"):
                yield number, line


def parse_facts(text: str, path: Path | None, line: int | None) -> dict[str, object]:
    """Return the facts of one line as a dict; text that is no JSON object is a `DumpError` that names the line."""
    try:
        facts = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise DumpError(f"the facts are not JSON ({error}); the line is damaged", path, line) from error
    if not isinstance(facts, dict):
        raise DumpError("the facts are not a JSON object; the line is damaged", path, line)
    return facts
