"""Walking through a trace: the rows of some events in order, with facts parsed when asked for, and the ends of lives made plain.

A node's life begins with ``started`` and ends with ``crashed``, ``stopped`` or ``fault``. A process that was killed leaves no
such line: then the next ``started`` is preceded by a made-up ``crashed`` at the time of the last thing the node said.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from raftedu.events.reader import parse_facts
from raftedu.trace.reading import FILE, LINE, SHIFT

__all__ = ["ENDS", "Row", "walk"]

ENDS = {"crashed": "crashed", "stopped": "stopped", "fault": "stopped"}
"""The events that end a node's life, and what the node is from then on."""

_LIFE = {"started", "clock_changed", *ENDS}
_READ = ["time", "node", "term", "role", "event", "peer", "index", "facts", FILE, LINE, SHIFT]


class Row:
    """One event. ``moment(name)`` is a moment among its facts, told on the trace's clock."""

    def __init__(self, values: tuple[Any, ...], files: tuple[Path, ...], rate: float | None) -> None:
        self.time, self.node, self.term, self.role, self.event, peer, index, self._text, self._file, self._line, self._shift = values
        self.peer: int | None = None if pd.isna(peer) else int(peer)
        self.index: int | None = None if pd.isna(index) else int(index)
        self._files, self._rate = files, rate

    @cached_property
    def facts(self) -> dict[str, Any]:
        """The facts as a dict."""
        return parse_facts(self._text, self._files[self._file] if self._files else None, self._line)

    @property
    def ends(self) -> str | None:
        """What the node is from here on if this event ends its life, else ``None``."""
        return ENDS.get(self.event)

    def moment(self, name: str) -> float:
        """Return the moment of that name, on the trace's clock; the row's own time if there is none.

        The facts are on the node's own clock. It tells the same as the trace's, until a ``clock_changed`` is met:
        then what is left from ``now`` is counted from the row's time.
        """
        value = self.facts.get(name)
        if value is None:
            return float(self.time)
        if self._rate is None:
            return float(value + self._shift)
        return float(self.time + (value - self.facts.get("now", self.time)) / self._rate)


def walk(rows: pd.DataFrame, files: tuple[Path, ...], *events: str) -> Iterator[Row]:
    """Yield the rows of these events and those of the nodes' lives, in order."""
    last_word = rows.groupby("node")["time"].shift()
    chosen = rows["event"].isin(_LIFE.union(events))
    alive: dict[int, bool] = {}
    rates: dict[int, float | None] = {}
    columns = [rows.loc[chosen, column].tolist() for column in _READ]
    for last, values in zip(last_word[chosen].tolist(), zip(*columns, strict=True), strict=True):
        row = Row(values, files, rates.get(values[1]))
        if row.event == "clock_changed":
            rates[row.node] = _rate_told(row)
        elif row.event == "started":
            if alive.get(row.node, last == last):  # it had said something, and nothing about its end
                yield Row((last, *values[1:4], "crashed", None, None, '{"why":"it ended without a word"}', *values[8:]), files, None)
            alive[row.node] = True
        elif row.event in ENDS:
            alive[row.node] = False
        yield row


def _rate_told(row: Row) -> float | None:
    """Return the rate of the node's clock from here on, ``None`` if it tells the same as the trace's."""
    rate, offset = row.facts.get("rate", 1.0), row.facts.get("offset", 0.0)
    return None if rate == 1.0 and not offset else float(rate) or 1.0
