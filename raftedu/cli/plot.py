"""``raftedu plot``: the picture of a run, made from its dump.txt files and from nothing else."""

from __future__ import annotations

from pathlib import Path

import click

from raftedu.cli.telling import one_line
from raftedu.events import DumpError
from raftedu.plot import plot_story
from raftedu.trace import read_dump

__all__ = ["command"]


@click.command(short_help="Draw the story that dump.txt files tell.")
@click.argument("paths", nargs=-1, required=True, metavar="PATHS...")
@click.option("--output", "-o", type=click.Path(path_type=Path, dir_okay=False), default="story.png", show_default=True,
              help="The picture; its ending says which kind: .png, .svg or .pdf.")  # fmt: skip
@click.option("--title", help="A sentence in place of the one that is read off the run.")
def command(paths: tuple[str, ...], output: Path, title: str | None) -> None:
    """Draw roles, leases and the commit index of a run under one time axis.

    PATHS are the folder of a run, folders of nodes, dump.txt files, or patterns.

    \b
        raftedu plot raftedu-runs/001 -o handover.svg
    """  # noqa: D301 (click reads the backspace)
    with one_line(DumpError, OSError, ValueError):
        plot_story(read_dump(paths), title=title).savefig(output)
    click.echo(str(output))
