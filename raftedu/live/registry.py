"""Which clusters run in this process: re-running a cell replaces its old cluster, leaving the process stops all.

It knows clusters only by their ``stop``. Also here: the numbered folders of runs that were given none.
"""

from __future__ import annotations

import atexit
import sys
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

from raftedu.live.service import LiveError

__all__ = ["RUNS", "enroll", "fresh_folder", "stop_all", "withdraw"]

RUNS = "raftedu-runs"


class Stoppable(Protocol):
    """What is enrolled here."""

    def stop(self) -> None:
        """End it."""


_lock = Lock()
_running: dict[int, tuple[Stoppable, tuple[str, int] | None]] = {}


def enroll(cluster: Stoppable) -> None:
    """Remember a new cluster; one that an earlier run of the same notebook cell made is stopped."""
    cell = _cell()
    with _lock:
        old = [other for other, made_in in _running.values() if cell and made_in and made_in[0] == cell[0] and made_in[1] != cell[1]]
        _running[id(cluster)] = (cluster, cell)
    for other in old:
        other.stop()


def withdraw(cluster: Stoppable) -> None:
    """Forget a cluster that has stopped."""
    with _lock:
        _running.pop(id(cluster), None)


def stop_all() -> None:
    """Stop every cluster of this process."""
    for cluster, _ in list(_running.values()):
        cluster.stop()


atexit.register(stop_all)


def _cell() -> tuple[str, int] | None:
    """Return the notebook cell that runs now and which execution it is, ``None`` outside a notebook."""
    ipython: Any = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is None:
        return None
    parent = shell.get_parent() if hasattr(shell, "get_parent") else {}
    content, metadata = parent.get("content", {}), parent.get("metadata", {})
    name = metadata.get("cellId") or content.get("code") or ""
    return (str(name), int(shell.execution_count)) if name else None


def fresh_folder(base: Path | None = None) -> Path:
    """Make and return the next free ``raftedu-runs/NNN`` below ``base``, by default the working directory."""
    runs = (base or Path.cwd()) / RUNS
    try:
        runs.mkdir(parents=True, exist_ok=True)
        taken = [int(path.name) for path in runs.iterdir() if path.name.isdigit()]
        number = max(taken, default=0) + 1
        while True:
            try:
                (runs / f"{number:03d}").mkdir()
                return runs / f"{number:03d}"
            except FileExistsError:
                number += 1
    except OSError as error:
        raise LiveError(f"{runs} cannot be made ({error.strerror}): give the cluster a folder that you may write, dir=…") from error
