"""How a cluster looks in a cell and in a terminal: one table, made new each time it is shown. Text in it is text, never markup."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from raftedu.core.node import Status
from raftedu.core.types import NodeId, Role

if TYPE_CHECKING:
    from raftedu.live.cluster import Cluster

__all__ = ["cluster_html", "cluster_text"]

_LETTER = {Role.FOLLOWER: "F", Role.CANDIDATE: "C", Role.LEADER: "L"}
_HEAD = ("node", "role", "term", "voted for", "log", "commit", "applied", "lease", "address")


def _lease_words(status: Status) -> str:
    if status.wait_left > 0:
        return f"waits {status.wait_left:.1f} s for an older lease"
    if status.lease_left > 0:
        return f"valid for {status.lease_left:.1f} s"
    if status.promise_left > 0:
        return f"promised for {status.promise_left:.1f} s"
    return "none"


def _row(cluster: Cluster, node: NodeId, status: Status | None) -> tuple[str, ...]:
    address = cluster.addresses.get(node, "")
    if status is None:
        why = "failed" if node in cluster.errors else "stopped" if cluster.stopped else "crashed"
        return (str(node), f"✕ {why}", "", "", "", "", "", "", address)
    voted = "" if status.voted_for is None else str(status.voted_for)
    return (
        str(node), f"{_LETTER[status.role]} {status.role}", str(status.term), voted, str(status.last_log_index), str(status.commit_index),
        str(status.last_applied), _lease_words(status), address,
    )  # fmt: skip


def _summary(cluster: Cluster) -> str:
    state = "stopped" if cluster.stopped else "frozen" if cluster.frozen else "running"
    return f"{len(cluster.nodes)} nodes, {state} at {cluster.now:.2f} s, pace {cluster.pace:g}, files in {_short(cluster.folder)}"


def _short(folder: Path) -> str:
    """Return the folder as a person in the working directory would type it."""
    return str(folder.relative_to(Path.cwd())) if folder.is_relative_to(Path.cwd()) else str(folder)


def _faults(cluster: Cluster) -> list[str]:
    return [f"node {node} stopped: {type(error).__name__}: {error}" for node, error in sorted(cluster.errors.items())]


def cluster_text(cluster: Cluster) -> str:
    """Return the cluster as lines of text."""
    rows = [_HEAD, *(_row(cluster, node, status) for node, status in zip(cluster.nodes, cluster.status(), strict=True))]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEAD))]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([_summary(cluster), *table, *_faults(cluster)])


def cluster_html(cluster: Cluster) -> str:
    """Return the cluster as a small table of HTML, right in dark and light."""
    head = "".join(f"<th style='text-align:left'>{cell}</th>" for cell in _HEAD)
    body = ""
    for node, status in zip(cluster.nodes, cluster.status(), strict=True):
        leads = status is not None and status.role == Role.LEADER
        style = " style='font-weight:bold'" if leads else ""
        cells = "".join(f"<td style='text-align:left'>{escape(cell)}</td>" for cell in _row(cluster, node, status))
        body += f"<tr{style}>{cells}</tr>"
    faults = "".join(f"<pre style='white-space:pre-wrap'>{escape(fault)}</pre>" for fault in _faults(cluster))
    return (
        f"<div><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table><small>{escape(_summary(cluster))}</small>{faults}</div>"
    )
