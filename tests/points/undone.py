"""`point`: one hand-written schedule, run as the protocol is and once more for every way in which its point is undone.

As it is, the schedule must end well. With the point undone, the *same* schedule must end in a `Violation`; any other error means that
the schedule fell apart, and fails the test.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from raftedu.core.rules import RULES, Rules
from tests.harness import Violation

__all__ = ["Undone", "patched", "point", "undone"]

Schedule = Callable[[Rules], None]


class Undone(NamedTuple):
    """A way to undo a point: other rules, or another function of the core where the point lives in no rule."""

    words: str
    rules: dict[str, Callable[[Any], Any]]
    patches: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        return self.words.replace(" ", "-")


def undone(words: str, **rules: Callable[[Any], Any]) -> Undone:
    """Return a way to undo a point by replacing rules."""
    return Undone(words, rules)


def patched(words: str, *patches: tuple[str, Any], **rules: Callable[[Any], Any]) -> Undone:
    """Return a way to undo a point by replacing functions of the core, each ("module.name", another)."""
    return Undone(words, rules, patches)


def point(*ways: Undone) -> Callable[[Schedule], Any]:
    """Make a test of a schedule: as it is, and with the point undone in each of these ways."""

    def decorate(schedule: Schedule) -> Any:
        @pytest.mark.parametrize("way", [None, *ways], ids=lambda way: "as-it-is" if way is None else f"undone:{way}")
        def test(way: Undone | None, monkeypatch: pytest.MonkeyPatch) -> None:
            if way is None:
                schedule(RULES)
                return
            for where, what in way.patches:
                monkeypatch.setattr(f"raftedu.core.{where}", what)
            with pytest.raises(Violation):
                schedule(RULES.but(**way.rules))

        test.__name__ = test.__qualname__ = schedule.__name__
        test.__doc__, test.__module__ = schedule.__doc__, schedule.__module__
        return test

    return decorate
