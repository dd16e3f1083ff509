"""`Script`: a story of commands for a simulation, with the answers that were recorded; playing it tells the same, or what differs.

A line is a command, a comment after ``#``, or, after ``|``, a line of the answer to the command above it. Playing a script
returns its text with the answers of now: compare it with what was recorded, or write it down instead. What is *expected* stands in
``expect`` lines, and a script in which one fails is a `ScriptError`, whatever is recorded.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from raftedu.sim.commands import COMMANDS, perform
from raftedu.sim.conditions import CONDITIONS
from raftedu.sim.stage import ScriptError, Stage
from raftedu.sim.world import SimulationError

__all__ = ["Script", "ScriptError", "language"]

_ANSWER = "| "


class _Line(NamedTuple):
    number: int
    text: str
    words: list[str]


class Script:
    r"""A script.

    Parameters
    ----------
    text
        Its lines, with or without recorded answers.
    name
        What messages call it.
    rules
        Sets of replaced rules by name, for ``cluster ... rules=NAME``.

    Examples
    --------
    >>> script = Script("cluster 3 seed=1\nset x 1\nexpect success")
    >>> print(script.play())
    cluster 3 seed=1
    | 3 nodes, lease 8 s
    set x 1
    | success at index 2, after 6.67 s
    expect success
    <BLANKLINE>
    """

    def __init__(self, text: str, name: str = "script", rules: Mapping[str, Mapping[str, Callable[[Any], Any]]] | None = None) -> None:
        self.text, self.name, self.rules = text, name, rules or {}
        lines = enumerate(text.splitlines(), 1)
        self._lines = [self._line(number, line.rstrip()) for number, line in lines if not line.lstrip().startswith(_ANSWER.strip())]

    @classmethod
    def read(cls, path: str | Path, rules: Mapping[str, Mapping[str, Callable[[Any], Any]]] | None = None) -> Script:
        """Return the script in a file."""
        return cls(Path(path).read_text(encoding="utf-8"), Path(path).name, rules)

    def play(self) -> str:
        """Play the script from its beginning and return its text with the answers of now.

        Raises
        ------
        ScriptError
            A line is not understood, or what it expects is not so.
        """
        return "\n".join(self._play(Stage(self.rules))) + "\n"

    def _play(self, stage: Stage) -> Iterator[str]:
        at = 0
        while at < len(self._lines):
            line = self._lines[at]
            if line.words[:1] != ["repeat"]:
                yield line.text
                yield from _answer(self._do(stage, line, 0))
                at += 1
                continue
            end = self._end(at)
            yield from (inner.text for inner in self._lines[at : end + 1])
            self._repeat(stage, at, end)
            yield from _answer(f"{line.words[1]} times, {stage.sim.now:.2f} s")
            at = end + 1

    def _line(self, number: int, text: str) -> _Line:
        try:
            return _Line(number, text, shlex.split(text, comments=True))
        except ValueError as error:
            raise self._error(_Line(number, text, []), f"a quote without its other half ({error})") from error

    def _end(self, start: int) -> int:
        for at in range(start + 1, len(self._lines)):
            if self._lines[at].words == ["end"]:
                return at
            if self._lines[at].words[:1] == ["repeat"]:
                raise self._error(self._lines[at], "a repeat within a repeat")
        raise self._error(self._lines[start], "this repeat has no end")

    def _repeat(self, stage: Stage, start: int, end: int) -> None:
        words = self._lines[start].words
        if len(words) != 2 or not words[1].isdigit():
            raise self._error(self._lines[start], "write `repeat N`")
        for i in range(1, int(words[1]) + 1):
            for line in self._lines[start + 1 : end]:
                self._do(stage, line, i)

    def _do(self, stage: Stage, line: _Line, i: int) -> str:
        try:
            words = [word.replace("{i}", str(i)) for word in line.words]
            return perform(stage, words) if words else ""
        except (ScriptError, SimulationError, ValueError) as error:
            where = f" (round {i})" if i else ""
            raise self._error(line, f"{error}{where}") from error

    def _error(self, line: _Line, what: str) -> ScriptError:
        return ScriptError(f"{self.name}, line {line.number}: {line.text.strip()}: {what}")


def _answer(text: str) -> Iterator[str]:
    return (f"{_ANSWER}{line}".rstrip() for line in text.splitlines())


def language() -> str:
    """Return the commands and conditions as two tables in Markdown."""
    lines = ["| command | what it does |", "| --- | --- |"]
    lines += [f"| `{row.form.replace('|', '¦')}` | {row.meaning} |" for row in COMMANDS.values()]
    lines += ["", "| condition | what it means |", "| --- | --- |"]
    lines += [f"| `{row.form.replace('|', '¦')}` | {row.meaning} |" for row in CONDITIONS.values()]
    return "\n".join(lines) + "\n"
