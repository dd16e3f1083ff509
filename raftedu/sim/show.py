"""What ``show`` answers: the state of a simulation as a few lines of text, times rounded, for a person to read."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from raftedu.core.node import Status
from raftedu.sim.simulation import Simulation

__all__ = ["SHOWS"]


def _columns(rows: list[tuple[str, ...]]) -> str:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "" if pd.isna(value) else f"{value:.2f}"
    if isinstance(value, list):
        return " ".join(f"{item[0]}:{item[1]:.2f}" if isinstance(item, list) else str(item) for item in value) or "none"
    return str(value)


def _frame(frame: pd.DataFrame, *columns: str) -> str:
    rows = [tuple(map(_cell, row)) for row in frame[list(columns)].itertuples(index=False)]
    return _columns([columns, *rows]) if rows else "none"


def _lease_words(status: Status) -> str:
    if status.wait_left > 0:
        return f"waits {status.wait_left:.2f}"
    if status.lease_left > 0:
        return f"holds {status.lease_left:.2f}"
    return f"promised {status.promise_left:.2f}" if status.promise_left > 0 else ""


def _status(sim: Simulation) -> str:
    rows: list[tuple[str, ...]] = [("node", "role", "term", "log", "commit", "lease")]
    for node, status in zip(sim.nodes, sim.status(), strict=True):
        if status is None:
            rows.append((str(node), "down", "", "", "", ""))
        else:
            cells = (status.node, status.role, status.term, status.last_log_index, status.commit_index, _lease_words(status))
            rows.append(tuple(map(str, cells)))
    return _columns(rows)


def _logs(sim: Simulation) -> str:
    """Show the logs: term and operation of each entry, those that are known to be committed before the bar."""
    lines: list[tuple[str, ...]] = []
    for node in sim.nodes:
        commit = sim.world.lives[node].core.state.commit_index
        cells = [f"{term}:{words}" for _, term, words in sim.log(node)]
        lines.append((str(node), ", ".join(cells[:commit]) + " |" * (len(cells) > commit) + "".join(f" {cell}" for cell in cells[commit:])))
    return _columns(lines)


def _leases(sim: Simulation) -> str:
    return _frame(sim.trace.leases(), "node", "term", "start", "end", "expiry", "why")


def _leaders(sim: Simulation) -> str:
    return _frame(sim.trace.leaders(), "node", "term", "start", "end", "wait_until", "why")


def _waits(sim: Simulation) -> str:
    return _frame(sim.trace.waits(), "node", "term", "start", "end", "length", "because")


def _elections(sim: Simulation) -> str:
    return _frame(sim.trace.elections(), "term", "candidate", "start", "end", "votes", "outcome")


def _faults(sim: Simulation) -> str:
    return _frame(sim.trace.faults(), "kind", "node", "peer", "start", "end")


SHOWS: dict[str, Callable[[Simulation], str]] = {
    "status": _status,
    "logs": _logs,
    "leaders": _leaders,
    "leases": _leases,
    "waits": _waits,
    "elections": _elections,
    "faults": _faults,
}
"""What can be shown, by its name."""
