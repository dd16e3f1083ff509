"""Shows how far a check is, in a notebook or on a terminal, and takes that away again; nothing at all where nobody looks.

Only what lasts is shown: most wrong rules are found before anything could be read.
"""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from html import escape
from importlib import import_module
from time import monotonic
from types import TracebackType
from typing import Any, Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

__all__ = ["Bar", "bar"]

LASTS = 0.7
"""Seconds after which a check is worth a bar."""


class Bar(Protocol):
    """Something that shows which part of a check is done."""

    def __call__(self, part: float) -> None:
        """Show that this part is done, 0 to 1."""


def _in_a_cell() -> bool:
    """Return whether a kernel runs this; that its package is loaded, as ipywidgets does, proves nothing."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


def _nothing(part: float) -> None:
    """Show nothing."""


def bar(title: str) -> AbstractContextManager[Bar]:
    """Return what shows the progress of a check here; text in ``title`` is text, never markup."""
    if _in_a_cell():
        return _InCell(title)
    if sys.stderr is not None and sys.stderr.isatty():
        return _OnTerminal(title)
    return nullcontext(_nothing)


class _Late:
    """Begins to show something only when it has lasted."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._shows_from = monotonic() + LASTS
        self._shown = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._shown:
            self._end()

    def __call__(self, part: float) -> None:
        if monotonic() >= self._shows_from:
            if not self._shown:
                self._begin()
                self._shown = True
            self._draw(part)

    def _begin(self) -> None:
        raise NotImplementedError

    def _draw(self, part: float) -> None:
        raise NotImplementedError

    def _end(self) -> None:
        raise NotImplementedError


class _OnTerminal(_Late):
    def _begin(self) -> None:
        columns = (TextColumn("{task.description}", markup=False), BarColumn(30), TaskProgressColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, console=Console(stderr=True), transient=True)
        self._progress.start()
        self._task = self._progress.add_task(self._title, total=1.0)

    def _draw(self, part: float) -> None:
        self._progress.update(self._task, completed=part)

    def _end(self) -> None:
        self._progress.stop()


class _InCell(_Late):
    """One line of HTML that is written anew: no widget, so that nothing of it is left in a saved notebook."""

    def _begin(self) -> None:
        self._display: Any = import_module("IPython.display")
        self._handle = self._display.display(self._html(0.0), display_id=True)
        self._drawn = monotonic()

    def _draw(self, part: float) -> None:
        if monotonic() - self._drawn >= 0.25:
            self._drawn = monotonic()
            self._handle.update(self._html(part))

    def _end(self) -> None:
        self._handle.update(self._display.HTML(""))

    def _html(self, part: float) -> Any:
        return self._display.HTML(
            f"<label>{escape(self._title)} <progress max='1' value='{part:.3f}'></progress> {100 * part:.0f} %</label>"
        )
