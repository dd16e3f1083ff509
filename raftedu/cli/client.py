"""``raftedu client``: the course's client. One line is one operation, wherever the line comes from."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterable, Iterator

import click
from rich.console import Console
from rich.table import Table

from raftedu.cli.telling import ends_on_sigterm, one_line, paint
from raftedu.core.config import ConfigError
from raftedu.core.node import Status
from raftedu.core.outputs import Outcome
from raftedu.core.types import NodeId
from raftedu.events.table import visible
from raftedu.live.client import Client

__all__ = ["command"]

HELP = """\
SET K V   map the key K to the value V
GET K     print the value of K, an empty line if there is none
STATUS    how every node stands
EXIT      leave (also Ctrl-D)
Quote what has blanks: SET greeting "hello world". Lines may come from a pipe, one operation each."""

WORDS = {"SET": 3, "GET": 2, "STATUS": 1, "HELP": 1, "EXIT": 1}
USAGE = {"SET": "SET K V", "GET": "GET K", "STATUS": "STATUS", "HELP": "HELP", "EXIT": "EXIT"}
QUOTES = "'\"\\"
COLOURS = {Outcome.SUCCESS: "green", Outcome.FAIL: "red", Outcome.UNKNOWN: "yellow"}


class LineError(ValueError):
    """A line is no operation; the message says what to write instead."""


@click.command(
    short_help="SET and GET keys.",
    # What follows the options is the operation, and a value may begin with a dash.
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.option("--peers", "path", default="cluster.toml", show_default=True, help="The file that says where all nodes are.")
@click.option("--deadline", type=click.FloatRange(min=0, min_open=True), default=30.0, show_default=True,
              help="Seconds after which an operation without success is given up.")  # fmt: skip
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[SET K V | GET K | STATUS]")
def command(path: str, deadline: float, words: tuple[str, ...]) -> None:
    """Ask the cluster: the operation in the arguments, else one line after the other from a prompt or a pipe.

    \b
        raftedu client SET x 1
        raftedu client GET x
        raftedu client < operations.txt

    A SET prints SUCCESS, FAIL (surely not done) or UNKNOWN (it may have been done, or may yet be); a GET prints the value.
    The exit code is 1 if any operation failed.
    """  # noqa: D301 (click reads the backspace)
    with ends_on_sigterm(), one_line(ConfigError), Client(path, deadline=deadline) as client:
        if words:
            failed = not _try(client, list(words), "")
        elif sys.stdin.isatty():
            failed = _prompt(client)
        else:
            failed = _pipe(client, sys.stdin)
    if failed:
        raise SystemExit(1)


def _prompt(client: Client) -> bool:
    """Ask for lines until EXIT; a person has seen each failure, so the exit code tells of none."""
    click.echo("SET K V, GET K, STATUS, HELP or EXIT")
    for line in _typed_lines():
        try:
            words = _split(line)
            if words[:1] == ["EXIT"]:
                break
            if words:
                _do(client, words)
        except LineError as error:
            click.echo(str(error))
        except KeyboardInterrupt:
            click.echo("\nUNKNOWN: interrupted; the operation may have been done, or may yet be")
    return False


def _typed_lines() -> Iterator[str]:
    while True:
        try:
            yield click.prompt("raftedu", prompt_suffix="> ", default="", show_default=False)
        except click.Abort:  # Ctrl-C or Ctrl-D at the prompt
            click.echo()
            return


def _pipe(client: Client, lines: Iterable[str]) -> bool:
    """Do every line, whatever became of those before; return whether any failed."""
    failed = False
    for number, line in enumerate(lines, 1):
        try:
            words = _split(line)
        except LineError as error:
            click.echo(f"line {number}: {error}", err=True)
            failed = True
            continue
        if words[:1] == ["EXIT"]:
            break
        if words and not _try(client, words, f"line {number}: "):
            failed = True
    return failed


def _try(client: Client, words: list[str], where: str) -> bool:
    try:
        return _do(client, words)
    except LineError as error:
        click.echo(f"{where}{error}", err=True)
        return False


def _split(line: str) -> list[str]:
    """Return the words of a line, the first in capitals, none if it is empty or a comment."""
    line = line.strip().removeprefix("\ufeff")
    if not line or line.startswith("#"):
        return []
    if not set(line) & set(QUOTES):  # the same words, and a value of a megabyte takes no minute
        words = re.split(r"[ \t\r\n]+", line)
        return [words[0].upper(), *words[1:]]
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise LineError(f"{line!r:.80}: {str(error).lower()}; put what has quotes or blanks in quotes of the other kind") from error
    return [words[0].upper(), *words[1:]] if words else []


def _do(client: Client, words: list[str]) -> bool:
    """Do one operation, print what came of it, and return whether it succeeded."""
    name = words[0].upper()
    if name not in WORDS:
        raise LineError(f"there is no {words[0]!r:.40}; use {', '.join(USAGE.values())}")
    if len(words) != WORDS[name]:
        too_many = '; put what has blanks in quotes: "a b"' if len(words) > WORDS[name] else ""
        raise LineError(f"write {USAGE[name]}{too_many}")
    match name:
        case "STATUS":
            return _print_status(client)
        case "HELP":
            click.echo(HELP)
        case "SET" | "GET":
            return _ask(client, name, *words[1:])
    return True


def _ask(client: Client, op: str, key: str, value: str = "") -> bool:
    reply = client.request(op, key, value)
    if reply.outcome == Outcome.SUCCESS and op == "GET":
        # A value may hold what a terminal obeys; a pipe gets it as it is.
        click.echo(visible(reply.value) if sys.stdout.isatty() else reply.value)
    else:
        why = f": {visible(reply.reason)}" if reply.reason else ""
        click.echo(paint(reply.outcome.upper(), fg=COLOURS[reply.outcome]) + why)
    return reply.outcome == Outcome.SUCCESS


def _print_status(client: Client) -> bool:
    found = client.status()
    table = Table("node", "address", "role", "term", "leader", "log", "committed", "lease", box=None, pad_edge=False)
    for node, status in found.items():
        table.add_row(str(node), client.addresses[node], *_cells(status))
    # A pipe has no width; there every line must stay whole.
    Console(width=None if sys.stdout.isatty() else 200, highlight=False).print(table)
    return any(status is not None for status in found.values())


def _cells(status: Status | None) -> list[str]:
    if status is None:
        return ["cannot be reached", "", "", "", "", ""]
    return [str(status.role), str(status.term), _id(status.leader), str(status.last_log_index), str(status.commit_index), _lease(status)]


def _id(node: NodeId | None) -> str:
    return "none" if node is None else str(node)


def _lease(status: Status) -> str:
    if status.wait_left > 0:
        return f"waits {status.wait_left:.1f} s for an older lease"
    if status.lease_left > 0:
        return f"valid for {status.lease_left:.1f} s"
    return f"promised for {status.promise_left:.1f} s" if status.promise_left > 0 else "none"
