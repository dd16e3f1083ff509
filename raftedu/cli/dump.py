"""``raftedu dump``: what nodes said, as lines of text; the sentences are the file's own, nothing is made up here."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import merge
from pathlib import Path
from typing import NamedTuple

import click

from raftedu.cli.telling import one_line
from raftedu.core.outputs import Say
from raftedu.core.types import NodeId, Role, Seconds
from raftedu.events import EVENTS, DumpError, is_course
from raftedu.events.reader import find_dumps, parse_line, read_lines

__all__ = ["command"]


class Line(NamedTuple):
    """One line of a dump.txt, as far as it is printed."""

    time: Seconds
    seq: int
    node: NodeId
    is_course: bool
    sentence: str


@click.command(short_help="Print what nodes said.")
@click.argument("paths", nargs=-1, required=True, metavar="PATHS...")
@click.option("--classic", is_flag=True, help="The course's sentences and nothing else: a dump.txt as the course has it.")
@click.option("--all", "everything", is_flag=True, help="Every event, not those only for which the course has a sentence.")
def command(paths: tuple[str, ...], classic: bool, everything: bool) -> None:
    """Print the sentences of dump.txt files, with time and node.

    PATHS are folders of runs or of nodes, dump.txt files, or patterns; the lines of several nodes are printed in the order of time.

    \b
        raftedu dump raftedu-runs/001
        raftedu dump --classic logs_node_2
    """  # noqa: D301 (click reads the backspace)
    if classic and everything:
        raise click.UsageError("--classic and --all contradict each other: choose one")
    with one_line(DumpError):
        dumps = [list(_lines(path)) for path in find_dumps(paths)]
    for line in merge(*dumps):
        if classic and line.is_course:
            click.echo(line.sentence)
        elif not classic and (everything or line.is_course):
            click.echo(f"{line.time:10.3f}  {line.node:>3}  {line.sentence}")


def _lines(path: Path) -> Iterator[Line]:
    for number, raw in enumerate(read_lines(path).splitlines(keepends=True), 2):
        time, seq, node, term, role, event, _, _, sentence, _ = parse_line(raw, path, number)
        say = Say(event, int(term), Role.LEADER if role == Role.LEADER else Role.FOLLOWER, None, None, {})
        yield Line(float(time), int(seq), int(node), event in EVENTS and is_course(say), sentence)
