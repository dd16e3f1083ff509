"""One row of the wrong-rule catalogue: what is wrong, what breaks by it, and what to tell a student."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from raftedu.core.rules import RULES, Rules

__all__ = ["WrongRule", "add"]


class WrongRule(NamedTuple):
    """One row. ``breaks`` names the invariant by which it is found; ``hurts`` the outcome, or what becomes of liveness.

    ``replaced`` has one function for most rows, several where a sound neighbour would hide the mistake. ``needs`` names what else must be
    so, empty if nothing.
    """

    id: str
    what: str
    breaks: str
    hurts: str
    hint: str
    source: str
    replaced: dict[str, Callable[[Any], Any]]
    needs: str = ""
    profile: str = ""  # the only one in which it is found in reasonable time

    @property
    def rules(self) -> Rules:
        """The table of rules with this mistake in it."""
        return RULES.but(**self.replaced)


def add(
    rows: list[WrongRule], id: str, what: str, breaks: str, hurts: str, hint: str, source: str, needs: str = "", *, profile: str = "",
    **replaced: Callable[[Any], Any],
) -> None:  # fmt: skip
    """Add a row; its wrong functions are named after the rules that they replace."""
    rows.append(WrongRule(id, what, breaks, hurts, hint, source, replaced, needs, profile))
