"""What ``metadata.txt`` says, as a value, as text, and back.

The file is for people as much as for the node: one ``name value`` a line. This module knows text, not files.
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from raftedu.core.types import HardState

__all__ = ["Metadata"]

_NAMES = ("current_term", "votedFor", "promised", "commitLength", "appliedLength")
_COUNT = re.compile(r"[0-9]{1,18}", re.ASCII)
_NODE = re.compile(r"-?[0-9]{1,18}", re.ASCII)
_NOBODY = "none"


class Metadata(NamedTuple):
    """The hard state of a node, and how far it had committed and applied when it was written (lengths; for people only)."""

    hard: HardState = HardState()
    commit_length: int = 0
    applied_length: int = 0

    def text(self) -> str:
        """Return the whole file.

        Examples
        --------
        >>> print(Metadata(HardState(3, 0, 8.25), 5, 4).text(), end="")
        current_term 3
        votedFor 0
        promised 8.25
        commitLength 5
        appliedLength 4
        """
        hard = self.hard
        voted_for = _NOBODY if hard.voted_for is None else f"{hard.voted_for:d}"
        values = (hard.term, voted_for, float(hard.promised), self.commit_length, self.applied_length)
        return "".join(f"{name} {value}\n" for name, value in zip(_NAMES, values, strict=True))

    @classmethod
    def of(cls, content: bytes) -> Metadata:
        """Return what a file says.

        Raises
        ------
        ValueError
            Its arguments are the number of the line, from 1, and what is wrong with it.
        """
        lines = content.decode("utf-8", "backslashreplace").split("\n")
        words = {}
        for number, name in enumerate(_NAMES, start=1):
            line = lines[number - 1] if number <= len(lines) else ""
            if not line.startswith(f"{name} "):
                raise ValueError(number, f"{line[:60]!r} stands where '{name} …' belongs")
            words[name] = (number, line[len(name) + 1 :])
        if lines[len(_NAMES) :] != [""]:
            raise ValueError(len(_NAMES) + 1, f"the file must end after '{_NAMES[-1]} …' and a newline")
        hard = HardState(_count(*words["current_term"]), _node(*words["votedFor"]), _seconds(*words["promised"]))
        return cls(hard, _count(*words["commitLength"]), _count(*words["appliedLength"]))


def _count(number: int, word: str) -> int:
    if not _COUNT.fullmatch(word):
        raise ValueError(number, f"{word[:60]!r} is no whole number from 0")
    return int(word)


def _node(number: int, word: str) -> int | None:
    if word == _NOBODY:
        return None
    if not _NODE.fullmatch(word):
        raise ValueError(number, f"{word[:60]!r} is neither a node's number nor '{_NOBODY}'")
    return int(word)


def _seconds(number: int, word: str) -> float:
    try:
        seconds = float(word)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise ValueError(number, f"{word[:60]!r} is no duration in seconds")
    return seconds
