"""The command ``raftedu``. Each command is a module of its own, loaded when it is called, so that ``raftedu --help`` is quick."""

from __future__ import annotations

from importlib import import_module

import click

from raftedu import __version__

__all__ = ["main"]

COMMANDS = {
    "demo": "Play the story of a lease on five real nodes, and draw it.",
    "node": "Run one node of a cluster, and print what happens to it.",
    "client": "SET and GET keys: at a prompt, as arguments, or from a pipe.",
    "dump": "Print what nodes said, of one folder or of several in one row.",
    "plot": "Draw the story that dump.txt files tell.",
    "check": "Look for the shortest schedule that breaks rules of your own.",
    "lab": "Open the notebooks.",
}
"""Each command, and what the list of commands says of it."""


class Commands(click.Group):
    """The group of all commands, which loads the one that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order in which a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Return the command, ``None`` if there is none of that name."""
        if name not in COMMANDS:
            return None
        command: click.Command = import_module(f"raftedu.cli.{name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without loading any of them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="raftedu")
def main() -> None:
    """Raft with leader leases, to run, to break and to look at.

    Begin with `raftedu demo`. All times are the cluster's seconds; --pace says how many seconds of yours each of them takes.
    """
