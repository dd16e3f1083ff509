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
from raftedu.events.reader import find_dumps, parse_facts, parse_line, read_lines

__all__ = ["command"]


class Line(NamedTuple):
    """One line of a dump.txt, as far as it is printed."""

    time: Seconds
    seq: int
    node: NodeId
    is_course: bool
    sentence: str
    zero: tuple[float, float] | None = None
    """For ``started``: the zero of the times from here on (UTC seconds), and the pace."""


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
        dumps = _aligned([list(_lines(path)) for path in find_dumps(paths)])
    for line in merge(*dumps):
        if classic and line.is_course:
            click.echo(line.sentence)
        elif not classic and (everything or line.is_course):
            click.echo(f"{line.time:10.3f}  {line.node:>3}  {line.sentence}")


def _lines(path: Path) -> Iterator[Line]:
    for number, raw in enumerate(read_lines(path).splitlines(keepends=True), 2):
        time, seq, node, term, role, event, _, _, sentence, facts = parse_line(raw, path, number)
        say = Say(event, int(term), Role.LEADER if role == Role.LEADER else Role.FOLLOWER, None, None, {})
        zero = _zero(parse_facts(facts, path, number)) if event == "started" else None
        yield Line(float(time), int(seq), int(node), event in EVENTS and is_course(say), sentence, zero)


def _zero(facts: dict[str, object]) -> tuple[float, float] | None:
    zero, pace = facts.get("utc_zero"), facts.get("pace")
    known = isinstance(zero, int | float) and isinstance(pace, int | float) and pace > 0
    return (float(zero), float(pace)) if known else None  # type: ignore[arg-type]


def _aligned(dumps: list[list[Line]]) -> list[list[Line]]:
    """Return the lines with the times of processes that began at different moments on one clock, as `raftedu.read_dump` does."""
    zeros = [next((line.zero for line in dump if line.zero), None) for dump in dumps]
    earliest = min((zero for zero, _ in filter(None, zeros)), default=0.0)
    shifts = [(known[0] - earliest) / known[1] if known else 0.0 for known in zeros]
    return [[line._replace(time=line.time + shift) for line in dump] for dump, shift in zip(dumps, shifts, strict=True)]
