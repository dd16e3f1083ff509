"""``python -m bench``: measure every figure in one run, print the table, write it to bench/results.json."""

from __future__ import annotations

import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from bench.dumps import dump_speed
from bench.failover import RUNS as FAILOVERS
from bench.failover import failovers
from bench.figure import Figure, Times, timed
from bench.growth import LONG, core_growth, live_growth
from bench.sets import sets_and_gets
from bench.starts import RUNS as STARTS
from bench.starts import clusters_up, imports

RESULTS = Path(__file__).parent / "results.json"
Tick = Callable[[int], None]

PARTS: dict[str, tuple[str, int, Callable[[Path, Tick], list[Figure]]]] = {
    "import": ("import raftedu", STARTS, lambda folder, tick: imports(tick)),
    "start": ("five nodes up and down", STARTS, clusters_up),
    "set": ("SET and GET beside etcd", 0, lambda folder, tick: sets_and_gets(folder)),
    "failover": ("the leader is killed", FAILOVERS, failovers),
    "dump": ("writing and reading events", 0, lambda folder, tick: dump_speed(folder)),
    "core": ("a long log, the core alone", 0, lambda folder, tick: core_growth()),
    "growth": ("a long log, real nodes", LONG, live_growth),
}
"""What can be measured: a word for it, what is shown meanwhile, how many ticks it has (0: it does not tell), and how."""


@click.command()
@click.option("--only", multiple=True, type=click.Choice(list(PARTS)), help="Measure only this; may be given more than once.")
@click.option("--dir", "folder", type=click.Path(path_type=Path, file_okay=False), default="raftedu-runs", show_default=True,
              help="On the disk that is to be measured; what is written there is removed at the end.")  # fmt: skip
def main(only: tuple[str, ...], folder: Path) -> None:
    """Measure the figures of raftedu and hold them against their goals."""
    console = Console()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=folder) as place:
        figures = [_fsync(Path(place))]
        for name in only or PARTS:
            figures += _measure(console, name, Path(place) / name)
    console.print(_table(figures))
    console.print(_machine(), style="dim")
    _save(figures)


def _measure(console: Console, name: str, folder: Path) -> list[Figure]:
    title, ticks, measure = PARTS[name]
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(title, total=ticks or None)
        folder.mkdir()
        return measure(folder, lambda done: progress.update(task, completed=done))


def _fsync(folder: Path) -> Figure:
    """Return what the disk itself costs: 200 bytes appended and made durable."""
    with open(folder / "fsync", "ab", buffering=0) as file:

        def append() -> None:
            file.write(b"x" * 200)
            getattr(os, "fdatasync", os.fsync)(file.fileno())

        times = Times(timed(append) for _ in range(300))
    return Figure("this disk: append and fsync", times.p50, str(times))


def _table(figures: list[Figure]) -> Table:
    table = Table("figure", "measured", "goal", "", title="raftedu, measured", title_justify="left")
    for figure in figures:
        mark = {None: "", True: "[green]ok[/green]", False: "[red]miss[/red]"}[figure.ok]
        table.add_row(figure.name, figure.measured, figure.goal, mark)
    return table


def _machine() -> str:
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores{load}"


def _save(figures: list[Figure]) -> None:
    document = {"machine": _machine(), "utc": time.strftime("%Y-%m-%d %H:%M", time.gmtime()), "figures": [f._asdict() for f in figures]}
    RESULTS.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
