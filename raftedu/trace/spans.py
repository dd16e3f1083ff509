"""What the tidy frames are made of: spans that open and close, and the columns of each frame with their types."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any

import pandas as pd

__all__ = ["FRAMES", "Spans", "tidy"]

TEXT = pd.Series(["text"]).dtype  # object before pandas 3, str since

_TYPES = {
    **dict.fromkeys(["index", "peer"], "Int64"),
    **dict.fromkeys(["node", "leader", "candidate", "term", "request"], "int64"),
    **dict.fromkeys(["start", "end", "time", "wait_until", "expiry", "until", "length"], "float64"),
    **dict.fromkeys(["renewals", "because", "votes"], "object"),
}

FRAMES = {
    "leaders": "node term start end wait_until why",
    "leases": "node term start end expiry renewals why",
    "promises": "node leader term start until",
    "waits": "node term start end wait_until length because",
    "elections": "term candidate start end votes outcome",
    "commits": "index term op node time by",
    "roles": "node role term start end",
    "faults": "kind node peer start end",
    "requests": "op_id client request op key value start end outcome node index",
}
"""The columns of every frame."""


class Spans:
    """Spans of time, at most one open for each key. A span is a dict that ends up as a row."""

    def __init__(self) -> None:
        self.open: dict[Hashable, dict[str, Any]] = {}
        self.done: list[dict[str, Any]] = []

    def start(self, key: Hashable, /, **values: Any) -> None:
        """Open a span."""
        self.open[key] = values

    def close(self, key: Hashable, /, **values: Any) -> None:
        """Close the span of that key, if there is one, with what its end adds."""
        span = self.open.pop(key, None)
        if span is not None:
            self.done.append(span | values)

    def finish(self, **values: Any) -> list[dict[str, Any]]:
        """Close all that is open and return every span."""
        for key in list(self.open):
            self.close(key, **values)
        return self.done


def tidy(name: str, rows: Iterable[dict[str, Any]], by: list[str], since: float) -> pd.DataFrame:
    """Return rows as the frame of that name, sorted, without those that were over before ``since``."""
    columns = FRAMES[name].split()
    over = next(column for column in ("end", "until", "time") if column in columns)
    kept = sorted((row for row in rows if row[over] >= since), key=lambda row: [row[column] for column in by])
    return pd.DataFrame({column: pd.Series([row[column] for row in kept], dtype=_TYPES.get(column, TEXT)) for column in columns})
