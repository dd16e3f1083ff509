"""`Trace`: what happened in a run, as its dump.txt files tell it and nothing else; `read_dump` and `load_trace` make one.

Every frame is computed from the rows when it is asked for. Whatever a trace holds is text: it is escaped wherever markup is made.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from numbers import Integral
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd

from raftedu.data import data_path
from raftedu.events.errors import DumpError
from raftedu.events.reader import Paths
from raftedu.events.table import COLUMNS, visible
from raftedu.events.writer import MemoryDump
from raftedu.trace import frames, leases
from raftedu.trace.reading import FILE, read_files, rows_of
from raftedu.trace.spans import tidy
from raftedu.trace.walk import Row, walk

__all__ = ["Trace", "load_trace", "read_dump", "trace_names", "trace_of"]

OneOrMore: TypeAlias = int | str | Iterable[int] | Iterable[str] | None
_LOST = ("stepped_down", "role_changed")
_MEMORY = Path("memory")


def read_dump(paths: Paths) -> Trace:
    """Return the trace of a run from its dump.txt files.

    Parameters
    ----------
    paths
        A run's folder (with ``logs_node_*/dump.txt``), one ``logs_node_X`` folder, a dump.txt, a pattern such as
        ``"logs_node_*"``, or a list of these.

    Raises
    ------
    DumpError
        Nothing is there, or a line is damaged: the message names the file and the line. A torn last line is only warned of.
    """
    rows, files = read_files(paths)
    return Trace(rows, files)


def trace_of(dumps: Iterable[MemoryDump]) -> Trace:
    """Return the trace of a simulated run: what `read_dump` would return for the same lines in files."""
    tables = [rows_of(b"".join(dump.lines()), _MEMORY).assign(**{FILE: 0}) for dump in dumps]
    rows = pd.concat(tables or [rows_of(b"", _MEMORY).assign(**{FILE: 0})], ignore_index=True)
    return Trace(rows.sort_values(["time", "node", "seq"], kind="stable", ignore_index=True), (_MEMORY,))


def trace_names() -> list[str]:
    """Return the names of the recorded runs that come with raftedu."""
    return sorted({dump.parents[1].name for dump in data_path("traces").glob("*/logs_node_*/dump.txt")})


def load_trace(name: str) -> Trace:
    """Return a recorded run that comes with raftedu, such as ``"lease_handover"``.

    Raises
    ------
    DumpError
        There is no such run; the message lists those there are.
    """
    names = trace_names()
    if name not in names:
        raise DumpError(f"there is no recorded trace {name!r}; there are: {', '.join(names) or 'none'}")
    return read_dump(data_path("traces") / name)


class Trace:
    """What happened in a run. It never changes; ``only`` returns a part of it.

    Times are protocol seconds since the run's start. Something that still goes on when the trace ends has the trace's end as
    its ``end``, and "open" as its reason or outcome.
    """

    __slots__ = ("_end", "_files", "_rows", "_start")

    def __init__(self, rows: pd.DataFrame, files: tuple[Path, ...] = (), start: float | None = None, end: float | None = None) -> None:
        times = rows["time"]
        self._rows, self._files = rows, files
        self._start = start if start is not None else float(times.iloc[0]) if len(rows) else 0.0
        self._end = end if end is not None else float(times.iloc[-1]) if len(rows) else 0.0

    @property
    def frame(self) -> pd.DataFrame:
        """One row an event: time seq node term role event peer index sentence facts (JSON text). A copy: change it as you like."""
        return self._shown()[list(COLUMNS)].reset_index(drop=True)

    @property
    def nodes(self) -> list[int]:
        """The ids of the nodes that said something, sorted."""
        return sorted(self._rows["node"].unique().tolist())

    @property
    def start(self) -> float:
        """The time of the first event, or where the chosen part begins."""
        return self._start

    @property
    def end(self) -> float:
        """The time of the last event, or where the chosen part ends."""
        return self._end

    @property
    def clock(self) -> str:
        """What the x axis is: ``"time"``, protocol seconds."""
        return "time"

    def only(
        self, *, node: OneOrMore = None, event: OneOrMore = None, term: OneOrMore = None, between: tuple[float, float] | None = None,
    ) -> Trace:  # fmt: skip
        """Return the part of the trace with these nodes, events and terms (one or several each), between two times.

        ``between`` is a window, not a cut: a lease acquired before it and still held within it is among its leases.
        """
        rows, start, end = self._rows, self._start, self._end
        for column, wanted in (("node", node), ("event", event), ("term", term)):
            if wanted is not None:
                rows = rows[rows[column].isin(_each(wanted))]
        if between is not None:
            start, end = max(start, float(between[0])), min(end, float(between[1]))
            rows = rows[rows["time"] <= end]
        return Trace(rows, self._files, start, end)

    def facts(self, event: str) -> pd.DataFrame:
        """Return the events of one name with their facts as columns: time node term peer index, then each fact."""
        chosen = [row for row in self._walk(event) if row.event == event and row.time >= self._start]
        common = [{"time": row.time, "node": row.node, "term": row.term, "peer": row.peer, "index": row.index} for row in chosen]
        table = pd.DataFrame([row.facts | first for row, first in zip(chosen, common, strict=True)])
        first_columns = ["time", "node", "term", "peer", "index"]
        ordered = table.reindex(columns=[*first_columns, *(name for name in table.columns if name not in first_columns)])
        return ordered.astype({"peer": "Int64", "index": "Int64"})

    def leaders(self) -> pd.DataFrame:
        """Return who led: node, term, start (elected), end, wait_until, why (it ended)."""
        return self._tidy("leaders", frames.leaders(self._walk("leader_elected", *_LOST), self._end), ["start", "node"])

    def leases(self) -> pd.DataFrame:
        """Return the leases, one row a node and term: node, term, start, end, expiry, renewals (times), why.

        ``end`` is when it stopped counting for its holder; until ``expiry`` the others must honour it all the same.
        ``why``: "expired", "given up", "stepped down", "crashed", "stopped" or "open".
        """
        events = ("lease_acquired", "lease_renewed", "lease_expired", "lease_given_up", *_LOST)
        return self._tidy("leases", leases.leases(self._walk(*events), self._end), ["start", "node"])

    def promises(self) -> pd.DataFrame:
        """Return the promises of followers, merged while contiguous: node, leader, term, start, until.

        A crash takes no promise back. What a node owes after a restart, to whom it no longer knows, is in ``facts("started")``.
        """
        return self._tidy("promises", leases.promises(self._walk("lease_promised")), ["start", "node"])

    def waits(self) -> pd.DataFrame:
        """Return how new leaders waited: node, term, start, end, wait_until, length, because (a list of [node, seconds left])."""
        return self._tidy("waits", leases.waits(self._walk("lease_wait_started", "lease_wait_ended", *_LOST), self._end), ["start", "node"])

    def elections(self) -> pd.DataFrame:
        """Return the candidacies: term, candidate, start, end, votes (a list of voters), outcome ("won", "lost" or "open")."""
        events = ("election_started", "vote_granted", "leader_elected", "role_changed")
        return self._tidy("elections", frames.elections(self._walk(*events), self._end), ["start", "candidate"])

    def commits(self) -> pd.DataFrame:
        """Return what was committed: index, term (of the node, at that time), op, node, time, by ("leader" or "follower")."""
        return self._tidy("commits", frames.commits(self._walk("committed")), ["time", "node", "index"])

    def roles(self) -> pd.DataFrame:
        """Return what each node was: node, role ("follower", "candidate", "leader", "crashed" or "stopped"), term, start, end."""
        return self._tidy("roles", frames.roles(self._rows, self._walk(), self._end), ["node", "start"])

    def faults(self) -> pd.DataFrame:
        """Return the faults: kind ("crashed", "link", "paused", "clock" or "fault"), node, peer, start, end."""
        events = ("link_cut", "link_healed", "paused", "resumed")
        return self._tidy("faults", frames.faults(self._walk(*events), self._end), ["start", "node"])

    def requests(self) -> pd.DataFrame:
        """Return what clients asked: op_id, client, request, op, key, value, start, end, outcome, node, index.

        ``value`` is what a SET sets, and what a GET got. ``outcome``: "success", "fail", "unknown" or "open".
        """
        return self._tidy("requests", frames.requests(self._walk("client_request", "client_reply"), self._end), ["start", "node"])

    def _shown(self) -> pd.DataFrame:
        return self._rows[self._rows["time"] >= self._start]

    def _walk(self, *events: str) -> Iterable[Row]:
        return walk(self._rows, self._files, *events)

    def _tidy(self, name: str, rows: list[dict[str, object]], by: list[str]) -> pd.DataFrame:
        return tidy(name, rows, by, self._start)

    def __len__(self) -> int:
        return len(self._shown())

    def __repr__(self) -> str:
        if not len(self):
            return "Trace: no events"
        return f"Trace: {len(self)} events of {_nodes_in_words(self.nodes)}, {self._start:.2f} s to {self._end:.2f} s"

    def _repr_html_(self) -> str:
        """Return a short summary; nothing in it is markup but our own."""
        leaders = self.leaders()
        cells = [(row.node, row.term, f"{row.start:.2f} s", f"{row.end:.2f} s", f"{row.why:.80}") for row in leaders.head(12).itertuples()]
        rows = ["<tr>" + "".join(f"<td>{escape(visible(str(cell)))}</td>" for cell in row) + "</tr>" for row in cells]
        more = f"<p>and {len(leaders) - 12} more</p>" if len(leaders) > 12 else ""
        head = "<tr><th>leader</th><th>term</th><th>from</th><th>to</th><th>why it ended</th></tr>"
        return f"<p>{escape(repr(self))}</p>" + (f"<table>{head}{''.join(rows)}</table>{more}" if rows else "")


def _each(wanted: Any) -> list[Any]:
    return [wanted] if isinstance(wanted, Integral | str) else list(wanted)


def _nodes_in_words(nodes: list[int]) -> str:
    return f"node {nodes[0]}" if len(nodes) == 1 else f"{len(nodes)} nodes"
