"""How every command tells a person what went wrong: one line on the error stream, exit code 1, no traceback for a user's mistake."""

from __future__ import annotations

import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import click

__all__ = ["ends_on_sigterm", "one_line", "paint"]


@contextmanager
def one_line(*mistakes: type[BaseException]) -> Iterator[None]:
    """Turn these exceptions, and warnings on the way, into one line each."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: click.echo(f"Warning: {message}", err=True)
        try:
            yield
        except mistakes as error:
            raise click.ClickException(" ".join(str(error).split())) from error


@contextmanager
def ends_on_sigterm() -> Iterator[None]:
    """Let SIGTERM end what is inside as Ctrl-C does: by a `KeyboardInterrupt`."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def paint(text: str, **style: object) -> str:
    """Return the text with colours where a person reads it."""
    return click.style(text, **style) if sys.stdout.isatty() else text  # type: ignore[arg-type]
